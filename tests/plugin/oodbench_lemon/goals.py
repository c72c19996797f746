"""A predicate. It needs no simulator to be imported: it is called with the World."""

import math
from typing import Any

from oodbench.goal import predicate

ASIDE = 0.03  # m


@predicate("hover", "hold", "wait", "stay")
def hovering(world: Any, id: str, height: float) -> bool:
    """The hand is over the object, within 3 cm, and at least so much (m) higher than its centre."""
    x, y, z = world.grip_position - world.center(id)
    return math.hypot(x, y) <= ASIDE and z >= height
