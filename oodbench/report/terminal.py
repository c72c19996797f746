"""Tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.table import Table

from oodbench.report.summary import RunSummary
from oodbench.run.records import AXES, EpisodeRecord
from oodbench.stats.rates import Rate

TITLES = {
    "id": "in-distribution",
    "semantic": "semantic",
    "visual": "visual",
    "execution": "execution",
    "combined": "combined",
    "control": "language controls",
}


def axis_table(runs: Mapping[str, Sequence[EpisodeRecord]]) -> Table:
    """A row a policy, a column an axis: success rate, Wilson interval and n."""
    axes = [axis for axis in AXES if any(r.axis == axis for kept in runs.values() for r in kept)]
    table = Table(title="success (95 % Wilson interval), n", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("policy", overflow="fold")
    for axis in axes:
        table.add_column(axis if axis != "id" else "in-distr.", justify="right")
    table.add_column("errors", justify="right")
    for name, kept in runs.items():
        rates = [Rate.of(r.success for r in kept if r.axis == axis) for axis in axes]
        table.add_row(name, *(cell(r).replace(" (", "\n(") for r in rates), str(sum(r.errors for r in rates)))
    return table


def shift_table(runs: Sequence[RunSummary]) -> Table:
    """A row a shift, a column a policy and severity."""
    table = Table(title="success by shift and severity (%)", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("shift")
    levels = sorted({level for run in runs for curve in run.curves.values() for level in curve})
    for run in runs:
        for level in levels:
            table.add_column(f"{run.label}\n{'ID' if level == 0 else f'@{level:g}'}", justify="right")
    for shift in dict.fromkeys(shift for run in runs for shift in run.shifts):
        cells = []
        for run in runs:
            curve = run.curves.get(shift, {})
            cells += [f"{100 * r.value:.0f}" if (r := curve.get(v)) and r.value is not None else "-" for v in levels]
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


def cell(rate: Rate) -> str:
    """For example "95.0 % (87-98), 60"."""
    if rate.value is None:
        return "-"
    return f"{100 * rate.value:.1f} % ({100 * rate.interval.low:.0f}-{100 * rate.interval.high:.0f}), {rate.n}"
