"""Whether a policy listens: how much its actions change when the instruction names another thing."""

from __future__ import annotations

import numpy as np

from oodbench.convention import POSITION_SCALE


def divergence(actions: np.ndarray, swapped: np.ndarray, blank: np.ndarray) -> dict[str, float]:
    """How far chunks (n, c, 7) for the same observation lie apart under other words.

    swap_cm, blank_cm: mean distance between where the two chunks lead (their summed translations, cm), for an
    instruction that names another thing in view, and for none. path_cm: how far the chunks lead at all, to compare.
    """
    ends = [POSITION_SCALE * chunk[..., :3].sum(1) for chunk in (actions, swapped, blank)]
    away = [100 * float(np.linalg.norm(ends[0] - end, axis=1).mean()) for end in ends[1:]]
    return {"swap_cm": away[0], "blank_cm": away[1], "path_cm": 100 * float(np.linalg.norm(ends[0], axis=1).mean())}
