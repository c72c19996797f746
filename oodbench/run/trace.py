"""What was done in each episode, step by step, so that it can be played again: traces/<worker>.bin in a run folder.

An entry is a line of JSON (the episode's key and the lengths) and, behind it, zlib of the actions (steps x 7 float64,
as they were given to the simulator) and a few bytes of the hash of everything up to each step. Each worker appends to a
file of its own; of an episode that was played again the last entry counts, and a torn one is left out.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from oodbench.errors import RunFolderError
from oodbench.policies.base import ACTION_SIZE
from oodbench.run.records import EpisodeKey, EpisodeRecord

if TYPE_CHECKING:
    from oodbench.sim.world import World

STATE_BYTES = 4  # of the hash, at each step


@dataclass
class Tape:
    """Fills up while an episode is played."""

    actions: list[np.ndarray] = field(default_factory=list)
    states: list[bytes] = field(default_factory=list)

    def step(self, action: np.ndarray, world: World) -> None:
        """To be called after each step of the world."""
        self.actions.append(np.array(action, np.float64))
        self.states.append(bytes.fromhex(world.outcome_sha256()[: 2 * STATE_BYTES]))


@dataclass(frozen=True)
class Trace:
    """actions: (steps, 7). states: of each step, the beginning of the hash of all that was before."""

    actions: np.ndarray
    states: list[bytes]


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
            actions = zlib.compress(np.array(tape.actions).tobytes(), 1)
            states = b"".join(tape.states)
            head = {"key": record.key, "steps": len(tape.actions), "actions": len(actions), "states": len(states)}
            self._file.write(json.dumps(head).encode() + b"\n" + actions + states)
            self._file.flush()
        except OSError as error:
            raise RunFolderError(f"{self._path}: cannot be written ({error.strerror})") from error

    def close(self) -> None:
        if self._file:
            self._file.close()


def read(run: Path) -> dict[EpisodeKey, Trace]:
    """All traces of a run folder; empty when it has none. Raises RunFolderError for what is not a trace."""
    found: dict[EpisodeKey, Trace] = {}
    for path in sorted((run / "traces").glob("*.bin"), key=lambda path: path.stat().st_mtime):
        data, at = path.read_bytes(), 0
        while at < len(data):
            end = data.find(b"\n", at)
            try:
                head = json.loads(data[at:end])
                task, shift, severity, seed = head["key"]
                begin, steps = end + 1, int(head["steps"])
                middle, at = begin + int(head["actions"]), begin + int(head["actions"]) + int(head["states"])
                if end < 0 or at > len(data):
                    break  # torn: its worker was killed while writing
                actions = np.frombuffer(zlib.decompress(data[begin:middle])).reshape(steps, ACTION_SIZE)
            except (ValueError, KeyError, TypeError, zlib.error) as error:
                if end < 0:
                    break
                raise RunFolderError(f"{path}: not a trace at byte {at} ({error})") from error
            parts = data[middle:at]
            states = [parts[i : i + STATE_BYTES] for i in range(0, len(parts), STATE_BYTES)]
            found[str(task), str(shift), float(severity), int(seed)] = Trace(actions, states)
    return found
