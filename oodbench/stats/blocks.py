"""From episodes to one number a scene, also where a scene is played in some of the cells only.

A mean over a task's episodes is taken with a weight for each. What it varies by, if other scenes had been drawn, is
what each scene adds to it: the sum over its episodes of weight times distance from the mean of their cell, since every
cell is played whatever the scenes are. `by_scene` gives numbers whose mean is the task's mean and whose spread is that,
so that intervals, bootstraps and rankings over scenes take them like plain means (linearisation: Binder 1983, Int.
Stat. Rev. 51; with cells as strata). Where every scene has every cell they are the means over each scene's episodes.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.stats.clustered import FEWEST, ClusteredMean, by_task, clustered_rate, moments, scene_task
from oodbench.stats.rates import Interval

_DIGITS = 48
LEAST = 0.25  # of the squares of what scenes add, which are too large by what few episodes a cell has


def by_scene(
    scene: np.ndarray,
    cell: np.ndarray,
    values: np.ndarray,
    weights: np.ndarray | None = None,
    among: np.ndarray | None = None,
) -> dict[int, np.ndarray]:
    """By task, a number for each scene, in the order of the seeds.

    A cell of one episode has nothing to be measured against: those of a task and of one sign of weight are taken
    together as one cell, which makes the spread rather too large.

    Args:
        scene: (episodes,), of `clustered.scene_codes`.
        cell: (episodes,), whole numbers from 0, equal in the episodes of one shift and severity.
        values: (episodes,).
        weights: (episodes,), with which values are summed over each task; by default a task's mean.
        among: Scenes of the same tasks that are counted though none of the episodes is played in them; their number is
            the task's mean.

    Returns:
        Their mean over a task's scenes is the sum of weight x value.
    """
    if not len(scene):
        return {}
    scenes, place = np.unique(scene, return_inverse=True)
    task = scene_task(scene)
    codes, of = np.unique(task, return_inverse=True)
    counted = weights is None
    weights = _mean_weights(scene) if weights is None else weights
    total = np.bincount(of, values) / np.bincount(of) if counted else _sums(of, weights * values)
    stratum = _strata(of, cell, weights)
    size = _sums(stratum, weights)
    share = weights / size[stratum]
    middle = _sums(stratum, share * values)
    alike = _sums(stratum, share * share)[stratum]  # 1 / episodes of the cell, where all weigh the same
    apart = np.where(alike < 1.0 - 1e-9, weights * (values - middle[stratum]), 0.0)
    everywhere = scenes if among is None else np.union1d(scenes, among)
    counts = np.bincount(np.searchsorted(codes, scene_task(everywhere)), minlength=len(codes))
    # Distances from a mean of e are too small by (e - 1) / e, squared. Products of two in one scene are so by
    # 1 - 2 / e + m / e^2, where the two cells meet in m scenes: in all e, or one, or what is usual among K scenes.
    one = 1.0 / np.maximum(1.0 - alike, 1e-9)
    two = 1.0 / np.maximum(1.0 - 2 * alike + np.maximum(alike * alike, 1.0 / counts[of]), 1e-9)
    added = np.zeros(len(everywhere))
    added[np.searchsorted(everywhere, scenes)] = _sums(place, apart * np.sqrt(two))
    surplus = _sums(of, counts[of] * apart * apart * (two - one)) / counts
    found = {}
    for number, (code, mine) in enumerate(by_task(everywhere, added).items()):
        square, count = float((mine * mine).sum()), len(mine)
        kept = max(1.0 - float(surplus[number]) / square, LEAST) if square > 0 else 0.0
        found[code] = total[number] + math.sqrt(count * (count - 1) * kept) * (mine - mine.mean())
    return found


def _strata(task: np.ndarray, cell: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A number for the cell of each episode; those of one episode are one, by task and sign of weight."""
    _, code = np.unique(task * (int(cell.max()) + 1) + cell, return_inverse=True)
    alone = np.bincount(code)[code] == 1
    together = int(code.max()) + 1 + 2 * task + (weights < 0)
    return np.unique(np.where(alone, together, code), return_inverse=True)[1]


def shares(scene: np.ndarray, values: np.ndarray, weights: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """By task, what each scene's episodes add to the weighted sum, times the number of its scenes.

    What a test that flips the signs of scenes needs: it knows of no cells. Arguments as of `by_scene`.
    """
    if weights is None:
        weights = _mean_weights(scene)
    scenes, place = np.unique(scene, return_inverse=True)
    found = by_task(scenes, _sums(place, values * weights))
    return {task: len(sums) * sums for task, sums in found.items()}


def _sums(place: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The sum of the values at each place, of which none is above 16: multiples of 2^-48, whose sums are exact, so that
    the order of the records, which workers end in, has no part in it."""
    return np.bincount(place, np.ldexp(np.rint(np.ldexp(values, _DIGITS)), -_DIGITS))


def _mean_weights(scene: np.ndarray) -> np.ndarray:
    task = scene_task(scene)
    return 1.0 / np.bincount(task)[task] if len(task) else np.zeros(0)


def rate(
    scene: np.ndarray,
    cell: np.ndarray,
    success: np.ndarray,
    weights: np.ndarray | None = None,
    confidence: float = 0.95,
    fewest: int = FEWEST,
) -> tuple[ClusteredMean, float | None] | None:
    """The mean over tasks of a success rate, with an interval whose unit is the scene, and its design effect.

    The design effect says how much larger the variance of the mean is than if all episodes were drawn on their own
    (Kish 1965, section 8.2): n / this is the number of independent episodes that would say as much. Sharing scenes
    makes it larger, and so does a task of few episodes that counts as much as the others; that every cell has its fixed
    part makes it smaller. 1 where all outcomes are the same; None where too few scenes say how much they vary.

    Args:
        scene: As of `by_scene`.
        cell: As of `by_scene`.
        success: (episodes,) of 0 and 1.
        weights: As of `by_scene`.
        confidence: Of the interval.
        fewest: Scenes, as in `clustered_mean`.

    Returns:
        None without episodes.
    """
    values = by_scene(scene, cell, success, weights)
    holding = min((len(np.unique(scene[success == outcome])) for outcome in (0, 1)), default=0)
    found = clustered_rate(values, len(success), confidence, fewest, holding)
    if found is None:
        return None
    won, count = int(success.sum()), len(success)
    spread = won * (count - won) / (count * max(count - 1, 1))
    variance = moments(values, fewest).variance  # type: ignore[union-attr]
    effect = None if variance is None else variance * len(success) / spread if spread else 1.0
    return found, effect


def gap_weights(scene: np.ndarray, plain: np.ndarray, shifted: np.ndarray) -> np.ndarray:
    """The weights that make a task's sum its in-distribution minus its shifted success, in the same scenes.

    Every shifted episode is compared with the in-distribution one of its scene, its twin.

    Args:
        scene: (episodes,), of `clustered.scene_codes`.
        plain: (episodes,), mask of the in-distribution episodes.
        shifted: (episodes,), mask of the shifted ones.

    Returns:
        (episodes,), 0 for those that have no twin.
    """
    shifted = shifted & np.isin(scene, scene[plain])
    task = scene_task(scene)
    count = np.bincount(task[shifted], minlength=int(task.max(initial=0)) + 1)
    scenes, place = np.unique(scene, return_inverse=True)
    below = np.bincount(place[shifted], minlength=len(scenes))[place]  # shifted episodes of the scene
    twins = np.bincount(place[plain], minlength=len(scenes))[place]
    each = 1.0 / np.maximum(count, 1)[task]
    return np.where(shifted, -each, np.where(plain, each * below / np.maximum(twins, 1), 0.0))


def gap(
    scene: np.ndarray, cell: np.ndarray, success: np.ndarray, weights: np.ndarray, confidence: float = 0.95
) -> ClusteredMean | None:
    """The mean over tasks of the gap between two success rates, with an interval whose unit is the scene.

    The interval is made of those of the two rates and of how the two go together over the scenes (Zou and Donner 2008,
    Statist. Med. 27, 1693, section 2), so that it is wide enough for rates near 0 and 1 too.

    Args:
        scene: As of `by_scene`.
        cell: As of `by_scene`.
        success: (episodes,) of 0 and 1.
        weights: (episodes,), of `gap_weights`.
        confidence: Of the interval.

    Returns:
        None where no episode has a twin. No interval under the same conditions as that of `clustered_mean`.
    """
    sides = []
    for weight in (np.maximum(weights, 0.0), np.maximum(-weights, 0.0)):
        rows = weight > 0
        here = (scene[rows], cell[rows], success[rows], weight[rows])
        sides.append((rate(*here, confidence), by_scene(*here)))
    (plain, ones), (shifted, others) = sides
    if plain is None or shifted is None:
        return None
    (a, _), (b, _) = plain, shifted
    value = a.value - b.value
    if a.interval is None or b.interval is None:
        return ClusteredMean(value, None, a.scenes)
    pairs = [(one - one.mean(), others[task] - others[task].mean()) for task, one in ones.items()]
    mine, theirs, both = (
        math.fsum(float((x * y).sum()) / (len(x) - 1) / len(x) for x, y in products)
        for products in ([(x, x) for x, _ in pairs], [(y, y) for _, y in pairs], pairs)
    )
    alike = min(max(both / math.sqrt(mine * theirs), -1.0), 1.0) if mine * theirs > 0 else 0.0

    def off(one: float, other: float) -> float:
        return math.sqrt(max(one * one + other * other - 2 * alike * one * other, 0.0))

    low = value - off(a.value - a.interval.low, b.interval.high - b.value)
    high = value + off(a.interval.high - a.value, b.value - b.interval.low)
    return ClusteredMean(value, Interval(low, high), a.scenes)
