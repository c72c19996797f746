"""Long work that says how far it is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SILENCE = 15.0  # seconds between two lines when there is no terminal


class Meter:
    """Counts to `total`. Use as a context manager and call `advance`; `done` of it was there before."""

    def __init__(self, label: str, total: int, done: int = 0, console: Console | None = None) -> None:
        self._label, self._total, self._count, self._before = label, total, done, done
        self._console = console or Console(stderr=True)
        self._bar: Progress | None = None

    def __enter__(self) -> Self:
        self._began = self._spoke = time.monotonic()
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(28), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[note]}"), console=self._console)
            self._bar.start()
            self._task = self._bar.add_task(self._label, total=self._total, completed=self._count, note="")
        elif self._count:
            self._console.print(f"{self._label}: going on at {self._count} of {self._total}", highlight=False)
        return self

    def advance(self, steps: int = 1, note: str = "") -> None:
        """`steps` more are done; `note` is shown beside them."""
        self._count += steps
        if self._bar:
            self._bar.update(self._task, completed=self._count, note=note)
        elif time.monotonic() - self._spoke > SILENCE or self._count >= self._total:
            self._spoke = time.monotonic()
            elapsed = self._spoke - self._began
            rest = elapsed * (self._total - self._count) / max(self._count - self._before, 1)
            left = f", {_words(rest)} left" if self._count < self._total else f" in {_words(elapsed)}"
            text = f"{self._label}: {self._count}/{self._total}{left}{'  ' + note if note else ''}"
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()


def _words(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
