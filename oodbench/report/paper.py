"""The report for papers: a LaTeX table, long CSV, BibTeX, a methods paragraph, figures as PDF and SVG."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Any

from oodbench import __version__
from oodbench.report.overview import Row, headline, standing
from oodbench.report.summary import SCORE_NOTE, RunSummary, Score, suite_name
from oodbench.report.terminal import TITLES
from oodbench.run.folder import short
from oodbench.run.info import RunInfo
from oodbench.run.records import AXES
from oodbench.stats.clustered import ClusteredMean
from oodbench.stats.rates import Interval, Rate

REFERENCE = (  # what the suites and diagnostics follow
    "blindvla",
    "Don't Blind Your VLA: Aligning Visual Representations for OOD Generalization",
)


def methods(runs: Sequence[RunSummary]) -> str:
    """A paragraph for a paper's methods section: what was run, scored and compared, and how."""
    info = runs[0].info
    e = runs[0].episodes
    reading = {
        "settled": "the goal holds with the object released and at rest",
        "ever": "the goal held at any step",
        "final": "the goal holds at the horizon",
    }[info.protocol.success]
    tasks, shifts = len(runs[0].tasks), len([s for s in runs[0].shifts.values() if s.axis not in ("id", "control")])
    levels = sorted({float(v) for v in e.severity[e.shifted]})
    under = f" under {shifts} shifts at severities {', '.join(f'{v:g}' for v in levels)}" if shifts else ""
    scenes = len(set(e.scene_codes[headline(runs[0])].tolist()))
    said = [
        f"We evaluated on oodbench {__version__}, suite {suite_name(info)} (sha256 {short(_suite_hash(info), 15)}), "
        f"with MuJoCo {info.versions.get('mujoco', '?')}: {tasks} tasks{under}, {len(e)} episodes a policy "
        f"from {scenes} scenes.",
        f"An episode succeeds when {reading}.",
        SCORE_NOTE.replace("The mean", "Scores are the mean", 1),
        "Intervals are 95 % Wilson score intervals at the effective sample size of the clustered design, with t "
        "quantiles.",
    ]
    if runs[0].design_effect is not None and not runs[0].partial:
        effects = [run.design_effect for run in runs if run.design_effect is not None]
        low, high = min(effects), max(effects)
        said.append(
            f"The design effect of sharing scenes was {low:.1f}." if len(effects) == 1
            else f"The design effect of sharing scenes was {low:.1f} to {high:.1f}."
        )  # fmt: skip
    if standing(runs):
        said.append(
            "Policies were compared in the same scenes by the studentised max-T bootstrap over scenes (4,000 "
            "resamples), which gives simultaneous 95 % rank intervals and groups that were not told apart."
        )
    errors = sum(run.errors for run in runs)
    if errors:
        said.append(f"{errors} episodes ended in an error of the policy or its server and are left out of the rates.")
    return " ".join(said)


def latex(runs: Sequence[RunSummary]) -> str:
    """A booktabs table: scores with intervals, the group that was not told apart from the best in bold."""
    rows, axes = _rows(runs)
    shifted = any(run.ood.value is not None for run in runs)
    columns = ["ID" if axis == "id" else TITLES[axis] for axis in axes] + (["all shifts", "gap"] if shifted else [])
    order = standing(runs)
    best = {r.name for r in rows if order and _with_the_best(r, order.letters)}
    compared = "" if not order else "Bold: not told apart from the best; equal superscripts: not told apart. "
    lines = [
        "% Needs \\usepackage{booktabs}",
        "\\begin{table}",
        "\\centering\\footnotesize\\setlength{\\tabcolsep}{3pt}",
        f"\\caption{{Success (\\%) on oodbench suite {_tex(suite_name(runs[0].info))}, with 95\\,\\% intervals.}}",
        "\\begin{tabular}{l" + "r" * len(columns) + "}",
        "\\toprule",
        " & ".join(["policy", *columns]) + " \\\\",
        "\\midrule",
    ]
    for row in rows:
        scores = [row.axes.get(axis) for axis in axes]
        values, intervals = ([_tex_value(score) for score in scores], [_tex_interval(score) for score in scores])
        if shifted:
            letters = "" if not row.letters or row.letters == "top" else f"\\textsuperscript{{{row.letters}}}"
            whole = _tex_value(row.score)
            values += [(f"\\textbf{{{whole}}}" if row.name in best else whole) + letters, _tex_value(row.gap)]
            intervals += [_tex_interval(row.score), _tex_interval(row.gap)]
        lines.append(" & ".join([_tex(row.name), *values]) + " \\\\")
        lines.append(" & ".join(["", *intervals]) + " \\\\[2pt]")
    ns = {row.score.n for row in rows}
    count = f"{min(ns)}" if len(ns) == 1 else f"{min(ns)}--{max(ns)}"
    lines += [
        "\\bottomrule",
        "\\end{tabular}",
        "\\par\\smallskip\\scriptsize",
        f"{compared}$n$ = {count} episodes a policy; Wilson intervals at the effective sample size, scenes clustered; "
        f"oodbench {__version__}, suite sha256 \\texttt{{{_suite_hash(runs[0].info)[:16]}}}.",
        "\\end{table}",
        "",
        *("% " + line for line in _wrapped(methods(runs))),
    ]
    return "\n".join(lines) + "\n"


def long_csv(runs: Sequence[RunSummary]) -> str:
    """A row a policy and cell, and one a policy and group of cells, with numbers and nothing to be parsed."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(
        ["policy", "suite", "suite_sha256", "level", "axis", "task", "shift", "severity", "value", "low", "high",
         "successes", "n", "errors", "scenes"]
    )  # fmt: skip
    for run in runs:
        head = [run.label, suite_name(run.info), _suite_hash(run.info)]

        def line(
            level: str, where: list[Any], value: float | None, i: Interval | None, rate: Rate, scenes: Any
        ) -> None:
            limits = ["", ""] if i is None else [f"{i.low:.6f}", f"{i.high:.6f}"]
            counts = [rate.successes, rate.n, rate.errors, scenes]
            table.writerow([*head, level, *where, "" if value is None else f"{value:.6f}", *limits, *counts])  # noqa: B023

        scores: list[tuple[str, list[Any], Score]] = [("ood", ["", "", "", ""], run.ood)]
        scores += [("axis", [axis, "", "", ""], score) for axis, score in run.axes.items()]
        scores += [("shift", [s.axis, "", name, ""], s.score) for name, s in run.shifts.items()]
        for level, where, score in scores:
            line(level, where, score.value, score.interval, score.rate, score.scenes)
        for (task, shift, severity), played in run.cells.items():
            rate = run.episodes.rate(played)
            axis = run.episodes.axis.at(int(played[0]))
            line("cell", [axis, task, shift, f"{severity:g}"], rate.value, rate.interval, rate, rate.n)
    return out.getvalue()


def bibtex(runs: Sequence[RunSummary]) -> str:
    """Citations for oodbench and for the version of the suite, by which a score can be found again."""
    info = runs[0].info
    name = re.sub(r"[^a-z0-9]+", "", info.suite.name.lower())
    key, title = REFERENCE
    return f"""@software{{oodbench,
  title = {{oodbench: a simulation benchmark for out-of-distribution generalisation of robot policies}},
  author = {{{{The oodbench authors}}}},
  version = {{{__version__}}},
  year = {{{_year(info)}}}
}}

@misc{{oodbench_{name}_v{info.suite.version},
  title = {{oodbench suite {suite_name(info)}}},
  author = {{{{The oodbench authors}}}},
  note = {{sha256 {_suite_hash(info)}; oodbench {info.versions.get("oodbench", __version__)}}},
  year = {{{_year(info)}}}
}}

@misc{{{key},
  title = {{{title}}}
}}
"""


def _rows(runs: Sequence[RunSummary]) -> tuple[list[Row], list[str]]:
    from oodbench.report.html import rows  # it is built on this module

    return rows(runs, standing(runs)), [axis for axis in AXES if any(axis in run.axes for run in runs)]


def _with_the_best(row: Row, letters: dict[str, str]) -> bool:
    mine = letters.get(row.name, "")
    return mine == "top" or "a" in mine


def _tex_value(score: Score | ClusteredMean | None) -> str:
    """Outside of math, which does not become bold, where there is no minus sign."""
    if score is None or score.value is None:
        return "--"
    return f"{100 * score.value:.1f}" if score.value >= 0 else f"${100 * score.value:.1f}$"


def _tex_interval(score: Score | ClusteredMean | None) -> str:
    if score is None or score.interval is None:
        return ""
    return f"{{\\scriptsize[${100 * score.interval.low:.1f}$, ${100 * score.interval.high:.1f}$]}}"


def _tex(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(c, "\\" + c if c in "&%$#_{}" else c) for c in text)


def _wrapped(text: str, width: int = 100) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width)


def _suite_hash(info: RunInfo) -> str:
    return info.suite.sha256


def _year(info: RunInfo) -> str:
    return info.created[:4] or "2026"
