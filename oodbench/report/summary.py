"""Run folders summed up as plain data; every page and table is drawn from this."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from oodbench.errors import RunFolderError
from oodbench.run import records
from oodbench.run.folder import read_info
from oodbench.run.records import AXES, PLAIN, EpisodeRecord
from oodbench.stats.clustered import ClusteredMean, clustered_mean
from oodbench.stats.rates import Interval, Rate
from oodbench.stats.severity import area_under

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
Cell = tuple[str, str, float]


@dataclass(frozen=True)
class RunSummary:
    """One run: what it was, and its numbers."""

    path: Path
    info: dict[str, Any]
    records: tuple[EpisodeRecord, ...]
    label: str

    @property
    def planned(self) -> int:
        return int(self.info.get("plan", {}).get("episodes", len(self.records)))

    @property
    def partial(self) -> bool:
        return len(self.records) < self.planned

    @property
    def privileged(self) -> bool:
        return bool(self.info.get("policy", {}).get("privileged"))

    def rate(self, keep: Callable[[EpisodeRecord], bool] = lambda r: True) -> Rate:
        """Success rate of the episodes that `keep` lets through."""
        return Rate.of(r.success for r in self.records if keep(r))

    @cached_property
    def axes(self) -> dict[str, Rate]:
        """By axis, those that were played."""
        return {a: self.rate(_of_axis(a)) for a in AXES if any(r.axis == a for r in self.records)}

    @property
    def ood(self) -> Rate:
        """All shifted episodes together."""
        return self.rate(lambda r: r.axis not in PLAIN)

    @cached_property
    def cells(self) -> dict[Cell, list[EpisodeRecord]]:
        found: dict[Cell, list[EpisodeRecord]] = defaultdict(list)
        for record in self.records:
            found[record.task, record.shift, record.severity].append(record)
        return dict(sorted(found.items(), key=lambda item: (item[0][0], axis_order(item[1][0].axis), *item[0][1:])))

    @cached_property
    def curves(self) -> dict[str, dict[float, Rate]]:
        """By shift: severity -> rate over all tasks, with the in-distribution rate of the same tasks at 0."""
        curves: dict[str, dict[float, Rate]] = {}
        for shift in self.shifts:
            mine = [r for r in self.records if r.shift == shift]
            tasks = {r.task for r in mine}
            start = Rate.of(r.success for r in self.records if r.axis == "id" and r.task in tasks)
            levels = sorted({r.severity for r in mine})
            curves[shift] = {0.0: start} if start.n else {}
            curves[shift] |= {s: Rate.of(r.success for r in mine if r.severity == s) for s in levels}
        return curves

    @cached_property
    def area(self) -> float | None:
        """Mean over shifts of the area under their severity curves."""
        areas = []
        controls = {r.shift for r in self.records if r.axis in PLAIN}
        for curve in (curve for shift, curve in self.curves.items() if shift not in controls):
            area = area_under({s: rate.value for s, rate in curve.items() if rate.value is not None})
            if area is not None:
                areas.append(area)
        return statistics.mean(areas) if areas else None

    @cached_property
    def gap(self) -> ClusteredMean | None:
        """In-distribution minus shifted success, paired by scene (task and seed)."""
        plain: dict[tuple[str, int], bool] = {}
        shifted: dict[tuple[str, int], list[bool]] = defaultdict(list)
        for record in self.records:
            if record.success is not None:
                key = (record.task, record.seed)
                if record.axis == "id":
                    plain[key] = record.success
                elif record.axis not in PLAIN:
                    shifted[key].append(record.success)
        gaps: dict[str, list[float]] = defaultdict(list)
        for key, success in plain.items():
            if shifted[key]:
                gaps[key[0]].append(success - statistics.mean(shifted[key]))
        return clustered_mean(gaps)

    @property
    def shifts(self) -> list[str]:
        axis = {r.shift: r.axis for r in self.records if r.axis != "id"}
        return sorted(axis, key=lambda shift: (axis_order(axis[shift]), shift))

    @property
    def tasks(self) -> list[str]:
        return sorted({r.task for r in self.records})

    def failures(self, axis: str) -> Counter[str]:
        """How the episodes of an axis ended: "success", a failure, or "error"."""
        mine = [r for r in self.records if r.axis == axis]
        return Counter("error" if r.error else "success" if r.success else r.failure or "timeout" for r in mine)


def _of_axis(axis: str) -> Callable[[EpisodeRecord], bool]:
    return lambda record: record.axis == axis


def axis_order(axis: str) -> int:
    return list(AXES).index(axis)  # type: ignore[arg-type]


def load(paths: Sequence[Path]) -> list[RunSummary]:
    """Summaries of run folders. Raises RunFolderError: not a run, no episodes, or runs of different suites."""
    infos = [(path, read_info(path), records.read(path / "episodes.jsonl")) for path in paths]
    names = Counter(info.get("policy", {}).get("uri", path.name) for path, info, _ in infos)
    found = []
    for path, info, kept in infos:
        if not kept:
            raise RunFolderError(f"{path}: holds no finished episodes yet")
        uri = info.get("policy", {}).get("uri", path.name)
        found.append(RunSummary(path, info, tuple(kept), uri if names[uri] == 1 else f"{uri} ({path.name})"))
    suites = {run.info.get("suite", {}).get("sha256"): run for run in found}
    if len(suites) > 1:
        which = ", ".join(f"{run.path} is of {suite_name(run.info)}" for run in suites.values())
        raise RunFolderError(f"runs of different suites cannot stand in one report: {which}")
    return found


def suite_name(info: dict[str, Any]) -> str:
    suite = info.get("suite", {})
    return f"{suite.get('name', '?')} v{suite.get('version', '?')}"


def verdict(run: RunSummary) -> str:
    """The run in one sentence."""
    plain, ood = run.axes.get("id"), run.ood
    parts = []
    if plain and plain.value is not None:
        parts.append(f"succeeds in {percent(plain.value)} of {plain.n} in-distribution episodes")
    if ood.value is not None:
        parts.append(f"{'' if parts else 'succeeds '}in {percent(ood.value)} of {ood.n} under shift")
    if run.gap and len(parts) == 2:
        gap = f"gap {100 * run.gap.value:.1f} points"
        if run.gap.interval:
            gap += f", 95 % interval {100 * run.gap.interval.low:.1f} to {100 * run.gap.interval.high:.1f}"
        parts[-1] += f" ({gap})"
    return f"{run.label} {' and '.join(parts)}." if parts else f"{run.label} has no scored episodes."


def percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _words(run: RunSummary) -> dict[str, Any]:
    """What the think tasks and the language controls show, where they were played."""
    from oodbench.report import tables  # it is built on this module

    def around(value: float | None, interval: Interval | None) -> dict[str, Any]:
        return {"value": value, "interval95": interval and [interval.low, interval.high]}

    think = {row.task: around(row.score, row.interval) for row in tables.think_rows(run)}
    listening = {row.shift: around(row.index, row.interval) for row in tables.listening_rows(run)}
    return {"think": think, "language_use": listening}


def as_json(runs: Iterable[RunSummary]) -> list[dict[str, Any]]:
    """For scripts: every number of the report."""

    def rate(r: Rate) -> dict[str, Any]:
        i = r.interval
        return {"successes": r.successes, "n": r.n, "errors": r.errors, "rate": r.value, "wilson95": [i.low, i.high]}

    found = []
    for run in runs:
        gap = run.gap
        found.append(
            {
                "run": str(run.path),
                "policy": run.label,
                "suite": suite_name(run.info),
                "suite_sha256": run.info.get("suite", {}).get("sha256"),
                "episodes": len(run.records),
                "planned": run.planned,
                "axes": {axis: rate(r) for axis, r in run.axes.items()},
                "ood": rate(run.ood),
                "gap": gap
                and {"value": gap.value, "interval95": gap.interval and [gap.interval.low, gap.interval.high]},
                "severity_area": run.area,
                "shifts": {s: {f"{v:g}": rate(r) for v, r in curve.items()} for s, curve in run.curves.items()},
                "cells": [
                    {"task": t, "shift": s, "severity": v, **rate(Rate.of(r.success for r in kept))}
                    for (t, s, v), kept in run.cells.items()
                ],
                **_words(run),
            }
        )
    return found
