"""Means over scenes: the scene, not the episode, is what is independent of its neighbours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from oodbench.seeding import generator
from oodbench.stats.rates import Interval

FEWEST = 10  # scenes a task below which no interval is given
RESAMPLES = 10_000
EXACT = 12  # scenes up to which all sign patterns are tried
_CHUNK = 2_000_000  # numbers drawn at once


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


def sign_flip(values: Mapping[str, Sequence[float]], *, one_sided: bool = False, resamples: int = RESAMPLES) -> float:
    """p-value of "the mean difference is zero" for paired differences, by flipping the signs of whole scenes.

    values: as in `clustered_mean`, each number a scene's mean difference between two policies. Exact for the hypothesis
    that the two policies are exchangeable in every scene, whatever cells share it (Fisher 1935, section 21; Pitman
    1937). All patterns are tried with up to 12 scenes, else `resamples` random ones, the observed one among them.
    one_sided: against a positive mean.
    """
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    weighted = np.concatenate([group / len(group) for group in groups]) if groups else np.zeros(0)
    if not np.any(weighted):
        return 1.0
    observed = weighted.sum()
    if len(weighted) <= EXACT:
        patterns = np.array(np.meshgrid(*[[-1.0, 1.0]] * len(weighted))).reshape(len(weighted), -1).T
        sums = patterns @ weighted
        extreme = sums >= observed - 1e-12 if one_sided else np.abs(sums) >= abs(observed) - 1e-12
        return float(extreme.mean())
    rng, found, left = generator("sign-flip", len(weighted)), 1, resamples - 1
    while left > 0:
        rows = min(left, max(1, _CHUNK // len(weighted)))
        signs = rng.integers(0, 2, (rows, len(weighted)), dtype=np.int8) * 2 - 1
        sums = signs @ weighted
        found += int((sums >= observed - 1e-12 if one_sided else np.abs(sums) >= abs(observed) - 1e-12).sum())
        left -= rows
    return found / resamples


def bootstrap(
    values: Mapping[str, Sequence[float]], confidence: float = 0.95, resamples: int = RESAMPLES
) -> Interval | None:
    """Percentile interval of the mean over tasks of the mean over scenes, resampling scenes within each task.

    None under the same conditions as the interval of `clustered_mean`.
    """
    groups = [np.asarray(group, float) for group in values.values() if len(group)]
    if not groups or min(len(group) for group in groups) < FEWEST:
        return None
    rng = generator("cluster-bootstrap", len(groups))
    drawn = np.zeros(resamples)
    for group in groups:
        rows = max(1, _CHUNK // len(group))
        for start in range(0, resamples, rows):
            count = min(rows, resamples - start)
            drawn[start : start + count] += group[rng.integers(len(group), size=(count, len(group)))].mean(1)
    low, high = np.quantile(drawn / len(groups), (0.5 - confidence / 2, 0.5 + confidence / 2))
    return Interval(float(low), float(high))


def design_effect(scenes: Sequence[Sequence[float]]) -> float:
    """How much larger the variance of the mean is than if all episodes were independent (Kish 1965, section 5.4).

    scenes: the outcomes (or differences) of the cells that share each scene. 1: sharing costs nothing. n / this is the
    number of independent episodes that would say as much.
    """
    means = np.array([np.mean(scene) for scene in scenes])
    sizes = np.array([len(scene) for scene in scenes], float)
    every = np.concatenate([np.asarray(scene, float) for scene in scenes])
    spread = every.var(ddof=1)
    if len(means) < 2 or spread == 0:
        return 1.0
    weights = sizes / sizes.sum()
    middle = float(weights @ means)
    clustered = len(means) / (len(means) - 1) * float((weights**2) @ (means - middle) ** 2)
    return clustered / (spread / len(every))
