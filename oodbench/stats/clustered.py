"""Means over scenes: the scene, not the episode, is what is independent of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from oodbench.seeding import generator
from oodbench.stats.rates import Interval, score_interval, t_quantile
from oodbench.stats.sums import weighted

FEWEST = 10  # scenes, not counting all but one of the tasks, below which no interval is given
RESAMPLES = 10_000
LEAST_FREE = 5  # degrees of freedom
_SEED_BITS = 40
EXACT = 12  # scenes up to which all sign patterns are tried
_CHUNK = 2_000_000  # numbers drawn at once


@dataclass(frozen=True)
class ClusteredMean:
    """interval is None where there are too few scenes to say how much they vary."""

    value: float
    interval: Interval | None
    scenes: int


Scenes = Mapping[Any, Sequence[float] | np.ndarray]  # by task, one number a scene


def scene_codes(task: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """A number for the scene of each episode: all cells of a task's seed share it. task, seed: whole numbers >= 0."""
    return (task.astype(np.int64) << _SEED_BITS) | seed.astype(np.int64)


def scene_task(scene: np.ndarray) -> np.ndarray:
    """The tasks' numbers of scenes of `scene_codes`."""
    return scene >> _SEED_BITS


def by_task(scenes: np.ndarray, values: np.ndarray) -> dict[int, np.ndarray]:
    """By task, the values of its scenes. scenes: of `scene_codes`, rising; values: (scenes, ...)."""
    task = scene_task(scenes)
    return {int(t): values[task == t] for t in np.unique(task)}


def paired_scenes(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> dict[int, np.ndarray]:
    """By task, (scenes, 2): the means of two sets of episodes, (scene codes, values), in the scenes that both have."""
    (a, mean_a), (b, mean_b) = _means(*one), _means(*other)
    both, mine, theirs = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return by_task(both, np.stack([mean_a[mine], mean_b[theirs]], axis=1))


def _means(scene: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scenes, inverse = np.unique(scene, return_inverse=True)
    return scenes, np.bincount(inverse, values, len(scenes)) / np.bincount(inverse, minlength=len(scenes))


def clustered_mean(values: Scenes, confidence: float = 0.95, fewest: int = FEWEST) -> ClusteredMean | None:
    """The mean over tasks of the mean over scenes, with a t interval whose unit is the scene.

    values: by task, one number a scene (already averaged over the cells that share it). theta = mean_t mean_k z_tk,
    Var = sum_t s_t^2 / (T^2 K_t), t quantile with sum(K_t - 1) degrees of freedom (Miller 2024, arXiv 2411.00640,
    section 2.2, with tasks as strata). No interval with fewer than `fewest` - 1 degrees of freedom. None when there are
    no values.
    """
    found = moments(values, fewest)
    if found is None:
        return None
    value, variance, free, scenes = found
    if variance is None:
        return ClusteredMean(value, None, scenes)
    half = t_quantile(0.5 + confidence / 2, free) * math.sqrt(variance)
    return ClusteredMean(value, Interval(value - half, value + half), scenes)


def clustered_rate(
    values: Scenes, episodes: int, confidence: float = 0.95, fewest: int = FEWEST, holding: int | None = None
) -> ClusteredMean | None:
    """As `clustered_mean`, for success rates, also such near 0 or 1: Wilson's interval of as many independent episodes
    as would vary as much (Kish 1965, section 8.2; Franco, Little, Louis and Slud 2019, J. Surv. Stat. Methodol. 7).

    values: by task, the success rate of each scene. episodes: how many they are of, the most that the interval may be
    worth. Where all scenes agree, each counts once. Where several episodes share a scene, the variance is known only as
    well as the scenes that hold the rarer outcome tell (`holding`; by default counted from rates): the quantile is of t
    with as many degrees of freedom, but five.
    """
    found = moments(values, fewest)
    if found is None:
        return None
    value, variance, free, scenes = found
    if variance is None:
        return ClusteredMean(value, None, scenes)
    worth = float(scenes) if variance == 0 else min(float(episodes), value * (1 - value) / variance)
    if variance > 0 and scenes < episodes:
        if holding is None:
            every = np.concatenate([np.asarray(group, float) for group in values.values()])
            holding = int(min((every > 0).sum(), (every < 1).sum()))
        free = min(free, max(LEAST_FREE, holding - 1))
    z = t_quantile(0.5 + confidence / 2, free)
    return ClusteredMean(value, score_interval(min(max(value, 0.0), 1.0), max(worth, 1.0), z), scenes)


class Moments(NamedTuple):
    """Of a mean over tasks and scenes. variance: None with too few scenes. free: its degrees of freedom."""

    value: float
    variance: float | None
    free: int
    scenes: int


def moments(values: Scenes, fewest: int = FEWEST) -> Moments | None:
    """The mean and its variance, as `clustered_mean` says; None without values."""
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    if not groups:
        return None
    value = math.fsum(float(group.mean()) for group in groups) / len(groups)
    scenes = sum(len(group) for group in groups)
    free = scenes - len(groups)
    if free < max(fewest - 1, 1) or min(len(group) for group in groups) < 2:
        return Moments(value, None, free, scenes)
    variance = math.fsum(float(group.var(ddof=1)) / len(group) for group in groups) / len(groups) ** 2
    return Moments(value, variance, free, scenes)


def sign_flip(values: Scenes, *, one_sided: bool = False, resamples: int = RESAMPLES) -> float:
    """p-value of "the mean difference is zero" for paired differences, by flipping the signs of whole scenes.

    values: as in `clustered_mean`, each number what a scene adds to the mean difference between two policies
    (`blocks.shares`; where every scene has every cell, its mean difference). Exact for the hypothesis
    that the two policies are exchangeable in every scene, whatever cells share it (Fisher 1935, section 21; Pitman
    1937). All patterns are tried with up to 12 scenes, else `resamples` random ones, the observed one among them.
    one_sided: against a positive mean.
    """
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    shares = np.concatenate([group / len(group) for group in groups]) if groups else np.zeros(0)
    if not np.any(shares):
        return 1.0
    observed = float(shares.sum())
    if len(shares) <= EXACT:
        patterns = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(shares))).reshape(len(shares), -1).T
        sums = weighted(patterns, shares)
        extreme = sums >= observed - 1e-12 if one_sided else np.abs(sums) >= abs(observed) - 1e-12
        return float(extreme.mean())
    rng, found, left = generator("sign-flip", len(shares)), 1, resamples - 1
    while left > 0:
        rows = min(left, max(1, _CHUNK // len(shares)))
        signs = rng.integers(0, 2, (rows, len(shares)), dtype=np.int8) * 2 - 1
        sums = weighted(signs, shares)
        found += int((sums >= observed - 1e-12 if one_sided else np.abs(sums) >= abs(observed) - 1e-12).sum())
        left -= rows
    return found / resamples


@lru_cache(maxsize=16)
def resampled(stream: tuple[str | int, ...], sizes: tuple[int, ...], resamples: int) -> tuple[np.ndarray, ...]:
    """By task, (resamples, scenes): how often each scene is in each bootstrap sample, whole numbers that add up to the
    scenes; what `sampled_means` takes.

    stream: names the random stream. sizes: scenes of each task. Whatever is asked for in the same words shares its
    samples, which is also what makes differences of two such means paired.
    """
    rng = generator(*stream)
    return tuple(rng.multinomial(n, np.full(n, 1 / n), size=resamples).astype(np.float64) for n in sizes)


def sampled_means(counts: Sequence[np.ndarray], groups: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over tasks of the mean over scenes, in each bootstrap sample.

    Args:
        counts: By task, (resamples, scenes), of `resampled`.
        groups: By task, (scenes,) or (scenes, columns).

    Returns:
        (resamples,) or (resamples, columns).
    """
    drawn = [weighted(count, group) / len(group) for count, group in zip(counts, groups, strict=True)]
    return np.mean(drawn, axis=0)


def bootstrap(values: Scenes, confidence: float = 0.95, resamples: int = RESAMPLES) -> Interval | None:
    """Percentile interval of the mean over tasks of the mean over scenes, resampling scenes within each task.

    None under the same conditions as the interval of `clustered_mean`.
    """
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    found = moments(values)
    if found is None or found.variance is None:
        return None
    drawn = sampled_means(resampled(("cluster-bootstrap", len(groups)), tuple(map(len, groups)), resamples), groups)
    low, high = np.quantile(drawn, (0.5 - confidence / 2, 0.5 + confidence / 2))
    return Interval(float(low), float(high))
