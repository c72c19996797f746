"""Severity curves for pages, as small inline SVGs: text and colours are the page's, so that they work in the dark too.

Drawn here and not by matplotlib, which takes two seconds for the panels of one policy; figures for papers are in
figures.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from oodbench.report.summary import RunSummary, ShiftSummary
from oodbench.stats.rates import Interval

WIDTH, HEIGHT = 250, 150
LEFT, RIGHT, TOP, BOTTOM = 42, 8, 8, 24
HIGHEST = 5.0  # severity
BANDS = 2  # runs up to which bands are shaded; those of more would cover each other, and are drawn as whiskers
SERIES = 6  # colours and markers that the style sheet has


def severity_panels(runs: Sequence[RunSummary]) -> Markup:
    """A figure a shift, a line a run, by axis: success over severity, the in-distribution rate at 0."""
    names = dict.fromkeys(name for run in runs for name in run.shifts)
    return Markup("\n").join(_panel(name, runs) for name in names)


def _panel(name: str, runs: Sequence[RunSummary]) -> Markup:
    played = [(i, run.label, run.shifts[name]) for i, run in enumerate(runs) if name in run.shifts]
    words = "; ".join(_words(label, shift) for _, label, shift in played)
    lines = "".join(_series(i, label, shift, len(runs)) for i, label, shift in played)
    note = f' <span class="muted">{_note(played[0][2])}</span>' if len(runs) == 1 else ""
    return Markup(
        f'<figure class="panel"><figcaption>{escape(name)}{note}</figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)}: {escape(words)}">'
        f"{_axes()}{lines}</svg></figure>"
    )


def _note(shift: ShiftSummary) -> str:
    """What is sure of one curve: that it falls, and where it has lost half."""
    found = shift.curve
    if found is None or found.slope is None or found.slope.interval is None or found.slope.interval.low <= 0:
        return ""
    return "falls with severity" + (f", to half at {found.half:.1f}" if found.half is not None else "")


def _axes() -> str:
    parts = []
    for value in (0.0, 0.5, 1.0):
        y = _y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{y + 3.5:.1f}" text-anchor="end">{100 * value:.0f} %</text>')
    for level in range(6):
        word = "ID" if level == 0 else str(level)
        parts.append(f'<text x="{_x(level):.1f}" y="{HEIGHT - 7}" text-anchor="middle">{word}</text>')
    return "".join(parts)


def _series(i: int, label: str, shift: ShiftSummary, of: int) -> str:
    found = points(shift)
    if not found:
        return ""
    aside = 0.09 * (i - (of - 1) / 2)  # so that equal values stay visible
    place = [(_x(level + aside), _y(value)) for level, value, _ in found]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in place)
    upper = "L".join(f"{x:.1f} {_y(band.high):.1f}" for (x, _), (*_, band) in zip(place, found, strict=True))
    lower = "L".join(f"{x:.1f} {_y(band.low):.1f}" for (x, _), (*_, band) in zip(place[::-1], found[::-1], strict=True))
    kind = f"s{i % SERIES}"
    marks = "".join(
        f"<g>{_mark(i, x, y)}<title>{escape(label)}, {'in-distribution' if level == 0 else f'severity {level:g}'}: "
        f"{100 * value:.0f} % ({100 * band.low:.0f} to {100 * band.high:.0f})</title></g>"
        for (x, y), (level, value, band) in zip(place, found, strict=True)
    )
    if of <= BANDS:
        sure = f'<path class="band" d="M{upper}L{lower}Z"/>'
    else:
        sure = "".join(
            f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{_y(band.low):.1f}" y2="{_y(band.high):.1f}"/>'
            for (x, _), (*_, band) in zip(place, found, strict=True)
        )
    return f'<g class="{kind}">{sure}<path class="line" d="{path}"/>{marks}</g>'


def points(shift: ShiftSummary) -> list[tuple[float, float, Interval]]:
    """(severity, rate, interval): of the whole curve at once where there is one, else each for itself."""
    if shift.curve:
        return list(zip(shift.curve.levels, shift.curve.rate, shift.curve.band, strict=True))
    return [(v, r.value, r.interval) for v, r in shift.levels.items() if r.value is not None]


def _mark(i: int, x: float, y: float) -> str:
    """A marker of its own a run, so that colour is not all that tells them apart."""
    shapes = (
        "M-3-3H3V3H-3Z",
        "M0-4L4 3H-4Z",
        "M0-4L4 0L0 4L-4 0Z",
        "M0 4L4-3H-4Z",
        "M-1-4H1V-1H4V1H1V4H-1V1H-4V-1H-1Z",
    )
    if i % SERIES == 0:
        return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="3.2"/>'
    return f'<path class="mark" transform="translate({x:.1f} {y:.1f})" d="{shapes[i % SERIES - 1]}"/>'


def marker(i: int) -> Markup:
    """The marker of a run, for a legend."""
    return Markup(f'<svg class="key s{i % SERIES}" viewBox="-6 -6 12 12" aria-hidden="true">{_mark(i, 0, 0)}</svg>')


def _words(label: str, shift: ShiftSummary) -> str:
    said = ", ".join(f"{'ID' if level == 0 else f'{level:g}'} {100 * value:.0f} %" for level, value, _ in points(shift))
    return f"{label} {said}"


def _x(severity: float) -> float:
    return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * severity / HIGHEST


def _y(rate: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1 - rate)
