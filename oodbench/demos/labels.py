"""What the expert would do from here on: chunks of labels, from a copy of the present state."""

from __future__ import annotations

import numpy as np

from oodbench.expert import Expert
from oodbench.sim.world import World


def label(expert: Expert, world: World, steps: int) -> np.ndarray:
    """The actions that the expert would take from the present state on, if nothing were added to them.

    They are played in a copy, and the world is as it was afterwards. What the expert does later in an episode under
    noise is no such label: it answers noise that has not happened yet. When the task is done, the expert comes to rest,
    and so do its labels.

    Args:
        expert: Bound to `world`, and reset.
        world: In the state to be labelled: the start of an episode, or wherever a learner has taken it.
        steps: How many.

    Returns:
        (steps, 7) float32.
    """
    actions = np.zeros((steps, 7), np.float32)
    actions[0] = expert.action()
    with world.aside():
        for step in range(1, steps):
            world.step(actions[step - 1])
            actions[step] = expert.action()
    return actions
