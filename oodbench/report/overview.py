"""The main table of a report and of the leaderboard: a row a policy, and who is told apart from whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from oodbench.report.summary import RunSummary, Score
from oodbench.report.tables import think_rows
from oodbench.run.columns import Episodes, episode_codes
from oodbench.run.records import PLAIN
from oodbench.stats.blocks import by_scene
from oodbench.stats.clustered import FEWEST, ClusteredMean, scene_codes
from oodbench.stats.methods import method_mean
from oodbench.stats.ranks import Ranking, rank
from oodbench.stats.rates import Rate

MOST_LETTERS = 26  # beyond which letters say nothing to a reader, and only the best group is marked
KINDS = ("checkpoint", "method", "control")


@dataclass(frozen=True)
class Row:
    """A policy, or a method: the mean of its training seeds' checkpoints. score: what the table is sorted by: success
    under all shifts, or over everything in a suite without any. rank: the ranks that are not ruled out, among those
    that compete; None for a row that is not ranked, and why not. corrected: the chance-corrected score of choosing,
    where think tasks were played. fresh: success on fresh scenes minus on the public ones."""

    name: str
    kind: str
    score: Score
    axes: Mapping[str, Score]
    shifts: Mapping[str, Score]
    gap: ClusteredMean | None
    area: ClusteredMean | None
    worst: tuple[str, Score] | None
    episodes: int
    errors: int
    privileged: bool = False
    seeds: int | None = None
    rank: tuple[int, int] | None = None
    letters: str = ""
    partial: bool = False
    unranked: str = ""
    href: str = ""
    verified: str = ""
    fresh: ClusteredMean | None = None
    corrected: ClusteredMean | None = None


def headline(run: RunSummary) -> np.ndarray:
    """Mask of the episodes that the main score is of."""
    shifted = run.episodes.shifted
    return shifted if shifted.any() else run.episodes.axis.is_("id")


def row_of(run: RunSummary, kind: str = "checkpoint", **more: object) -> Row:
    return Row(
        name=run.label, kind=kind, score=run.score(headline(run)), axes=run.axes,
        shifts={name: shift.score for name, shift in run.shifts.items()}, gap=run.gap, area=run.area, worst=run.worst,
        episodes=len(run.episodes), errors=run.errors, privileged=run.privileged,
        corrected=_corrected(run), **{"partial": run.partial, **more},  # type: ignore[arg-type]
    )  # fmt: skip


def _named(run: RunSummary, values: Mapping[int, np.ndarray]) -> dict[str, list[float]]:
    """By the task's name, in one order for all runs."""
    names = run.episodes.task.names
    return {names[task]: values[task].tolist() for task in sorted(values, key=lambda task: names[task])}


def _corrected(run: RunSummary) -> ClusteredMean | None:
    rows = think_rows(run)
    if not rows or rows[-1].score is None:
        return None
    return ClusteredMean(rows[-1].score, rows[-1].interval, rows[-1].success.n)


def row_of_method(name: str, runs: Sequence[RunSummary]) -> Row:
    """Of the checkpoints of one method, a training seed each, on the same suite."""

    def score(of: list[Score], masks: list[np.ndarray]) -> Score:
        scenes = [
            by_scene(r.episodes.scene_codes[m], r.episodes.cell_codes[m], r.episodes.success[m])
            for r, m in zip(runs, masks, strict=True)
        ]
        found = method_mean([_named(r, one) for r, one in zip(runs, scenes, strict=True)])
        return Score(found.value, found.interval, min(s.scenes for s in of), sum((s.rate for s in of), Rate(0, 0)))

    def over(names: set[str], column: str) -> dict[str, Score]:
        found = {}
        for group in sorted(names):
            of = [run.axes[group] if column == "axis" else run.shifts[group].score for run in runs]
            masks = [getattr(run.episodes, column).is_(group) & run.episodes.scored for run in runs]
            found[group] = score(of, masks)
        return found

    masks = [headline(run) & run.episodes.scored for run in runs]
    axes = over(set.intersection(*(set(run.axes) for run in runs)), "axis")
    shifts = over(set.intersection(*(set(run.shifts) for run in runs)), "shift")

    def mean(of: list[dict[int, np.ndarray]]) -> ClusteredMean | None:
        if not all(of):
            return None
        found = method_mean([_named(run, one) for run, one in zip(runs, of, strict=True)])
        return ClusteredMean(found.value, found.interval, sum(map(len, of[0].values())))

    able = [s for s in shifts if runs[0].shifts[s].axis not in PLAIN]
    worst = min(able, key=lambda s: shifts[s].value or 0.0) if able else None
    return Row(
        name=name, kind="method", score=score([run.score(headline(run)) for run in runs], masks), axes=axes,
        shifts=shifts, gap=mean([run.gaps for run in runs]),
        area=mean([run.areas for run in runs]),
        worst=(worst, shifts[worst]) if worst else None,
        episodes=sum(len(run.episodes) for run in runs), errors=sum(run.errors for run in runs), seeds=len(runs),
        unranked="a mean of checkpoints",
    )  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """Runs of one suite in the same scenes, compared with each other all at once."""

    runs: tuple[RunSummary, ...]
    ranking: Ranking

    @cached_property
    def ranks(self) -> dict[str, tuple[int, int]]:
        """By label, among the runs that see no more than a policy may."""
        found = {}
        competing = np.array([not run.privileged for run in self.runs])
        better = self.ranking.better & competing[:, None]
        for i, run in enumerate(self.runs):
            if competing[i]:
                worse = self.ranking.better[i] & competing
                found[run.label] = (1 + int(better[:, i].sum()), int(competing.sum() - worse.sum()))
        return found

    @cached_property
    def letters(self) -> dict[str, str]:
        """By label. Runs that share a letter were not told apart; where there are too many letters to read, only those
        that were not told apart from the best one are marked."""
        given = dict(zip(self.ranking.names, self.ranking.letters, strict=True))
        if len(set("".join(given.values()))) > MOST_LETTERS:
            best = max(range(len(self.runs)), key=lambda i: self.ranking.mean[i])
            given = {run.label: "" if self.ranking.better[best, i] else "top" for i, run in enumerate(self.runs)}
        return given


def standing(runs: Sequence[RunSummary]) -> Standing | None:
    """Of those runs that were played whole, in the same scenes; None when fewer than two were, or in too few scenes."""
    whole = [run for run in runs if not run.partial and (run.episodes.scored | ~headline(run)).all()]
    if len(whole) < 2:
        return None
    first: dict[int, np.ndarray] = {}
    columns = []
    for run in whole:
        mask, e = headline(run), run.episodes
        if not _same_scenes(whole[0].episodes, e):
            return None
        task = e.task.coded(whole[0].episodes.task.names)
        means = by_scene(scene_codes(task[mask], e.seed[mask]), e.cell_codes[mask], e.success[mask])
        first = first or means
        columns.append(means)
    sizes = [len(scenes) for scenes in first.values()]
    if min(sizes) < 2 or sum(sizes) - len(sizes) < FEWEST - 1:
        return None
    values = {str(task): np.stack([means[task] for means in columns], axis=1) for task in first}
    return Standing(tuple(whole), rank([run.label for run in whole], values))


def _same_scenes(one: Episodes, other: Episodes) -> bool:
    """Whether both hold the same episodes, each in the same scene."""
    mine, theirs = episode_codes(one, other)
    if len(mine) != len(theirs):
        return False
    a, b = np.argsort(mine), np.argsort(theirs)
    return bool((mine[a] == theirs[b]).all() and (one.scene[a] == other.scene[b]).all())


def ordered(rows: Sequence[Row]) -> list[Row]:
    """Best first; those that were not played whole behind the others, since theirs is another score."""

    def place(row: Row) -> tuple[bool, float, str]:
        return row.partial, -(row.score.value if row.score.value is not None else -1.0), row.name

    return sorted(rows, key=place)
