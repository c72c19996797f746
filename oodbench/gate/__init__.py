"""The release gate: a candidate against a committed baseline, decided as early as the evidence allows."""
