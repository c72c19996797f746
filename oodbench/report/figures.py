"""Severity curves for papers, by matplotlib; those of pages are in charts.py."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, Literal

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from oodbench.report.charts import points
from oodbench.report.summary import RunSummary

# Okabe and Ito 2008, without black and yellow: told apart by colour-blind readers, on white and on dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "oodbench",
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def severity_curves(runs: Sequence[RunSummary], format: Literal["pdf", "svg"]) -> bytes:
    """Small multiples: a panel a shift, a line a policy with its 95 % band; the in-distribution rate at 0.

    Raises ValueError when the runs have no shifts.
    """
    names = list(dict.fromkeys(name for run in runs for name in run.shifts))
    if not names:
        raise ValueError("no shifts were played: there are no severity curves")
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    with mpl.rc_context(_STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(1.9 * columns, 1.5 * rows + 0.3), sharex=True, sharey=True, squeeze=False
        )
        for panel in grid.flat[len(names) :]:
            panel.set_visible(False)
        for panel, name in zip(grid.flat, names, strict=False):
            _panel(panel, runs, name)
        for panel in grid[:, 0]:
            panel.set_ylabel("success (%)")
        for column in range(columns):
            last = max(i for i in range(rows) if i * columns + column < len(names))
            grid[last, column].set_xlabel("severity")
            grid[last, column].xaxis.set_tick_params(labelbottom=True)
        handles = grid[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="upper center", ncols=min(4, len(runs)), frameon=False)
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.3 / (1.5 * rows + 0.3)))
        buffer = io.BytesIO()
        date = {"CreationDate": None} if format == "pdf" else {"Date": None}
        figure.savefig(buffer, format=format, metadata=date)
        plt.close(figure)
        return buffer.getvalue()


def _panel(panel: plt.Axes, runs: Sequence[RunSummary], name: str) -> None:
    for i, run in enumerate(runs):
        if name in run.shifts:
            levels, rates, bands = zip(*points(run.shifts[name]), strict=True)
            colour = COLOURS[i % len(COLOURS)]
            low, high = [100 * band.low for band in bands], [100 * band.high for band in bands]
            panel.fill_between(levels, low, high, color=colour, alpha=0.15, lw=0)
            values = [100 * rate for rate in rates]
            panel.plot(levels, values, color=colour, marker=MARKERS[i % len(MARKERS)], ms=3, lw=1.2, label=run.label)
    panel.set_title(name, fontsize=7)
    panel.set_ylim(-4, 104)
    panel.set_xlim(-0.3, 5.3)
    panel.grid(axis="y", color="#888888", alpha=0.25, lw=0.6)
