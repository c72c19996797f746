"""Playing a plan of episodes and keeping what came of it: plan, workers, records, the run folder."""
