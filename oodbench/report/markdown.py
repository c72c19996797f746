"""The report as Markdown, for pull requests and notes."""

from __future__ import annotations

from collections.abc import Sequence

from oodbench.report.summary import SCORE_NOTE, RunSummary, percent, suite_name, verdict
from oodbench.report.tables import extra_tables
from oodbench.report.terminal import TITLES, score_cell
from oodbench.run.records import AXES


def render(runs: Sequence[RunSummary]) -> str:
    """Verdicts, a table by axis and one by shift."""
    lines = [f"# oodbench: {suite_name(runs[0].info)}", ""]
    lines += [f"- {_safe(verdict(run))}" for run in runs]
    axes = [axis for axis in AXES if any(axis in run.axes for run in runs)]
    lines += ["", f"Success (95 % interval), n. {SCORE_NOTE}", ""]
    lines += _row(["policy", *(TITLES[axis] for axis in axes), "severity area", "errors"])
    lines += _row(["---", *["---:"] * (len(axes) + 2)])
    for run in runs:
        scores = [score_cell(run.axes.get(axis)) for axis in axes]
        lines += _row([_safe(run.label), *scores, percent(run.area.value if run.area else None), str(run.errors)])
    lines += ["", "By shift (success in percent at each severity):", ""]
    levels = sorted({v for run in runs for shift in run.shifts.values() for v in shift.levels})
    lines += _row(["policy", "shift", *(f"{v:g}" for v in levels)])
    lines += _row(["---", "---", *["---:"] * len(levels)])
    for run in runs:
        for name, shift in run.shifts.items():
            rates = [shift.levels.get(v) for v in levels]
            values = [percent(rate.value if rate else None).removesuffix(" %") for rate in rates]
            lines += _row([_safe(run.label), name, *values])
    for title, note, table in extra_tables(runs):
        lines += ["", f"{title}. {note}", "", *_row(table[0]), *_row(["---"] * len(table[0]))]
        for row in table[1:]:
            lines += _row([_safe(text) for text in row])
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> list[str]:
    return ["| " + " | ".join(cells) + " |"]


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
