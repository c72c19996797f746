"""Severity curves: what they add up to, how sure they are, and where they break."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import integrate, optimize

from oodbench.stats.clustered import ClusteredMean, clustered_mean, resampled, sampled_means
from oodbench.stats.rates import Interval, normal_quantile, t_quantile, wilson
from oodbench.stats.sums import arcsine, sine_squared

RESAMPLES = 4000


def area_under(curve: Mapping[float, float]) -> float | None:
    """Area under a curve of success rate over severity, as a share of its range, by the trapezoid rule.

    curve: severity -> rate, with the in-distribution rate at 0. 1 means full success at every severity that was played.
    None with fewer than two points.
    """
    points = sorted(curve.items())
    if len(points) < 2:
        return None
    area = sum((b - a) * (p + q) / 2 for (a, p), (b, q) in pairwise(points))
    return area / (points[-1][0] - points[0][0])


def trapezoid_weights(levels: Sequence[float]) -> np.ndarray:
    """How much each level counts in `area_under`: (levels,), of sum 1."""
    steps = np.diff(np.asarray(levels, float))
    return (np.append(steps, 0.0) + np.append(0.0, steps)) / 2 / (levels[-1] - levels[0])


@dataclass(frozen=True)
class Curve:
    """levels: severities, 0 first. rate: mean success at each. band: intervals that hold for the whole curve at once.

    area: under the curve, as a share of its range, with its interval. fitted: the closest curve that never rises. half:
    the severity at which it falls to half of its start; None when it does not. slope: success lost a level, with its
    interval; above zero when more of the shift does more harm.
    """

    levels: tuple[float, ...]
    rate: tuple[float, ...]
    band: tuple[Interval, ...]
    area: float
    area_interval: Interval
    fitted: tuple[float, ...]
    half: float | None
    slope: ClusteredMean | None


def curve(
    levels: Sequence[float],
    values: Mapping[str, np.ndarray],
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    episodes: Sequence[int] | None = None,
) -> Curve:
    """A severity curve with everything that can be said of it.

    levels: severities in order. values: by task, (scenes, levels), success of each scene at each level, or numbers of
    `blocks.by_scene` where scenes are not played at all of them. episodes: of each level; by default the scenes. The
    band is simultaneous by the bootstrap of max |t| over levels, on the scale of
    arcsin(sqrt(rate)), where the spread of a rate does not depend on it; scenes are resampled within tasks. Where all
    scenes agree it is Wilson's, at the same error shared among the levels. The area is by the trapezoid rule. Raises
    ValueError when there are fewer than two levels or scenes a task.
    """
    groups = [np.asarray(group, float) for group in values.values()]
    at = np.asarray(levels, float)
    if len(at) < 2 or any(len(group) < 2 for group in groups):
        raise ValueError("a curve needs two levels, and two scenes a task")
    rate = np.mean([group.mean(0) for group in groups], axis=0)
    drawn = sampled_means(resampled(("severity-band", len(at)), tuple(map(len, groups)), resamples), groups)
    scenes = sum(map(len, groups))
    wider = math.sqrt(scenes / max(scenes - len(groups), 1))  # a bootstrap of n has (n - 1) / n of the variance
    band = _band(rate, drawn, wider, episodes or [scenes] * len(at), len(groups), confidence)
    areas = integrate.trapezoid(drawn, at, axis=1)
    low, high = np.quantile(areas / (at[-1] - at[0]), (0.5 - confidence / 2, 0.5 + confidence / 2))
    area = area_under(dict(zip(at.tolist(), rate.tolist(), strict=True)))
    assert area is not None
    fitted = never_rising(rate)
    centred = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    slopes = {task: (-(group * centred).sum(1)).tolist() for task, group in zip(values, groups, strict=True)}
    return Curve(
        tuple(at.tolist()), tuple(rate.tolist()), band, area, Interval(float(low), float(high)), tuple(fitted),
        half_point(at, fitted), clustered_mean(slopes, confidence),
    )  # fmt: skip


def _band(
    rate: np.ndarray, drawn: np.ndarray, wider: float, episodes: Sequence[int], tasks: int, confidence: float
) -> tuple[Interval, ...]:
    """rate, episodes: (levels,); drawn: (resamples, levels), the bootstrap of the rates."""
    middle, around = (arcsine(np.sqrt(np.clip(x, 0, 1))) for x in (rate, drawn))
    error = np.sqrt(((around - middle) ** 2).mean(0))
    largest = (np.abs(around - middle) / np.where(error > 1e-6, error, 1.0)).max(1)
    free = max(min(episodes) - tasks, 1)  # what the bootstrap lacks of a t distribution with few scenes
    tail = 0.5 + confidence / 2
    wider *= t_quantile(tail, free) / normal_quantile(tail)
    half = float(np.quantile(largest, confidence) * wider) * error
    level = 1 - (1 - confidence) / len(rate)
    flat = [wilson(min(max(round(float(r) * n), 0), n), n, level) for r, n in zip(rate, episodes, strict=True)]
    return tuple(
        Interval(sine_squared(max(m - h, 0.0)), sine_squared(min(m + h, math.pi / 2))) if e > 1e-6 else f
        for m, h, e, f in zip(middle.tolist(), half.tolist(), error.tolist(), flat, strict=True)
    )


def never_rising(rate: Sequence[float] | np.ndarray) -> list[float]:
    """The closest values, in least squares, that never rise: isotonic regression by pooling adjacent violators."""
    return optimize.isotonic_regression(np.asarray(rate, float), increasing=False).x.tolist()


def half_point(levels: Sequence[float] | np.ndarray, fitted: Sequence[float]) -> float | None:
    """Where a curve that never rises falls to half of its start, between its points; None when it stays above."""
    goal = fitted[0] / 2
    for (a, p), (b, q) in pairwise(zip(levels, fitted, strict=True)):
        if p > goal >= q:
            return float(a + (b - a) * (p - goal) / (p - q))
    return None
