"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table

from oodbench.report.summary import RunSummary, Score
from oodbench.run.records import AXES

TITLES = {
    "id": "in-distribution",
    "semantic": "semantic",
    "visual": "visual",
    "execution": "execution",
    "combined": "combined",
    "control": "language controls",
}


def axis_table(runs: Sequence[RunSummary]) -> Table:
    """A row a policy, a column an axis: success, its interval and n."""
    axes = [axis for axis in AXES if any(axis in run.axes for run in runs)]
    table = Table(title="success (95 % interval by scene), n", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("policy", overflow="fold")
    for axis in axes:
        table.add_column(axis if axis != "id" else "in-distr.", justify="right")
    table.add_column("errors", justify="right")
    for run in runs:
        scores = [score_cell(run.axes.get(axis)).replace(" (", "\n(").replace(", ", "\n") for axis in axes]
        table.add_row(run.label, *scores, str(run.errors))
    return table


def shift_table(runs: Sequence[RunSummary]) -> Table:
    """A row a shift, a column a policy and severity."""
    table = Table(title="success by shift and severity (%)", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("shift")
    levels = sorted({level for run in runs for shift in run.shifts.values() for level in shift.levels})
    for run in runs:
        for level in levels:
            table.add_column(f"{run.label}\n{'ID' if level == 0 else f'@{level:g}'}", justify="right")
    for shift in dict.fromkeys(shift for run in runs for shift in run.shifts):
        cells = []
        for run in runs:
            played = run.shifts[shift].levels if shift in run.shifts else {}
            cells += [f"{100 * r.value:.0f}" if (r := played.get(v)) and r.value is not None else "-" for v in levels]
        table.add_row(shift, *cells)
    return table


def text_table(title: str, lines: Sequence[Sequence[str]]) -> Table:
    """A table of texts, the first line its header."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False)
    for index, name in enumerate(lines[0]):
        table.add_column(name, justify="left" if index < 2 else "right", overflow="fold")
    for line in lines[1:]:
        table.add_row(*line)
    return table


def score_cell(score: Score | None) -> str:
    """For example "95.0 % (87-98), n 60"."""
    if score is None or score.value is None:
        return "-"
    around = f" ({100 * score.interval.low:.0f}-{100 * score.interval.high:.0f})" if score.interval else ""
    return f"{100 * score.value:.1f} %{around}, n {score.n}"
