"""Episode records by column: what reports and statistics count, also when there are a million of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from oodbench.errors import RunFolderError
from oodbench.run import files, records
from oodbench.run.records import AXES, PLAIN, Axis, EpisodeKey
from oodbench.shift import MAX_SEVERITY
from oodbench.stats.clustered import scene_codes
from oodbench.stats.rates import Rate

BLOCK = 32 * 2**20  # bytes of lines that are read at once
DIGITS = 16  # of a hash that are kept: 64 bits


_Name = Annotated[str, Meta(max_length=1000)]
_Count = Annotated[int, Meta(ge=0, le=2**30)]


class _Line(msgspec.Struct, gc=False):
    """What is read of a line; the rest of it is skipped."""

    task: _Name
    shift: _Name
    severity: Annotated[float, Meta(ge=0.0, le=MAX_SEVERITY)]
    seed: Annotated[int, Meta(ge=0, le=2**53)]
    axis: Axis
    success: bool | None = None
    failure: _Name | None = None
    choice: _Name | None = None
    habit: bool | None = None
    steps: _Count = 0
    closure_sha256: str | None = None
    slowest_answer: Annotated[float, Meta(ge=0.0)] = 0.0
    waited: _Count | None = None
    video: str | None = None
    instruction: str | None = None


@dataclass(frozen=True)
class Names:
    """A column of names. codes: places in `names`; -1 where there is none."""

    names: tuple[str, ...]
    codes: np.ndarray

    @classmethod
    def of(cls, values: Sequence[str | None], names: Sequence[str] = ()) -> Names:
        """names: those that come first, whether they occur or not."""
        found = [name for name in dict.fromkeys([*names, *dict.fromkeys(values)]) if name is not None]
        place: dict[str | None, int] = {name: i for i, name in enumerate(found)}
        codes = np.fromiter(map({**place, None: -1}.__getitem__, values), np.int32, len(values))
        return cls(tuple(found), codes)

    def __getitem__(self, rows: Any) -> Names:
        return Names(self.names, self.codes[rows])

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[str | None]:
        return (None if code < 0 else self.names[code] for code in self.codes.tolist())

    def at(self, row: int) -> str | None:
        code = int(self.codes[row])
        return None if code < 0 else self.names[code]

    def is_(self, name: str) -> np.ndarray:
        """Mask of the rows that hold this name."""
        return self.codes == (self.names.index(name) if name in self.names else -2)

    def where(self, test: Iterable[str]) -> np.ndarray:
        """Mask of the rows that hold one of these names."""
        wanted = set(test)
        return np.isin(self.codes, [i for i, name in enumerate(self.names) if name in wanted])

    def present(self) -> list[str]:
        """The names that occur."""
        return [self.names[code] for code in np.unique(self.codes).tolist() if code >= 0]

    def coded(self, names: Sequence[str]) -> np.ndarray:
        """The codes that the rows have among other names; -1 for those that are not there."""
        place = {name: i for i, name in enumerate(names)}
        return np.array([*(place.get(name, -1) for name in self.names), -1], np.int64)[self.codes]


@dataclass(frozen=True)
class Film:
    """Of a filmed episode: its row, the file (relative to the run folder), and what the policy was told."""

    row: int
    path: str
    instruction: str


@dataclass(frozen=True)
class Episodes:
    """Records of episodes, a column an array; all columns have one length.

    success: 1, 0, or -1 for an episode that ended in an error. habit: likewise, -1 where there is none. scene: the
    first 64 bits of its hash; 0 where there is none. waited: -1 where the world waited for the policy.
    """

    task: Names
    shift: Names
    axis: Names
    severity: np.ndarray
    seed: np.ndarray
    success: np.ndarray
    failure: Names
    choice: Names
    habit: np.ndarray
    steps: np.ndarray
    scene: np.ndarray
    slowest_answer: np.ndarray
    waited: np.ndarray
    films: tuple[Film, ...] = ()

    @classmethod
    def of(cls, rows: Iterable[Any]) -> Episodes:
        """From EpisodeRecords, or anything with their fields."""
        rows = list(rows)

        def column(name: str) -> list[Any]:
            return list(map(attrgetter(name), rows))

        def numbers(name: str, kind: type, none: int) -> np.ndarray:
            return np.array([none if value is None else value for value in column(name)], kind)

        return cls(
            task=Names.of(column("task")), shift=Names.of(column("shift")), axis=Names.of(column("axis"), AXES),
            severity=np.array(column("severity"), np.float64), seed=np.array(column("seed"), np.int64),
            success=numbers("success", np.int8, -1), failure=Names.of(column("failure")),
            choice=Names.of(column("choice")), habit=numbers("habit", np.int8, -1),
            steps=np.array(column("steps"), np.int32), scene=_bits(column("closure_sha256")),
            slowest_answer=np.array(column("slowest_answer"), np.float32), waited=numbers("waited", np.int32, -1),
            films=tuple(Film(i, r.video, r.instruction or "") for i, r in enumerate(rows) if r.video),
        )  # fmt: skip

    @classmethod
    def joined(cls, parts: Sequence[Episodes]) -> Episodes:
        """One after the other."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *(len(part) for part in parts)])
        columns: dict[str, Any] = {}
        for column in fields(cls):
            values = [getattr(part, column.name) for part in parts]
            if column.name == "films":
                moved = (replace(f, row=f.row + int(start)) for films, start in zip(values, starts) for f in films)  # noqa: B905
                columns["films"] = tuple(moved)
            elif isinstance(values[0], Names):
                names = list(dict.fromkeys(name for value in values for name in value.names))
                codes = [value.coded(names).astype(np.int32) for value in values]
                columns[column.name] = Names(tuple(names), np.concatenate(codes))
            else:
                columns[column.name] = np.concatenate(values)
        return cls(**columns)

    def __len__(self) -> int:
        return len(self.seed)

    def __getitem__(self, rows: np.ndarray) -> Episodes:
        """The rows of a mask, or those with these numbers."""
        numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
        place = {int(n): i for i, n in enumerate(numbers)} if self.films else {}
        films = tuple(replace(f, row=place[f.row]) for f in self.films if f.row in place)
        kept = {c.name: getattr(self, c.name)[numbers] for c in fields(self) if c.name != "films"}
        return Episodes(**kept, films=films)

    @property
    def scored(self) -> np.ndarray:
        """Mask of the episodes that ended in no error."""
        return self.success >= 0

    @property
    def shifted(self) -> np.ndarray:
        """Mask of the episodes under a shift that a policy should withstand."""
        return ~self.axis.where(PLAIN)

    @cached_property
    def scene_codes(self) -> np.ndarray:
        """A number for the scene that each episode starts from: that of its task and seed."""
        return scene_codes(self.task.codes, self.seed)

    @cached_property
    def cell_codes(self) -> np.ndarray:
        """A number for the shift and severity of each episode."""
        levels, level = np.unique(self.severity, return_inverse=True)
        return self.shift.codes.astype(np.int64) * len(levels) + level

    def key(self, row: int) -> EpisodeKey:
        """Of one episode."""
        task, shift = self.task.at(row), self.shift.at(row)
        return task or "", shift or "", float(self.severity[row]), int(self.seed[row])

    def name(self, row: int) -> str:
        """Of one episode: task/shift/severity/seed."""
        task, shift, severity, seed = self.key(row)
        return f"{task}/{shift}/{severity:g}/{seed}"

    def rate(self, mask: np.ndarray | slice = slice(None)) -> Rate:
        """Success rate of all, or of those that the mask lets through."""
        success = self.success[mask]
        won, lost = int((success == 1).sum()), int((success == 0).sum())
        return Rate(won, won + lost, len(success) - won - lost)

    def cells(self) -> list[tuple[tuple[str, str, float], np.ndarray]]:
        """((task, shift, severity), its rows) of every cell, by axis, shift and severity within a task."""
        levels, level = np.unique(self.severity, return_inverse=True)
        code = (self.task.codes.astype(np.int64) * len(self.shift.names) + self.shift.codes) * len(levels) + level
        found = []
        for rows in _groups(code):
            task, shift, severity, _ = self.key(rows[0])
            found.append(((task, int(self.axis.codes[rows[0]]), shift, severity), rows))
        return [((task, shift, level), rows) for (task, _, shift, level), rows in sorted(found, key=lambda f: f[0])]

    def distinct(self) -> Episodes:
        """The last record of each episode, where several stand for one, in the order of the first."""
        code = episode_codes(self, self)[0]
        _, first, inverse = np.unique(code, return_index=True, return_inverse=True)
        if len(first) == len(code):
            return self
        last = np.zeros(len(first), np.int64)
        np.maximum.at(last, inverse, np.arange(len(code)))
        return self[last[np.argsort(first)]]


def episode_codes(a: Episodes, b: Episodes) -> tuple[np.ndarray, np.ndarray]:
    """A number for every episode of each, equal where task, shift, severity and seed are."""
    tasks = list(dict.fromkeys([*a.task.names, *b.task.names]))
    shifts = list(dict.fromkeys([*a.shift.names, *b.shift.names]))
    levels = np.unique(np.concatenate([a.severity, b.severity]))
    seeds = np.unique(np.concatenate([a.seed, b.seed]))

    def code(e: Episodes) -> np.ndarray:
        cell = (e.task.coded(tasks) * len(shifts) + e.shift.coded(shifts)) * len(levels)
        return (cell + np.searchsorted(levels, e.severity)) * len(seeds) + np.searchsorted(seeds, e.seed)

    return code(a), code(b)


def read(path: Path) -> Episodes:
    """The records of an episodes.jsonl, also a compressed one (.zst): the last one of each episode.

    A torn last line is left out; without the file there are none. Raises RunFolderError for any other bad line.
    """
    try:
        found = files.blocks(path.parent, path.name, BLOCK)
        parts = [Episodes.of(_decode(block, path, last=last)) for block, last in found]
    except FileNotFoundError:
        return Episodes.of(())
    for part in parts:  # names are printed on terminals
        if not all(n.isprintable() for c in (part.task, part.shift, part.failure, part.choice) for n in c.names):
            raise RunFolderError(f"{path}: a name with control characters")
    return Episodes.joined(parts).distinct()


def _decode(block: bytes, path: Path, *, last: bool) -> list[_Line]:
    try:
        return msgspec.json.Decoder(_Line).decode_lines(block)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if last:
            return []  # no newline after it: the write was cut short
        records.read(path)  # says which line
        raise RunFolderError(f"{path}: not episode records ({error})") from error


def _bits(hashes: Iterable[str | None]) -> np.ndarray:
    try:
        digits = [h[:DIGITS].rjust(DIGITS, "0") if h else "0" * DIGITS for h in hashes]
        known = bytes.fromhex("".join(digits))
        if len(known) != len(digits) * DIGITS // 2:  # fromhex passes over blanks
            raise ValueError("blanks")
        return np.frombuffer(known, ">u8").astype(np.uint64)
    except ValueError as error:
        raise RunFolderError(f"not a hash: {error}") from error


def _groups(code: np.ndarray) -> list[np.ndarray]:
    """The rows of each value, in order."""
    if not len(code):
        return []
    order = np.argsort(code, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
