"""The ratio of shifted to in-distribution success, where it means anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oodbench.stats.clustered import resampled
from oodbench.stats.rates import Interval, Rate
from oodbench.stats.sums import weighted

FEWEST = 10  # scenes below which no interval is given
LEAST = 0.2  # of the lower bound of in-distribution success
RESAMPLES = 4000
MANY = 1000  # scenes, beyond which fewer samples do


def retention(pairs: Sequence[tuple[float, float]], plain: Rate) -> tuple[float | None, Interval | None]:
    """(ratio, 95 % interval) of mean shifted to mean in-distribution success, by a bootstrap over scenes.

    pairs: by scene, in-distribution success and mean success under shift. plain: the in-distribution rate. (None, None)
    when the lower Wilson bound of that rate is below 0.2: a ratio to nearly nothing says nothing.
    """
    values = np.asarray(pairs, float).reshape(-1, 2)
    if plain.interval.low < LEAST or not values[:, 0].any():
        return None, None
    ratio = float(values[:, 1].sum() / values[:, 0].sum())
    if len(values) < FEWEST:
        return ratio, None
    (counts,) = resampled(("retention",), (len(values),), RESAMPLES if len(values) <= MANY else RESAMPLES // 4)
    sums = weighted(counts, values)
    sums = sums[sums[:, 0] > 0]
    low, high = np.quantile(sums[:, 1] / sums[:, 0], (0.025, 0.975))
    return ratio, Interval(float(low), float(high))
