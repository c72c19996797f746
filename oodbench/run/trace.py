"""What was done in each episode, step by step, so that it can be played again: traces/<worker>.bin in a run folder.

An entry is a line of JSON (the episode's key and the lengths) and, behind it: zlib of the actions (steps x 7 float64,
as they were given to the simulator); a few bytes of the hash of everything up to each step; and zlib of where the hand
and the objects were, every EVERY control steps and at the end. Each worker appends to a file of its own; of an episode
that was played again the last entry counts, and a torn one is left out.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oodbench.errors import RunFolderError
from oodbench.policies.base import ACTION_SIZE
from oodbench.run import files
from oodbench.run.records import EpisodeKey, EpisodeRecord

if TYPE_CHECKING:
    from oodbench.sim.world import World

FORMAT = 2  # 1, of before there was a number, has no positions
STATE_BYTES = 4  # of the hash, at each step
EVERY = 10  # control steps (0.5 s) between positions that are kept
MOST_STEPS = 20_000  # of an episode; the longest horizon of a task is some hundreds
MOST_THINGS = 200  # the hand, and the objects of a scene
MOST_ENTRIES = 1_000_000  # of a run: each takes some 500 bytes of memory
HEAD_BYTES = 4096  # of an entry's first line
PACKED = 1.1, 1000  # zlib may make random bytes longer: by this factor, and by so many bytes


@dataclass
class Tape:
    """Fills up while an episode is played. positions: see `Trace`, a row an element."""

    actions: list[np.ndarray] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)
    positions: list[np.ndarray] = field(default_factory=list)

    def step(self, action: np.ndarray, world: World) -> None:
        """To be called after each step of the world."""
        self.actions.append(np.array(action, np.float64))
        self.states.append(bytes.fromhex(world.outcome_sha256()[: 2 * STATE_BYTES]))
        if len(self.actions) % EVERY == 0:
            self.positions.append(positions(world))

    def end(self, world: World) -> None:
        """To be called after the last step."""
        if len(self.actions) % EVERY:
            self.positions.append(positions(world))


@dataclass(frozen=True)
class Trace:
    """What was recorded of an episode.

    actions: (steps, 7) float64, in [-1, 1]. states: of each step, the beginning of the hash of all that was before.
    positions: (times, things, 3) float32 (m, world frame), the point between the fingertips and then the objects in the
    scene's order, after every EVERY-th step and the last one; no times in traces of format 1.
    """

    actions: np.ndarray
    states: list[bytes]
    positions: np.ndarray


def positions(world: World) -> np.ndarray:
    """Where the point between the fingertips and the objects are, (1 + objects, 3) float32 (m, world frame)."""
    things = [world.grip_position, *(world.position(item.id) for item in world.scene.objects)]
    return np.array(things, np.float32)


def kept_steps(steps: int) -> list[int]:
    """After which steps (the first is 1) the positions are kept in an episode of so many."""
    return [step for step in range(1, steps + 1) if step % EVERY == 0 or step == steps]


class _Head(BaseModel):
    """The line of JSON before an entry. actions, states, positions: bytes that follow. things: rows of positions."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    format: int = Field(1, ge=1, le=FORMAT)
    key: tuple[str, str, float, int]
    steps: int = Field(ge=0, le=MOST_STEPS)
    actions: int = Field(ge=0, le=int(MOST_STEPS * ACTION_SIZE * 8 * PACKED[0]) + PACKED[1])
    states: int = Field(ge=0, le=MOST_STEPS * STATE_BYTES)
    things: int = Field(0, ge=0, le=MOST_THINGS)
    positions: int = Field(0, ge=0, le=int(MOST_STEPS / EVERY * MOST_THINGS * 12 * PACKED[0]) + PACKED[1])


class TraceWriter:
    """Appends to the traces of a run folder. Raises RunFolderError when the disk will not take it."""

    def __init__(self, run: Path, name: str | None = None) -> None:
        self._path = run / "traces" / f"{name or f'{time.time_ns()}-{os.getpid()}'}.bin"
        self._file: IO[bytes] | None = None

    def write(self, record: EpisodeRecord, tape: Tape) -> None:
        try:
            if self._file is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self._path.open("ab")
            self._file.write(dumps(record.key, tape))
            self._file.flush()
        except OSError as error:
            raise RunFolderError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file:
            self._file.close()


def dumps(key: EpisodeKey, recorded: Tape | Trace) -> bytes:
    """An entry of a file of traces."""
    actions = zlib.compress(np.array(recorded.actions, np.float64).tobytes(), 1)
    states, places = b"".join(recorded.states), _pack(list(recorded.positions))
    head = _Head(
        format=FORMAT, key=key, steps=len(recorded.actions), actions=len(actions), states=len(states),
        things=len(recorded.positions[0]) if len(recorded.positions) else 0, positions=len(places),
    )  # fmt: skip
    return head.model_dump_json().encode() + b"\n" + actions + states + places


def loads(content: bytes) -> tuple[EpisodeKey, Trace]:
    """The inverse. Raises RunFolderError for what is not one whole entry."""
    line, _, rest = content.partition(b"\n")
    try:
        head = _Head.model_validate_json(line[:HEAD_BYTES])
        place = _Place("", 0, head.steps, head.actions, head.states, head.things, head.positions)
        if len(rest) != head.actions + head.states + head.positions:
            raise ValueError(f"{len(rest)} bytes behind its head")
        return head.key, _trace(place, rest)
    except ValueError as error:
        raise RunFolderError(f"not a trace ({str(error).splitlines()[0]})") from None


def _pack(rows: list[np.ndarray]) -> bytes:
    """Differences from one time to the next of the numbers' bit patterns, the bytes of one significance together:
    things that lie still are zeros, which zlib packs away."""
    if not rows:
        return b""
    bits = np.array(rows, "<f4").view("<u4")
    bits[1:] -= bits[:-1].copy()
    return zlib.compress(bits.reshape(-1, 1).view(np.uint8).T.tobytes(), 9)


def _unpack(content: bytes, times: int, things: int) -> np.ndarray:
    """The inverse. Raises ValueError."""
    if not things:
        return np.zeros((0, 0, 3), np.float32)
    packed = np.frombuffer(files.inflated(content, times * things * 12), np.uint8)
    bits = np.ascontiguousarray(packed.reshape(4, -1).T).view("<u4").reshape(times, things, 3)
    found = np.cumsum(bits, axis=0, dtype=np.uint32).view(np.float32)
    if not np.isfinite(found).all():
        raise ValueError("a position that is not finite")
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an entry is: the file's name in the run folder, where its content begins, and what its head says."""

    name: str
    begin: int
    steps: int
    actions: int
    states: int
    things: int
    positions: int


class Traces(Mapping[EpisodeKey, Trace]):
    """The traces of a run folder by episode; each is read when it is asked for.

    Asking for one raises RunFolderError when it is not what its head says.
    """

    def __init__(self, run: Path, places: dict[EpisodeKey, _Place]) -> None:
        self._run, self._places = run, places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[EpisodeKey]:
        return iter(self._places)

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __getitem__(self, key: EpisodeKey) -> Trace:
        place = self._places[key]
        path = self._run / place.name
        try:
            with files.opened(self._run, place.name, files.TRACE_BYTES) as file:
                file.seek(place.begin)
                content = file.read(place.actions + place.states + place.positions)
            return _trace(place, content)
        except (ValueError, FileNotFoundError) as error:
            raise RunFolderError(f"{path}: not a trace at byte {place.begin} ({error})") from None


def _trace(head: _Place, content: bytes) -> Trace:
    """Raises ValueError when the content does not have what the head says."""
    middle, end = head.actions, head.actions + head.states
    packed = files.inflated(content[:middle], head.steps * ACTION_SIZE * 8)
    actions = np.frombuffer(packed, "<f8").reshape(head.steps, ACTION_SIZE)
    if head.states != head.steps * STATE_BYTES:
        raise ValueError(f"{head.states} bytes of states for {head.steps} actions")
    if not np.isfinite(actions).all():
        raise ValueError("an action that is not finite")
    if head.steps and np.abs(actions).max() > 1.0:
        raise ValueError("an action outside [-1, 1]")
    states = [content[i : i + STATE_BYTES] for i in range(middle, end, STATE_BYTES)]
    return Trace(actions, states, _unpack(content[end:], len(kept_steps(head.steps)), head.things))


def read(run: Path) -> Traces:
    """The traces of a run folder; none when it has none. Raises RunFolderError for what is not a trace."""
    found: dict[EpisodeKey, _Place] = {}
    folder = run / "traces"
    try:
        if not folder.resolve().is_relative_to(run.resolve()):
            raise RunFolderError(f"{folder}: leads out of its folder")
        paths = sorted(folder.glob("*.bin"), key=lambda path: (path.lstat().st_mtime, path.name))
    except (OSError, RuntimeError) as error:
        raise RunFolderError(f"{folder}: cannot be read ({error})") from error
    if len(paths) > files.TRACE_FILES:
        raise RunFolderError(f"{folder}: has {len(paths)} files; at most {files.TRACE_FILES} are read")
    for path in paths:
        name = path.relative_to(run).as_posix()
        try:
            with files.opened(run, name, files.TRACE_BYTES) as file:
                for key, place in _places(file, name, path):
                    found[key] = place
                    if len(found) > MOST_ENTRIES:
                        raise RunFolderError(f"{path}: more than {MOST_ENTRIES} traces")
        except FileNotFoundError:
            raise RunFolderError(f"{path}: leads nowhere") from None
    return Traces(run, found)


def _places(file: IO[bytes], name: str, path: Path) -> Iterator[tuple[EpisodeKey, _Place]]:
    """The entries of a file, up to one that is torn. Raises RunFolderError for what is not an entry."""
    size = os.fstat(file.fileno()).st_size
    at = 0
    while at < size:
        file.seek(at)
        line = file.readline(HEAD_BYTES)
        begin = at + len(line)
        if not line.endswith(b"\n"):
            if begin >= size:
                return  # torn: its worker was killed while writing
            raise RunFolderError(f"{path}: not a trace at byte {at} (no head of at most {HEAD_BYTES} bytes)")
        try:
            head = _Head.model_validate_json(line)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            said = ".".join(map(str, first["loc"])) or first["msg"]
            raise RunFolderError(f"{path}: not a trace at byte {at} ({said})") from None
        at = begin + head.actions + head.states + head.positions
        if at > size:
            return
        yield head.key, _Place(name, begin, head.steps, head.actions, head.states, head.things, head.positions)
