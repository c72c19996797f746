"""The ratio of shifted to in-distribution success, where it means anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oodbench.stats.clustered import resampled, sampled_means
from oodbench.stats.rates import Interval, Rate

FEWEST = 10  # scenes below which no interval is given
LEAST = 0.2  # of the lower bound of in-distribution success
RESAMPLES = 4000
MANY = 1000  # scenes, beyond which fewer samples do


def retention(pairs: Sequence[np.ndarray], plain: Rate) -> tuple[float | None, Interval | None]:
    """(ratio, 95 % interval) of mean shifted to mean in-distribution success, by a bootstrap of scenes within tasks.

    Args:
        pairs: By task, (scenes, 2), numbers of `blocks.by_scene` of in-distribution and of shifted success in the same
            scenes.
        plain: The in-distribution rate.

    Returns:
        (None, None) when the lower Wilson bound of that rate is below 0.2: a ratio to nearly nothing says nothing.
    """
    means = np.mean([pair.mean(0) for pair in pairs], axis=0) if pairs else np.zeros(2)
    if plain.interval.low < LEAST or means[0] <= 0:
        return None, None
    ratio, scenes = float(means[1] / means[0]), sum(map(len, pairs))
    if scenes < FEWEST:
        return ratio, None
    many = RESAMPLES if scenes <= MANY else RESAMPLES // 4
    drawn = sampled_means(resampled(("retention", len(pairs)), tuple(map(len, pairs)), many), pairs)
    drawn = drawn[drawn[:, 0] > 0]
    low, high = np.quantile(drawn[:, 1] / drawn[:, 0], (0.025, 0.975))
    return ratio, Interval(float(low), float(high))
