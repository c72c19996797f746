"""Means over scenes: the scene, not the episode, is what is independent of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from oodbench.stats.rates import Interval

FEWEST = 10  # scenes a task below which no interval is given


@dataclass(frozen=True)
class ClusteredMean:
    """interval is None when some task has fewer than `fewest` scenes: too few to say how much they vary."""

    value: float
    interval: Interval | None
    scenes: int


def clustered_mean(
    values: Mapping[str, Sequence[float]], confidence: float = 0.95, fewest: int = FEWEST
) -> ClusteredMean | None:
    """The mean over tasks of the mean over scenes, with a t interval whose unit is the scene.

    values: by task, one number a scene (already averaged over the cells that share it). theta = mean_t mean_k z_tk,
    Var = sum_t s_t^2 / (T^2 K_t), t quantile with sum(K_t - 1) degrees of freedom (Miller 2024, arXiv 2411.00640,
    section 2.2, with tasks as strata). None when there are no values.
    """
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    if not groups:
        return None
    value = float(np.mean([group.mean() for group in groups]))
    scenes = sum(len(group) for group in groups)
    if min(len(group) for group in groups) < max(fewest, 2):
        return ClusteredMean(value, None, scenes)
    variance = sum(group.var(ddof=1) / len(group) for group in groups) / len(groups) ** 2
    half = float(stats.t.ppf(0.5 + confidence / 2, scenes - len(groups))) * math.sqrt(variance)
    return ClusteredMean(value, Interval(value - half, value + half), scenes)
