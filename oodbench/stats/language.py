"""How much of a policy's success depends on the words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oodbench.seeding import generator
from oodbench.stats.rates import Interval

RESAMPLES = 2000


def language_use(pairs: Sequence[tuple[float, float]]) -> tuple[float | None, Interval | None]:
    """The language-use index and its 95 % interval.

    pairs: by scene, success with its words and mean success without (blank or meaningless ones). The index is
    1 - sum(without) / sum(with): 0 when words make no difference, 1 when nothing works without them, negative when they
    harm. The interval is a percentile bootstrap over scenes. (None, None) when nothing succeeds with words.
    """
    values = np.array(pairs, dtype=float).reshape(-1, 2)
    told, untold = values.sum(axis=0)
    if not len(values) or told == 0:
        return None, None
    rng = generator("language-use", len(values))
    drawn = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].sum(axis=1)
    drawn = drawn[drawn[:, 0] > 0]
    low, high = np.quantile(1 - drawn[:, 1] / drawn[:, 0], (0.025, 0.975))
    return 1 - untold / told, Interval(float(low), float(high))
