"""One self-contained HTML page for one or several runs: readable without JavaScript, on a phone, in the dark.

The pages of the leaderboard (leaderboard/site.py) are made of the same parts.
"""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from oodbench import __version__
from oodbench.redact import redacted
from oodbench.report import charts
from oodbench.report.overview import Row, Standing, ordered, row_of, standing
from oodbench.report.paper import methods
from oodbench.report.summary import OUTCOMES, Cell, RunSummary, percent, suite_name, verdict
from oodbench.report.tables import extra_tables
from oodbench.report.terminal import TITLES
from oodbench.run import files
from oodbench.run.records import AXES
from oodbench.stats.rates import Rate

EMBED_LIMIT = 12 * 2**20  # bytes of video inside the page; the rest is linked
# A sequential scale that stays readable for colour-blind readers (cividis), and the ink on it.
_SCALE = ((0, 32, 76), (42, 63, 109), (87, 92, 109), (124, 123, 120), (166, 157, 117), (211, 193, 100), (255, 233, 69))


@dataclass(frozen=True)
class Shown:
    """A filmed episode on a page."""

    run: RunSummary
    task: str
    shift: str
    severity: float
    success: bool
    failure: str
    instruction: str
    source: str


@lru_cache
def environment() -> Environment:
    """The templates, with what they all need."""
    found = Environment(
        loader=PackageLoader("oodbench.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    found.filters.update(percent=percent, colour=_colour, ink=_ink)
    found.globals.update(version=__version__, titles=TITLES, outcomes=OUTCOMES)
    return found


def render(runs: Sequence[RunSummary], target: Path) -> str:
    """The page's text. target: where it will lie, for links to the videos that are not embedded."""
    order = standing(runs)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=f"oodbench: {suite_name(runs[0].info)}",
            suite=runs[0].info.suite,
            runs=runs,
            verdicts=[verdict(run) for run in runs],
            rows=rows(runs, order),
            ranked=order is not None,
            methods=methods(runs),
            films=_embedded(runs, target),
            provenance=[provenance(run) for run in runs],
            **parts(runs),
        )
    )


def rows(runs: Sequence[RunSummary], order: Standing | None) -> list[Row]:
    """Of the main table, best first."""
    found = [row_of(run, "control" if run.privileged else "checkpoint") for run in runs]
    if order:
        found = [
            replace(
                row, rank=order.ranks.get(row.name), letters=order.letters.get(row.name, ""),
                unranked="" if row.name in order.letters else "partial or with errors",
            )
            for row in found
        ]  # fmt: skip
    return ordered(found)


def parts(runs: Sequence[RunSummary]) -> dict[str, Any]:
    """What the sections of a page are drawn from."""
    shifted = any(run.ood.value is not None for run in runs)
    return {
        "axes": [axis for axis in AXES if any(axis in run.axes for run in runs)] if shifted else [],
        "shifted": shifted,
        "panels": charts.severity_panels(runs) if any(run.shifts for run in runs) else "",
        "markers": [charts.marker(i) for i in range(len(runs))],
        "heat": [_heat(run) for run in runs],
        "cells": [_cells(run) for run in runs],
        "extras": extra_tables(runs),
    }


def _heat(run: RunSummary) -> list[tuple[str, list[Rate]]]:
    """Rows of the heat map: a shift, and its rate in every task over all severities."""
    return [(name, [run.by_task.get((name, task), Rate(0, 0)) for task in run.tasks]) for name in ("none", *run.shifts)]


def _cells(run: RunSummary) -> list[tuple[Cell, Rate, str]]:
    """Each cell with its rate and the median steps of its episodes."""
    e = run.episodes
    found = []
    for cell, played in run.cells.items():
        steps = e.steps[played][e.success[played] >= 0]
        found.append((cell, e.rate(played), f"{np.median(steps):.0f}" if len(steps) else "-"))
    return found


def films(run: RunSummary) -> Iterator[tuple[Path, Shown]]:
    """The films of a run that are there, each with its file; source is that file's path within the run folder."""
    e = run.episodes
    for film in run.episodes.films:
        path = files.film_path(run.path, film.path)
        if path is not None:
            task, shift, severity, _ = e.key(film.row)
            failure = e.failure.at(film.row) or "timeout"
            won = bool(e.success[film.row] == 1)
            yield path, Shown(run, task, shift, severity, won, failure, film.instruction, film.path)


def _embedded(runs: Sequence[RunSummary], target: Path) -> list[Shown]:
    """The filmed episodes: in the page while there is room, failures and in-distribution first; the rest linked."""
    room = EMBED_LIMIT
    found = []
    for run in runs:
        for path, film in sorted(films(run), key=lambda f: (f[1].success, f[1].shift != "none")):
            size = path.stat().st_size
            if size <= room:
                room -= size
                source = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
            else:
                source = os.path.relpath(path, target.parent)
            found.append(replace(film, source=source))
    return sorted(found, key=lambda f: (f.run.label, f.shift != "none", f.shift, f.task))


def provenance(run: RunSummary) -> list[tuple[str, str]]:
    """(what, value) of everything that a run was made with."""
    info = run.info
    git, hardware = info.git, info.hardware
    hashes = "".join(f"\n{path} sha256 {sha}" for path, sha in info.policy.files.items())
    workers = "?" if info.workers is None else info.workers
    rows = [
        ("command", redacted(shlex.join(info.command))),
        ("policy", redacted(info.policy.uri) + hashes),
        ("suite", f"{suite_name(info)}, sha256 {info.suite.sha256}, split {info.suite.split}"),
        ("protocol", ", ".join(f"{k}: {v}" for k, v in info.protocol.model_dump().items())),
        ("real time", _real_time(run)),
        ("tasks and assets", f"sha256 {info.assets_sha256 or '?'}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in info.versions.items())),
        ("commit", f"{git.commit}{' with changes' if git.dirty else ''}" if git and git.commit else "-"),
        ("machine", f"{hardware.cpu}, {hardware.cores or '?'} cores, {hardware.memory_gib} GiB"),
        ("OpenGL", info.gl.get("renderer", "-")),
        (
            "time",
            f"{info.wall_seconds / 60:.1f} minutes with {workers} workers; began {info.created or '?'}",
        ),
    ]
    return [(name, value) for name, value in rows if value]


def _real_time(run: RunSummary) -> str:
    """What the world did while the policy thought, where it did not wait; nothing where it did."""
    e, hurried = run.episodes, run.episodes.waited >= 0
    if not hurried.any():
        return ""
    waited, steps = int(e.waited[hurried].sum()), int(e.steps[hurried].sum())
    slowest = float(e.slowest_answer[hurried].max())
    return (
        f"the world went on while the policy thought: {100 * waited / max(steps, 1):.0f} % of all control steps; the "
        f"slowest answer took {slowest:.2f} s. Outcomes depend on this machine."
    )


def _colour(value: float | None) -> str:
    """Background of a heat-map cell."""
    if value is None:
        return "transparent"
    at = value * (len(_SCALE) - 1)
    i = min(int(at), len(_SCALE) - 2)
    mix = (a + (b - a) * (at - i) for a, b in zip(_SCALE[i], _SCALE[i + 1], strict=True))
    return "#" + "".join(f"{round(c):02x}" for c in mix)


def _ink(value: float | None) -> str:
    """Text colour on that background, with enough contrast."""
    return "inherit" if value is None else "#ffffff" if value < 0.55 else "#111111"
