"""Tables that only some suites have: think tasks, language controls, and the named settings of a paper."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from oodbench.report.summary import RunSummary
from oodbench.run.records import EpisodeRecord
from oodbench.stats.choice import chance_corrected, corrected_interval
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
    kept: dict[str, list[EpisodeRecord]] = defaultdict(list)
    for record in run.records:
        if record.task in TASKS.names() and TASKS.get(record.task).concept and record.axis == "id":
            kept[record.task].append(record)
    rows = [_think(task, records, len(TASKS.get(task).option)) for task, records in sorted(kept.items())]
    if len(rows) > 1:
        scores = [row.score for row in rows if row.score is not None]
        every = [record for records in kept.values() for record in records]
        widths = [(row.interval.high - row.interval.low) / 2 for row in rows if row.interval]
        mean = sum(scores) / len(scores) if scores else None
        # The tasks are independent, so the half width of their mean is that of a mean.
        half = sum(width**2 for width in widths) ** 0.5 / len(widths) if widths else 0.0
        whole = _think(ALL, every, 3)
        around = None if mean is None else Interval(mean - half, min(1.0, mean + half))
        rows.append(Think(ALL, whole.placed, whole.right, whole.success, mean, around))
    return rows


def _think(task: str, records: Sequence[EpisodeRecord], options: int) -> Think:
    success = Rate.of(r.success for r in records)
    placed = Rate.of(None if r.success is None else r.choice is not None for r in records)
    right = Rate.of(r.success for r in records if r.choice is not None)
    if success.value is None:
        return Think(task, placed, right, success, None, None)
    score = chance_corrected(success.value, options)
    return Think(task, placed, right, success, score, corrected_interval(success, options))


def listening_rows(run: RunSummary) -> list[Listening]:
    """A row a semantic shift (and "none") that was also played without words; empty when there are none."""
    by_key = {r.key: r for r in run.records}
    told: dict[str, list[tuple[EpisodeRecord, list[EpisodeRecord]]]] = defaultdict(list)
    for record in run.records:
        if record.axis in ("id", "semantic"):
            silent = [by_key[key] for key in _silent_keys(record) if key in by_key]
            if silent:
                told[record.shift].append((record, silent))
    rows = []
    for shift in sorted(told, key=lambda name: (name != "none", name)):
        scored = [
            (float(with_words.success), [float(r.success) for r in without if r.success is not None])
            for with_words, without in told[shift]
            if with_words.success is not None
        ]
        pairs = [(a, sum(b) / len(b)) for a, b in scored if b]
        index, interval = language_use(pairs)
        rows.append(
            Listening(
                shift,
                Rate.of(r.success for r, _ in told[shift]),
                Rate.of(r.success for _, some in told[shift] for r in some),
                index,
                interval,
            )
        )
    return rows


def _silent_keys(record: EpisodeRecord) -> list[tuple[str, str, float, int]]:
    if record.shift == "none":
        return [(record.task, name, 1.0, record.seed) for name in SILENT]
    full = f"{record.shift}@{record.severity:g}"
    top = max(record.severity, 1.0)
    return [(record.task, f"{full}+{name}@1", top, record.seed) for name in SILENT]


def habits(run: RunSummary) -> tuple[Rate, Rate] | None:
    """Where another object is asked for: success, and doing what demonstrations do instead. None when not played."""
    kept = [r for r in run.records if r.habit is not None and not any(name in r.shift for name in SILENT)]
    if not kept:
        return None
    return Rate.of(r.success for r in kept), Rate.of(None if r.error else r.habit for r in kept)


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
    cells = runs[0].info.get("suite", {}).get("content", {}).get("cells", ())
    settings = [
        (cell["setting"], set(cell["shifts"]), set(cell["severities"]) or {0.0})
        for cell in cells
        if cell.get("setting")
    ]
    if not settings:
        return []
    lines = []
    for run in runs:
        kept = [
            [r for r in run.records if r.shift in shifts and r.severity in levels] for _, shifts, levels in settings
        ]
        lines.append([run.label, *(_cell(Rate.of(r.success for r in mine)) for mine in kept)])
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
