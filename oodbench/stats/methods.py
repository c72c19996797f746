"""What is said of a method, not of one checkpoint: several training seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.seeding import generator
from oodbench.stats.clustered import resampled, sampled_means
from oodbench.stats.rates import Interval, normal_quantile, t_quantile

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
    Amer. Statist. 69, section 5.3). Luck of a seed in a scene is in the spread of the seeds already, and is taken out
    of the scenes' part. Raises ValueError when there is no seed, or seeds were not played in the same scenes.
    """
    if len({tuple((task, len(group)) for task, group in one.items()) for one in values}) > 1:
        raise ValueError("training seeds that were not played in the same scenes")
    if not values:
        raise ValueError("no training seeds")
    by_seed = [[np.asarray(group, float) for group in one.values() if len(group)] for one in values]
    means = np.array([np.mean([group.mean() for group in groups]) for groups in by_seed])
    count = len(means)
    spread = float(means.std(ddof=1)) if count > 1 else None
    if count < FEWEST_SEEDS:
        return MethodMean(float(means.mean()), None, count, spread)
    rng = generator("method", count)
    noise = np.zeros((resamples, count))  # of each seed's mean, from the scenes, which all seeds share
    for s, groups in enumerate(by_seed):
        counts = resampled(("method", "scenes"), tuple(map(len, groups)), resamples)
        noise[:, s] = sampled_means(counts, groups) - means[s]
    noise *= math.sqrt(_shared(by_seed))
    drawn = rng.integers(count, size=(resamples, count))
    between = means[drawn].mean(1) - means.mean()
    wider = t_quantile(0.5 + confidence / 2, count - 1) / normal_quantile(0.5 + confidence / 2)
    wider *= math.sqrt(count / (count - 1))  # a bootstrap of n values has (n - 1) / n of their variance
    total = wider * between + np.take_along_axis(noise, drawn, 1).mean(1)
    low, high = np.quantile(total, (0.5 - confidence / 2, 0.5 + confidence / 2))
    return MethodMean(
        float(means.mean()), Interval(float(means.mean() + low), float(means.mean() + high)), count, spread
    )


def _shared(by_seed: Sequence[Sequence[np.ndarray]]) -> float:
    """The share of the scenes' part of the variance that all seeds have in common: 1 - MS_error / MS_scenes of a
    two-way analysis of variance of (seeds, scenes), over tasks."""
    scenes = error = 0.0
    for groups in zip(*by_seed, strict=True):
        outcome = np.stack(groups)
        count, many = outcome.shape
        middle, row, column = outcome.mean(), outcome.mean(1, keepdims=True), outcome.mean(0)
        if many > 1:
            scenes += count * float(column.var(ddof=1)) / many
            error += float(((outcome - row - column + middle) ** 2).sum()) / ((count - 1) * (many - 1)) / many
    return max(0.0, 1.0 - error / scenes) if scenes > 0 else 0.0
