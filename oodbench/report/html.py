"""One self-contained HTML page for one or several runs: readable without JavaScript, on a phone, in the dark."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from oodbench import __version__
from oodbench.report import figures
from oodbench.report.summary import FAILURES, RunSummary, percent, suite_name, verdict
from oodbench.report.tables import extra_tables
from oodbench.report.terminal import TITLES
from oodbench.run.records import AXES, EpisodeRecord
from oodbench.stats.rates import Rate

EMBED_LIMIT = 12 * 2**20  # bytes of video inside the page; the rest is linked
OUTCOMES = ("success", *FAILURES, "error")
# A sequential scale that stays readable for colour-blind readers (cividis), and the ink on it.
_SCALE = ((0, 32, 76), (42, 63, 109), (87, 92, 109), (124, 123, 120), (166, 157, 117), (211, 193, 100), (255, 233, 69))


def render(runs: Sequence[RunSummary], target: Path) -> str:
    """The page's text. target: where it will lie, for links to the videos that are not embedded."""
    environment = Environment(
        loader=PackageLoader("oodbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, colour=_colour, ink=_ink)
    return environment.get_template("report.html.j2").render(
        title=f"oodbench: {suite_name(runs[0].info)}",
        version=__version__,
        suite=runs[0].info.get("suite", {}),
        runs=runs,
        verdicts=[verdict(run) for run in runs],
        axes=[axis for axis in AXES if any(axis in run.axes for run in runs)],
        titles=TITLES,
        none=Rate(0, 0),
        curves=Markup(figures.severity_curves(runs)) if any(run.shifts for run in runs) else "",
        heat=[_heat(run) for run in runs],
        outcomes=OUTCOMES,
        failures=[{axis: run.failures(axis) for axis in run.axes} for run in runs],
        extras=extra_tables(runs),
        films=_films(runs, target),
        provenance=[_provenance(run) for run in runs],
        rate_of=lambda kept: Rate.of(r.success for r in kept),
        median_steps=_median_steps,
    )


def _heat(run: RunSummary) -> list[tuple[str, list[Rate]]]:
    """Rows of the heat map: a shift, and its rate in every task over all severities."""
    names = ["none", *run.shifts]
    return [
        (name, [Rate.of(r.success for r in run.records if r.shift == name and r.task == task) for task in run.tasks])
        for name in names
    ]


def _median_steps(kept: Sequence[EpisodeRecord]) -> str:
    steps = sorted(r.steps for r in kept if r.error is None)
    return str(steps[len(steps) // 2]) if steps else "-"


def _films(runs: Sequence[RunSummary], target: Path) -> list[dict[str, Any]]:
    """The filmed episodes, failures first, each with its source: embedded while there is room."""
    room = EMBED_LIMIT
    films = []
    for run in runs:
        filmed = sorted((r for r in run.records if r.video), key=lambda r: (bool(r.success), r.axis != "id"))
        for record in filmed:
            path = run.path / str(record.video)
            if not path.is_file():
                continue
            content = path.stat().st_size
            if content <= room:
                room -= content
                source = "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()
            else:
                source = os.path.relpath(path, target.parent)
            films.append({"run": run, "record": record, "source": source})
    return sorted(films, key=lambda f: (f["run"].label, f["record"].axis != "id", f["record"].shift, f["record"].task))


def _provenance(run: RunSummary) -> list[tuple[str, str]]:
    info = run.info
    suite, policy = info.get("suite", {}), info.get("policy", {})
    git, hardware, gl = info.get("git") or {}, info.get("hardware", {}), info.get("gl", {})
    versions = ", ".join(f"{name} {version}" for name, version in info.get("versions", {}).items())
    wall = float(info.get("wall_seconds") or 0.0)
    rows = [
        ("command", shlex.join(info.get("command", []))),
        (
            "policy",
            f"{policy.get('uri', '?')}" + "".join(f"\n{p} sha256 {h}" for p, h in policy.get("files", {}).items()),
        ),
        ("suite", f"{suite_name(info)}, sha256 {suite.get('sha256', '?')}, split {suite.get('split', '?')}"),
        ("protocol", ", ".join(f"{k}: {v}" for k, v in info.get("protocol", {}).items())),
        ("real time", _real_time(run)),
        ("tasks and assets", f"sha256 {info.get('assets_sha256', '?')}"),
        ("versions", versions),
        ("commit", f"{git['commit']}{' with changes' if git.get('dirty') else ''}" if git.get("commit") else "-"),
        (
            "machine",
            f"{hardware.get('cpu', '?')}, {hardware.get('cores', '?')} cores, {hardware.get('memory_gib', '?')} GiB",
        ),
        ("OpenGL", gl.get("renderer", "-")),
        ("time", f"{wall / 60:.1f} minutes with {info.get('workers', '?')} workers; began {info.get('created', '?')}"),
    ]
    return [(name, value) for name, value in rows if value]


def _real_time(run: RunSummary) -> str:
    """What the world did while the policy thought, where it did not wait; nothing where it did."""
    kept = [r for r in run.records if r.waited is not None]
    if not kept:
        return ""
    waited, steps = sum(r.waited or 0 for r in kept), sum(r.steps for r in kept)
    slowest = max(r.slowest_answer for r in kept)
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
