"""Run folders summed up as plain data; every page and table is drawn from this."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import RunFolderError
from oodbench.run import columns
from oodbench.run.columns import Episodes
from oodbench.run.info import RunInfo, read_info
from oodbench.run.records import AXES, COMPRESSED, PLAIN
from oodbench.stats import blocks
from oodbench.stats.blocks import by_scene
from oodbench.stats.clustered import ClusteredMean
from oodbench.stats.rates import Interval, Rate
from oodbench.stats.retention import retention
from oodbench.stats.severity import Curve, curve, trapezoid_weights

FAILURES = (  # in the order in which an episode gets that far
    "never-reached",
    "not-grasped",
    "not-moved",
    "wrong-object",
    "dropped",
    "wrong-place",
    "not-released",
    "timeout",
)
SCORE_NOTE = (
    "The mean over tasks; the scene is the unit of the interval, since all cells of a seed start from it (none under "
    "10 scenes, not counting all but one of the tasks)."
)
OUTCOMES = ("success", *FAILURES, "error")
MANY = 1000  # scenes, beyond which fewer bootstrap samples do
Cell = tuple[str, str, float]


@dataclass(frozen=True)
class Score:
    """Success over several cells: the mean over tasks, with an interval whose unit is the scene, since all cells of a
    seed share it; None where there are too few scenes. rate: of all episodes, pooled. design_effect: episodes for each
    one that is worth as much as an independent one (`blocks.design_effect`)."""

    value: float | None
    interval: Interval | None
    scenes: int
    rate: Rate
    design_effect: float | None = None

    @property
    def n(self) -> int:
        return self.rate.n


@dataclass(frozen=True)
class ShiftSummary:
    """levels: severity -> rate over all tasks that have the shift, their in-distribution rate at 0. curve: from the
    tasks that were played at all levels; None without two scenes a task. score: over all severities."""

    name: str
    axis: str
    score: Score
    levels: dict[float, Rate]
    curve: Curve | None


@dataclass(frozen=True)
class RunSummary:
    """One run: what it was, and its numbers."""

    path: Path
    info: RunInfo
    episodes: Episodes
    label: str

    @property
    def planned(self) -> int:
        planned = self.info.plan.episodes
        return len(self.episodes) if planned is None else planned

    @property
    def partial(self) -> bool:
        return len(self.episodes) < self.planned

    @property
    def privileged(self) -> bool:
        return self.info.policy.privileged

    @property
    def errors(self) -> int:
        return int((~self.episodes.scored).sum())

    def score(self, mask: np.ndarray, confidence: float = 0.95) -> Score:
        """Of the episodes that the mask lets through."""
        e, scored = self.episodes, mask & self.episodes.scored
        rate = e.rate(mask)
        found = blocks.rate(e.scene_codes[scored], e.cell_codes[scored], e.success[scored], confidence=confidence)
        if found is None:
            return Score(None, None, 0, rate)
        mean, effect = found
        return Score(mean.value, mean.interval, mean.scenes, rate, effect)

    @cached_property
    def axes(self) -> dict[str, Score]:
        """By axis, those that were played."""
        of = {axis: self.episodes.axis.is_(axis) for axis in AXES}
        return {axis: self.score(mask) for axis, mask in of.items() if mask.any()}

    @cached_property
    def ood(self) -> Score:
        """All shifted episodes together."""
        return self.score(self.episodes.shifted)

    @cached_property
    def cells(self) -> dict[Cell, np.ndarray]:
        """The rows of each cell."""
        return dict(self.episodes.cells())

    @cached_property
    def by_task(self) -> dict[tuple[str, str], Rate]:
        """(shift, task) -> rate over all severities."""
        found: dict[tuple[str, str], Rate] = {}
        for (task, shift, _), rows in self.cells.items():
            found[shift, task] = found.get((shift, task), Rate(0, 0)) + self.episodes.rate(rows)
        return found

    @cached_property
    def shifts(self) -> dict[str, ShiftSummary]:
        """By name: everything that is no in-distribution episode, by axis."""
        e = self.episodes
        found = []
        for name in e.shift.present():
            mask = e.shift.is_(name)
            axis = e.axis.at(int(np.argmax(mask))) or ""
            if axis == "id":
                continue
            plain = e.axis.is_("id") & np.isin(e.task.codes, np.unique(e.task.codes[mask]))
            levels = {0.0: e.rate(plain)} if e.rate(plain).n else {}
            levels |= {float(v): e.rate(mask & (e.severity == v)) for v in np.unique(e.severity[mask])}
            found.append(ShiftSummary(name, axis, self.score(mask), levels, self._curve(mask | plain, levels)))
        return {shift.name: shift for shift in sorted(found, key=lambda s: (axis_order(s.axis), s.name))}

    def _curve(self, mask: np.ndarray, levels: dict[float, Rate]) -> Curve | None:
        """Over the tasks that were played at all levels."""
        if len(levels) < 2 or 0.0 not in levels:
            return None
        e, mask = self.episodes, mask & self.episodes.scored
        at = [mask & (e.severity == level) for level in sorted(levels)]
        whole = set.intersection(*({int(t) for t in np.unique(e.task.codes[rows])} for rows in at))
        mask = mask & np.isin(e.task.codes, list(whole))
        at, scenes = [rows & mask for rows in at], np.unique(e.scene_codes[mask])
        found = [by_scene(e.scene_codes[rows], e.cell_codes[rows], e.success[rows], among=scenes) for rows in at]
        if not whole or min(map(len, found[0].values())) < 2:
            return None
        values = {str(task): np.stack([level[task] for level in found], axis=1) for task in sorted(whole)}
        many = 4000 if len(scenes) < MANY else 1000
        return curve(sorted(levels), values, resamples=many, episodes=[int(rows.sum()) for rows in at])

    @cached_property
    def _area_weights(self) -> np.ndarray:
        """Of each episode, in the mean over its task's shifts of the areas under their curves; 0 for the others."""
        e = self.episodes
        cells = {
            (e.task.at(rows[0]), shift, level): rows[e.scored[rows]] for (_, shift, level), rows in self.cells.items()
        }
        weights = np.zeros(len(e))
        for task in self.tasks:
            ladders = []
            for shift in self.shifts.values():
                levels = sorted(shift.levels)
                rows = [cells.get((task, shift.name if level else "none", level), np.zeros(0, int)) for level in levels]
                if shift.axis not in PLAIN and len(levels) > 1 and not levels[0] and all(map(len, rows)):
                    ladders.append(list(zip(trapezoid_weights(levels).tolist(), rows, strict=True)))
            for weight, rows in (step for ladder in ladders for step in ladder):
                weights[rows] += weight / len(rows) / len(ladders)
        return weights

    @cached_property
    def areas(self) -> dict[int, np.ndarray]:
        """By task: of each scene, what it adds to the mean over the shifts of the area under their curves."""
        return self._weighted(self._area_weights)

    @cached_property
    def area(self) -> ClusteredMean | None:
        """Under the severity curves: the mean over tasks and shifts."""
        e, rows = self.episodes, self._area_weights > 0
        weights = self._area_weights[rows]
        found = blocks.rate(e.scene_codes[rows], e.cell_codes[rows], e.success[rows], weights)
        return found and found[0]

    def _weighted(self, weights: np.ndarray) -> dict[int, np.ndarray]:
        """By task, a number a scene of the weighted sum of success."""
        e, rows = self.episodes, weights != 0
        return by_scene(e.scene_codes[rows], e.cell_codes[rows], e.success[rows], weights[rows])

    @cached_property
    def _gap_weights(self) -> np.ndarray:
        e = self.episodes
        return blocks.gap_weights(e.scene_codes, e.axis.is_("id") & e.scored, e.shifted & e.scored)

    @cached_property
    def gaps(self) -> dict[int, np.ndarray]:
        """By task: of each scene, what it adds to in-distribution minus shifted success."""
        return self._weighted(self._gap_weights)

    @cached_property
    def gap(self) -> ClusteredMean | None:
        """In-distribution minus shifted success, each shifted episode with the in-distribution one of its scene."""
        e, rows = self.episodes, self._gap_weights != 0
        return blocks.gap(e.scene_codes[rows], e.cell_codes[rows], e.success[rows], self._gap_weights[rows])

    @cached_property
    def kept(self) -> tuple[float | None, Interval | None]:
        """Retention: shifted as a share of in-distribution success, where that is high enough to divide by."""
        if "id" not in self.axes:
            return None, None
        plain, shifted = (self._weighted(np.clip(sign * self._gap_weights, 0, None)) for sign in (1, -1))
        pairs = [np.stack([plain[task], shifted[task]], axis=1) for task in plain]
        return retention(pairs, self.axes["id"].rate)

    @cached_property
    def worst(self) -> tuple[str, Score] | None:
        """The shift with the lowest score, with an interval that allows for its having been looked for (Bonferroni)."""
        able = [s for s in self.shifts.values() if s.axis not in PLAIN and s.score.value is not None]
        if not able:
            return None
        lowest = min(able, key=lambda s: s.score.value or 0.0)
        return lowest.name, self.score(self.episodes.shift.is_(lowest.name), 1 - 0.05 / len(able))

    @cached_property
    def design_effect(self) -> float | None:
        """Of the shifted episodes."""
        return self.ood.design_effect

    @property
    def tasks(self) -> list[str]:
        return sorted(self.episodes.task.present())

    def failures(self, axis: str) -> Counter[str]:
        """How the episodes of an axis ended: "success", a failure, or "error"."""
        e, mask = self.episodes, self.episodes.axis.is_(axis)
        lost = e.failure[mask & (e.success == 0)]
        found = Counter({name: int(lost.is_(name).sum()) for name in lost.present()})
        found["timeout"] += int((lost.codes < 0).sum())
        found["success"], found["error"] = int((mask & (e.success == 1)).sum()), int((mask & ~e.scored).sum())
        return +found


def axis_order(axis: str) -> int:
    return list(AXES).index(axis)  # type: ignore[arg-type]


def load(paths: Sequence[Path]) -> list[RunSummary]:
    """Summaries of run folders, or of leaderboard entries.

    Raises RunFolderError: not a run, no episodes, or runs of different suites.
    """
    infos = [(path, read_info(path), _episodes(path)) for path in paths]
    names = Counter(info.policy.uri for _, info, _ in infos)
    found = []
    for path, info, kept in infos:
        if not len(kept):
            raise RunFolderError(f"{path}: holds no finished episodes yet")
        uri = info.policy.uri
        found.append(RunSummary(path, info, kept, uri if names[uri] == 1 else f"{uri} ({path.name})"))
    suites = {run.info.suite.sha256: run for run in found}
    if len(suites) > 1:
        which = ", ".join(f"{run.path} is of {suite_name(run.info)}" for run in suites.values())
        raise RunFolderError(f"runs of different suites cannot stand in one report: {which}")
    return found


def _episodes(path: Path) -> Episodes:
    plain = path / "episodes.jsonl"
    return columns.read(plain if plain.exists() else plain.with_suffix(plain.suffix + COMPRESSED))


def suite_name(info: RunInfo) -> str:
    return info.suite.title


def verdict(run: RunSummary) -> str:
    """The run in one sentence."""
    plain, ood = run.axes.get("id"), run.ood
    parts = []
    if plain and plain.value is not None:
        parts.append(f"succeeds in {percent(plain.value)} of {plain.n} in-distribution episodes")
    if ood.value is not None:
        parts.append(f"{'' if parts else 'succeeds '}in {percent(ood.value)} of {ood.n} under shift")
    if run.gap and len(parts) == 2:
        gap = f"in the same scenes a gap of {100 * run.gap.value:.1f} points"
        if run.gap.interval:
            gap += f", 95 % interval {100 * run.gap.interval.low:.1f} to {100 * run.gap.interval.high:.1f}"
        ratio, sure = run.kept
        if ratio is not None and sure and sure.high < 1:
            gap += f"; it keeps {100 * ratio:.0f} % of its success, {100 * sure.low:.0f} to {100 * sure.high:.0f}"
        parts[-1] += f" ({gap})"
    return f"{run.label} {' and '.join(parts)}." if parts else f"{run.label} has no scored episodes."


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def around(interval: Interval | None) -> list[float] | None:
    """[low, high], for JSON."""
    return None if interval is None else [interval.low, interval.high]


def _words(run: RunSummary) -> dict[str, Any]:
    """What the think tasks and the language controls show, where they were played, and all metrics."""
    from oodbench.report import metrics, tables  # they are built on this module

    think = {row.task: {"value": row.score, "interval95": around(row.interval)} for row in tables.think_rows(run)}
    listening = {
        row.shift: {"value": row.index, "interval95": around(row.interval)} for row in tables.listening_rows(run)
    }
    return {"think": think, "language_use": listening, "metrics": metrics.as_json(run)}


def as_json(runs: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """For scripts: every number of the report."""

    def rate(r: Rate) -> dict[str, Any]:
        return {"successes": r.successes, "n": r.n, "errors": r.errors, "rate": r.value, "wilson95": around(r.interval)}

    def score(s: Score) -> dict[str, Any]:
        found = {"value": s.value, "interval95": around(s.interval), "scenes": s.scenes, **rate(s.rate)}
        return {**found, "design_effect": s.design_effect}

    def mean(m: ClusteredMean | None) -> dict[str, Any] | None:
        return None if m is None else {"value": m.value, "interval95": around(m.interval), "scenes": m.scenes}

    def shift(s: ShiftSummary) -> dict[str, Any]:
        found: dict[str, Any] = {"axis": s.axis, **score(s.score)}
        found["severities"] = {f"{v:g}": rate(r) for v, r in s.levels.items()}
        if s.curve:
            c = s.curve
            found["curve"] = {
                "severities": c.levels, "rate": c.rate, "band95": [around(i) for i in c.band], "area": c.area,
                "area_interval95": around(c.area_interval), "half_point": c.half, "slope": mean(c.slope),
            }  # fmt: skip
        return found

    found = []
    for run in runs:
        ratio, ratio_interval = run.kept
        found.append(
            {
                "run": run.path.as_posix(),
                "policy": run.label,
                "suite": suite_name(run.info),
                "suite_sha256": run.info.suite.sha256,
                "episodes": len(run.episodes),
                "planned": run.planned,
                "axes": {axis: score(s) for axis, s in run.axes.items()},
                "ood": score(run.ood),
                "gap": mean(run.gap),
                "retention": {"value": ratio, "interval95": around(ratio_interval)},
                "severity_area": mean(run.area),
                "worst_shift": run.worst and {"shift": run.worst[0], **score(run.worst[1])},
                "design_effect": run.design_effect,
                "shifts": {name: shift(s) for name, s in run.shifts.items()},
                "cells": [
                    {"task": t, "shift": s, "severity": v, **rate(run.episodes.rate(rows))}
                    for (t, s, v), rows in run.cells.items()
                ],
                **_words(run),
            }
        )
    return found
