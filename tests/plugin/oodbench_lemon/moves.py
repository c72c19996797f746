"""How the expert reaches what goals.py says."""

import numpy as np

from oodbench.expert import Expert, expert_script
from oodbench.motion import CAREFUL, Script


@expert_script("hovering")
def hover(expert: Expert, id: str, height: float) -> Script:
    """To over the object; then stay."""
    yield from expert.go(lambda: np.add(expert.world.center(id), (0, 0, height + 0.03)), expert.hand_yaw(), CAREFUL)
