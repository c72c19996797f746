"""Showing how a run goes: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from oodbench.run.records import AXES, EpisodeRecord

LONG = 1.0  # seconds after which it is said that scenes are being drawn
SILENCE = 10.0  # seconds between two lines when there is no terminal
NAMES = {
    "id": "ID",
    "semantic": "semantic",
    "visual": "visual",
    "execution": "execution",
    "combined": "combined",
    "control": "control",
}


class Tally:
    """Running success per axis."""

    def __init__(self, records: Sequence[EpisodeRecord] = ()) -> None:
        self.wins: Counter[str] = Counter()
        self.scored: Counter[str] = Counter()
        self.errors = 0
        for record in records:
            self.add(record)

    def add(self, record: EpisodeRecord) -> None:
        if record.success is None:
            self.errors += 1
        else:
            self.scored[record.axis] += 1
            self.wins[record.axis] += record.success

    def __str__(self) -> str:
        parts = [f"{NAMES[a]} {self.wins[a]}/{self.scored[a]}" for a in AXES if self.scored[a]]
        if self.errors:
            parts.append(f"errors {self.errors}")
        return "  ".join(parts)


class ProgressDisplay:
    """Listens to a run and shows it. On a terminal a live bar, else plain lines."""

    def __init__(self, console: Console, label: str) -> None:
        self._console, self._label = console, label
        self._bar: Progress | None = None

    def planning(self, done: int, total: int) -> None:
        if done == 1:
            self._planning: float | None = time.monotonic()
        elif self._planning is not None and time.monotonic() - self._planning > LONG:
            self._planning = None
            self._console.print(f"{self._label}: drawing {total} scenes ...", highlight=False, soft_wrap=True)

    def start(self, folder: Path, total: int, done: Sequence[EpisodeRecord]) -> None:
        self._tally = Tally(done)
        self._total, self._before, self._ended = total, len(done), len(done)
        self._began = self._spoke = time.monotonic()
        self._console.print(f"{self._label}: {total} episodes into {folder}", highlight=False, soft_wrap=True)
        if done:
            self._console.print(f"going on: {len(done)} are there already", highlight=False)
        if self._console.is_terminal:
            self._bar = Progress(
                BarColumn(28),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[tally]}"),
                console=self._console,
            )
            self._bar.start()
            self._task = self._bar.add_task("", total=total, completed=len(done), rate="", tally=str(self._tally))

    def record(self, record: EpisodeRecord) -> None:
        self._tally.add(record)
        self._ended += 1
        minutes = (time.monotonic() - self._began) / 60
        rate = f"{(self._ended - self._before) / max(minutes, 1e-9):.0f}/min"
        if record.error:
            where = f"{record.task} {record.shift}@{record.severity:g} seed {record.seed}"
            self._console.print(f"error in {where}: {record.error}", style="red", highlight=False, markup=False)
        if self._bar:
            self._bar.update(self._task, completed=self._ended, rate=rate, tally=str(self._tally))
        elif time.monotonic() - self._spoke > SILENCE or self._ended == self._total:
            self._spoke = time.monotonic()
            self._console.print(f"{self._ended}/{self._total}  {rate}  {self._tally}", highlight=False, soft_wrap=True)

    def stop(self) -> None:
        if self._bar:
            self._bar.stop()
