"""Figures as inline SVG. Text and axes take the page's colour, so that they work in the dark too."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from oodbench.report.summary import RunSummary

# Okabe and Ito 2008, without black and yellow: told apart by colour-blind readers, on white and on dark.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
_INK = "#010203"  # replaced by the page's text colour
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "oodbench",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), _INK),
}


def severity_curves(runs: Sequence[RunSummary]) -> str:
    """Small multiples: a panel a shift, a line a policy, Wilson intervals as bars; the in-distribution rate at 0."""
    shifts = list(dict.fromkeys(shift for run in runs for shift in run.shifts))
    columns = min(3, len(shifts))
    rows = -(-len(shifts) // columns)
    with mpl.rc_context(_STYLE):
        figure, grid = plt.subplots(
            rows, columns, figsize=(3.1 * columns, 2.1 * rows), sharex=True, sharey=True, squeeze=False
        )
        for panel in grid.flat[len(shifts) :]:
            panel.set_visible(False)
        for panel, shift in zip(grid.flat, shifts, strict=False):
            _panel(panel, runs, shift)
        for panel in grid[:, 0]:
            panel.set_ylabel("success (%)")
        for column in range(columns):
            last = max(i for i in range(rows) if i * columns + column < len(shifts))
            grid[last, column].set_xlabel("severity")
            grid[last, column].xaxis.set_tick_params(labelbottom=True)
        figure.legend(
            *grid[0, 0].get_legend_handles_labels(), loc="upper center", ncols=min(4, len(runs)), frameon=False
        )
        figure.tight_layout(rect=(0, 0, 1, 1 - 0.22 / rows))
        return _svg(figure)


def _panel(panel: plt.Axes, runs: Sequence[RunSummary], shift: str) -> None:
    for i, run in enumerate(runs):
        curve = {v: rate for v, rate in run.curves.get(shift, {}).items() if rate.value is not None}
        offset = 0.07 * (i - (len(runs) - 1) / 2)  # so that equal values stay visible
        xs = [v + offset for v in curve]
        ys = [100 * (rate.value or 0.0) for rate in curve.values()]
        low = [max(0.0, y - 100 * rate.interval.low) for y, rate in zip(ys, curve.values(), strict=True)]
        high = [max(0.0, 100 * rate.interval.high - y) for y, rate in zip(ys, curve.values(), strict=True)]
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        panel.errorbar(
            xs,
            ys,
            yerr=(low, high),
            label=run.label,
            color=colour,
            marker=marker,
            ms=4,
            lw=1.4,
            elinewidth=0.9,
            capsize=2,
        )
    panel.set_title(shift, fontsize=9)
    panel.set_ylim(-4, 104)
    panel.set_xlim(-0.3, 5.3)
    panel.grid(axis="y", color="#888888", alpha=0.25, lw=0.6)


def _svg(figure: plt.Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img">', text, count=1)
