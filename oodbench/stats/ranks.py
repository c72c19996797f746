"""Several policies in the same scenes: which differ, and which ranks each of them can have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.stats.clustered import resampled, sampled_means
from oodbench.stats.multiple import letters
from oodbench.stats.rates import normal_quantile, t_quantile

RESAMPLES = 4000


@dataclass(frozen=True)
class Ranking:
    """mean: by policy. difference[i, j]: mean of i minus mean of j; p: adjusted for all pairs at once; half: what is to
    be added and subtracted for a simultaneous interval. ranks: by policy, the lowest and the highest that are not ruled
    out, 1 is best; all intervals hold at once. letters: equal ones where policies were not told apart."""

    names: tuple[str, ...]
    mean: np.ndarray
    difference: np.ndarray
    half: np.ndarray
    p: np.ndarray
    better: np.ndarray
    ranks: tuple[tuple[int, int], ...]
    letters: tuple[str, ...]


def rank(
    names: Sequence[str], values: Mapping[str, np.ndarray], confidence: float = 0.95, resamples: int = RESAMPLES
) -> Ranking:
    """Compare all pairs of policies by the bootstrap of max |t| over them, resampling scenes within tasks.

    values: by task, (scenes, policies), each policy's mean success in a scene; all policies in the same scenes. A rank
    interval is [1 + policies significantly better, P - policies significantly worse], simultaneous for all policies
    (Mogstad, Romano, Shaikh and Wilhelm 2024, Rev. Econ. Stud. 91, 476-518; Romano and Wolf 2005). Raises ValueError
    when a task has fewer than two scenes.
    """
    groups = [np.asarray(group, float) for group in values.values()]
    if any(len(group) < 2 for group in groups):
        raise ValueError("a task with fewer than two scenes")
    count = len(names)
    mean = np.mean([group.mean(0) for group in groups], axis=0)
    drawn = sampled_means(resampled(("max-t", count), tuple(map(len, groups)), resamples), groups) - mean
    difference = mean[:, None] - mean[None, :]
    spread, largest = np.zeros((count, count)), np.zeros(resamples)
    for i in range(count):
        apart = drawn - drawn[:, i : i + 1]
        own = apart.std(0, ddof=1)
        spread[i] = np.where(own < 1e-9, 0.0, own)
        largest = np.maximum(largest, (np.abs(apart) / np.where(spread[i] > 0, spread[i], np.inf)).max(1))
    few = math.sqrt(np.mean([len(group) / (len(group) - 1) for group in groups]))
    error = few * spread  # a bootstrap of n has (n - 1) / n of the variance
    safe = np.where(error > 0, error, 1.0)
    free = max(sum(len(group) - 1 for group in groups), 1)
    wider = t_quantile(0.5 + confidence / 2, free) / normal_quantile(0.5 + confidence / 2)
    largest = np.sort(largest * wider)
    allowed = max(int((1 - confidence) * (1 + resamples) + 1e-9), 1)
    critical = float(largest[-allowed])  # beyond it, p is at most 1 - confidence
    t = np.where(error > 0, np.abs(difference) / safe, np.where(difference == 0, 0.0, np.inf))
    beyond = resamples - np.searchsorted(largest, t, side="left")
    p = (1 + beyond) / (1 + resamples)
    np.fill_diagonal(p, 1.0)
    better = (t > critical) & (difference > 0)  # [i, j]: i is better than j
    ranks = tuple((1 + int(better[:, i].sum()), count - int(better[i].sum())) for i in range(count))
    best_first = [names[i] for i in np.argsort(-mean, kind="stable")]
    differ = {(names[i], names[j]): bool(better[i, j] or better[j, i]) for i in range(count) for j in range(i)}
    shown = letters(best_first, differ)
    return Ranking(
        tuple(names), mean, difference, critical * error, p, better, ranks, tuple(shown[name] for name in names)
    )
