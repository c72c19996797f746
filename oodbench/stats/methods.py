"""What is said of a method, not of one checkpoint: several training seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from oodbench.seeding import generator
from oodbench.stats.rates import Interval

RESAMPLES = 4000
FEWEST_SEEDS = 3


@dataclass(frozen=True)
class MethodMean:
    """value: mean over training seeds. interval: None with fewer than three. spread: between training seeds (SD)."""

    value: float
    interval: Interval | None
    seeds: int
    spread: float | None


def method_mean(
    values: Sequence[Mapping[str, Sequence[float]]], confidence: float = 0.95, resamples: int = RESAMPLES
) -> MethodMean:
    """Success of a method, by a hierarchical bootstrap: training seeds first, then scenes within tasks.

    values: a training seed each; by task, one number a scene, the same scenes for all seeds. With few seeds a
    percentile interval is too narrow; the seeds' part is therefore scaled by t / z of their number (Hesterberg 2015,
    Amer. Statist. 69, section 5.3). Raises ValueError when there is no seed.
    """
    if not values:
        raise ValueError("no training seeds")
    by_seed = [[np.asarray(group, float) for group in one.values() if len(group)] for one in values]
    means = np.array([np.mean([group.mean() for group in groups]) for groups in by_seed])
    count = len(means)
    spread = float(means.std(ddof=1)) if count > 1 else None
    if count < FEWEST_SEEDS:
        return MethodMean(float(means.mean()), None, count, spread)
    rng = generator("method", count)
    noise = np.zeros((resamples, count))  # of each seed's mean, from its scenes
    for s, groups in enumerate(by_seed):
        for group in groups:
            weights = rng.multinomial(len(group), np.full(len(group), 1 / len(group)), size=resamples) / len(group)
            noise[:, s] += (weights @ group - group.mean()) / len(groups)
    drawn = rng.integers(count, size=(resamples, count))
    between = means[drawn].mean(1) - means.mean()
    wider = float(stats.t.ppf(0.5 + confidence / 2, count - 1) / stats.norm.ppf(0.5 + confidence / 2))
    wider *= (count / (count - 1)) ** 0.5  # a bootstrap of n values has (n - 1) / n of their variance
    total = wider * between + np.take_along_axis(noise, drawn, 1).mean(1)
    low, high = np.quantile(total, (0.5 - confidence / 2, 0.5 + confidence / 2))
    return MethodMean(
        float(means.mean()), Interval(float(means.mean() + low), float(means.mean() + high)), count, spread
    )
