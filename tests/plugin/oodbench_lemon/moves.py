"""How the expert reaches what goals.py says."""

import numpy as np

from oodbench.expert import Expert, skill
from oodbench.expert.hand import CAREFUL, OPEN


@skill("hovering")
def hover(expert: Expert, id: str, height: float) -> np.ndarray:
    """To over the object."""
    over = np.add(expert.world.center(id), (0.0, 0.0, height + 0.03))
    return expert.toward(over, expert.yaw(), OPEN, CAREFUL)
