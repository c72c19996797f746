"""The report as Markdown, for pull requests and notes."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.report.summary import RunSummary, percent, suite_name, verdict
from oodbench.report.tables import extra_tables
from oodbench.report.terminal import TITLES, cell
from oodbench.run.records import AXES
from oodbench.stats.rates import Rate


def render(runs: Sequence[RunSummary]) -> str:
    """Verdicts, a table by axis and one by shift."""
    lines = [f"# oodbench: {suite_name(runs[0].info)}", ""]
    lines += [f"- {_safe(verdict(run))}" for run in runs]
    axes = [axis for axis in AXES if any(axis in run.axes for run in runs)]
    lines += ["", "Success, 95 % Wilson interval, n:", ""]
    lines += _row(["policy", *(TITLES[axis] for axis in axes), "severity area", "errors"])
    lines += _row(["---", *["---:"] * (len(axes) + 2)])
    for run in runs:
        rates = [cell(run.axes.get(axis, Rate(0, 0))) for axis in axes]
        errors = sum(rate.errors for rate in run.axes.values())
        lines += _row([_safe(run.label), *rates, percent(run.area), str(errors)])
    lines += ["", "By shift (success in percent at each severity):", ""]
    levels = sorted({v for run in runs for curve in run.curves.values() for v in curve})
    lines += _row(["policy", "shift", *(f"{v:g}" for v in levels)])
    lines += _row(["---", "---", *["---:"] * len(levels)])
    for run in runs:
        for shift, curve in run.curves.items():
            values = [percent(curve[v].value).removesuffix(" %") if v in curve else "-" for v in levels]
            lines += _row([_safe(run.label), shift, *values])
    for title, note, table in extra_tables(runs):
        lines += ["", f"{title}. {note}", "", *_row(table[0]), *_row(["---"] * len(table[0]))]
        for row in table[1:]:
            lines += _row([_safe(text) for text in row])
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
