"""Tables that only some suites have: think tasks, language controls, and the named settings of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.report.summary import RunSummary
from oodbench.run.columns import Episodes
from oodbench.stats.choice import chance_corrected, corrected_interval
from oodbench.stats.clustered import paired_scenes
from oodbench.stats.language import language_use
from oodbench.stats.rates import Interval, Rate
from oodbench.task import TASKS

SILENT = ("control.blank", "control.scrambled")
ALL = "all"
THINK_NOTE = (
    "Placing skill and choice apart; the score is (accuracy - 1/k) / (1 - 1/k) with k boards, so that 0 is chance and "
    "1 is always right. 95 % intervals."
)
LISTENING_NOTE = (
    "Without: the same scenes with no words, or with meaningless ones. Language use is 1 - without / with: 0 when "
    "words make no difference. 95 % bootstrap intervals over scenes."
)


@dataclass(frozen=True)
class Think:
    """A think task, or all of one run. placed: on any board. right: of those placed, on the right one."""

    task: str
    placed: Rate
    right: Rate
    success: Rate
    score: float | None  # chance-corrected
    interval: Interval | None


@dataclass(frozen=True)
class Listening:
    """A shift of one run with its language controls."""

    shift: str
    told: Rate  # with the right words
    silent: Rate  # without words, or with meaningless ones
    index: float | None
    interval: Interval | None


def think_rows(run: RunSummary) -> list[Think]:
    """A row a think task that was played in-distribution, and one over all; empty when none was."""
    e, plain = run.episodes, run.episodes.axis.is_("id")
    tasks = [task for task in run.tasks if task in TASKS.names() and TASKS.get(task).concept]
    played = {task: e[plain & e.task.is_(task)] for task in tasks}
    kept = {task: episodes for task, episodes in played.items() if len(episodes)}
    rows = [_think(task, episodes, len(TASKS.get(task).option)) for task, episodes in kept.items()]
    if len(rows) > 1:
        scores = [row.score for row in rows if row.score is not None]
        widths = [(row.interval.high - row.interval.low) / 2 for row in rows if row.interval]
        mean = sum(scores) / len(scores) if scores else None
        # The tasks are independent, so the half width of their mean is that of a mean.
        half = sum(width**2 for width in widths) ** 0.5 / len(widths) if widths else 0.0
        whole = _think(ALL, e[plain & e.task.where(kept)], 3)
        around = None if mean is None else Interval(mean - half, min(1.0, mean + half))
        rows.append(Think(ALL, whole.placed, whole.right, whole.success, mean, around))
    return rows


def _think(task: str, episodes: Episodes, options: int) -> Think:
    success, chosen = episodes.rate(), episodes.choice.codes >= 0
    placed = Rate(int((chosen & episodes.scored).sum()), success.n, success.errors)
    right = episodes.rate(chosen)
    if success.value is None:
        return Think(task, placed, right, success, None, None)
    score = chance_corrected(success.value, options)
    return Think(task, placed, right, success, score, corrected_interval(success, options))


def listening_rows(run: RunSummary) -> list[Listening]:
    """A row a semantic shift (and "none") that was also played without words; empty when there are none."""
    e = run.episodes
    if not any(name.endswith(tuple(f"{quiet}@1" for quiet in SILENT) + SILENT) for name in e.shift.names):
        return []
    spoken = e.axis.where(("id", "semantic"))
    rows = []
    for shift in sorted(e.shift[spoken].present(), key=lambda name: (name != "none", name)):
        told, silent = [], []  # (scenes and levels, outcomes), of both
        for level in np.unique(e.severity[spoken & e.shift.is_(shift)]).tolist():
            with_words = spoken & e.shift.is_(shift) & (e.severity == level)
            without = e.shift.where(_silent_names(shift, level)) & (e.severity == (max(level, 1.0)))
            shared = np.isin(e.scene_codes, e.scene_codes[without])
            told.append(with_words & shared)
            silent.append(without & np.isin(e.scene_codes, e.scene_codes[with_words]))
        if not any(mask.any() for mask in silent):
            continue
        pairs = [
            pair
            for a, b in zip(told, silent, strict=True)
            for both in paired_scenes(
                *((e.scene_codes[m & e.scored], e.success[m & e.scored]) for m in (a, b))
            ).values()
            for pair in both.tolist()
        ]
        index, interval = language_use(pairs)
        rates = [e.rate(np.any(masks, axis=0)) for masks in (told, silent)]
        rows.append(Listening(shift, rates[0], rates[1], index, interval))
    return rows


def _silent_names(shift: str, level: float) -> list[str]:
    return list(SILENT) if shift == "none" else [f"{shift}@{level:g}+{name}@1" for name in SILENT]


def habits(run: RunSummary) -> tuple[Rate, Rate] | None:
    """Where another object is asked for: success, and doing what demonstrations do instead. None when not played."""
    e = run.episodes
    mask = (e.habit >= 0) & ~e.shift.where(name for name in e.shift.names if any(quiet in name for quiet in SILENT))
    if not mask.any():
        return None
    done, errors = mask & e.scored, int((mask & ~e.scored).sum())
    return e.rate(mask), Rate(int((e.habit[done] == 1).sum()), int(done.sum()), errors)


def think_lines(runs: Sequence[RunSummary]) -> list[list[str]]:
    """The first table as text: a header and a row a run and task; empty when no think task was played."""
    lines = [
        [run.label, row.task, _cell(row.placed), _cell(row.right), _scaled(row.score, row.interval)]
        for run in runs
        for row in think_rows(run)
    ]
    header = ["policy", "task", "placed on any board", "of those, on the right one", "score (0 is chance)"]
    return [header, *lines] if lines else []


def listening_lines(runs: Sequence[RunSummary]) -> list[list[str]]:
    """The second table as text; empty when no language control was played."""
    lines = [
        [run.label, row.shift, _cell(row.told), _cell(row.silent), _scaled(row.index, row.interval)]
        for run in runs
        for row in listening_rows(run)
    ]
    for run in runs:
        both = habits(run)
        if both:
            lines.append([run.label, "another object asked for", _cell(both[0]), f"{_cell(both[1])} did the usual", ""])
    header = ["policy", "shift", "success with its words", "without", "language use (0 none, 1 all)"]
    return [header, *lines] if lines else []


def setting_lines(runs: Sequence[RunSummary]) -> list[list[str]]:
    """Success in the suite's named settings, a row a policy; empty when it names none."""
    cells = runs[0].info.suite.content.cells
    settings = [(cell.setting, set(cell.shifts), set(cell.severities) or {0.0}) for cell in cells if cell.setting]
    if not settings:
        return []
    lines = []
    for run in runs:
        e = run.episodes
        masks = [e.shift.where(shifts) & np.isin(e.severity, list(levels)) for _, shifts, levels in settings]
        lines.append([run.label, *(_cell(e.rate(mask)) for mask in masks)])
    return [["policy", *(name for name, _, _ in settings)], *lines]


def extra_tables(runs: Sequence[RunSummary]) -> list[tuple[str, str, list[list[str]]]]:
    """(title, note, lines) of each of these tables that the runs have."""
    found = [
        ("Settings", "Success by the suite's own names for its cells.", setting_lines(runs)),
        ("VL-Think", THINK_NOTE, think_lines(runs)),
        ("Language use", LISTENING_NOTE, listening_lines(runs)),
    ]
    return [(title, note, lines) for title, note, lines in found if lines]


def _cell(rate: Rate) -> str:
    return "-" if rate.value is None else f"{100 * rate.value:.1f} %, n {rate.n}"


def _scaled(value: float | None, interval: Interval | None) -> str:
    if value is None:
        return "-"
    around = f" ({interval.low:.2f} to {interval.high:.2f})" if interval else ""
    return f"{value:.2f}{around}"
