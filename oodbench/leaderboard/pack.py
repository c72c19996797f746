"""The traces of an entry, in two files: traces.sha256 has a line an episode, the hash of its trace and its size
in bytes, in the order of the episodes; traces.bin has the traces in that order, all of them or those that were drawn.

entry.toml has the hash of the first and so stands for every trace, whether it still lies there or not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import OodbenchError, SpecError
from oodbench.leaderboard.entry import LIMITS, TRACE_HASHES, TRACES, name_of
from oodbench.run import files, trace
from oodbench.run.records import EpisodeKey
from oodbench.run.trace import Trace

MOST = 4 * 2**20  # bytes of a trace as it lies there; a long one has 30 KiB
_LINE = re.compile(rb"([0-9a-f]{64}) (\d{1,8})")


@dataclass(frozen=True)
class Hashes:
    """What traces.sha256 says: of each episode, in their order, the hash of its trace and its size in bytes."""

    of: Mapping[EpisodeKey, tuple[str, int]]

    def size(self, keys: Collection[EpisodeKey]) -> int:
        """Bytes of the traces of these episodes."""
        return sum(self.of[key][1] for key in keys)


def read_hashes(folder: Path, keys: Sequence[EpisodeKey]) -> Hashes:
    """Args:
        folder: Of the entry.
        keys: Of all its episodes, in their order.

    Raises:
        SpecError: The file is not one of such lines, or not of as many episodes.
    """
    lines = files.read_bytes(folder, TRACE_HASHES, LIMITS[TRACE_HASHES]).split(b"\n")
    if lines.pop() or len(lines) != len(keys):
        raise SpecError(f"{TRACE_HASHES} has {len(lines)} lines for {len(keys)} episodes")
    found = [_LINE.fullmatch(line) for line in lines]
    of = {key: (m[1].decode(), int(m[2])) for key, m in zip(keys, found, strict=True) if m}
    if len(of) != len(keys):
        raise SpecError(f"{TRACE_HASHES}: not lines of a hash and a size")
    longest = max(of, key=lambda key: of[key][1])
    if of[longest][1] > MOST:
        raise SpecError(f"{name_of(longest)}: its trace has {of[longest][1]} bytes; one has at most {MOST}")
    return Hashes(of)


def write(folder: Path, traces: Iterator[tuple[EpisodeKey, Trace]]) -> None:
    """Write both files of an entry. traces: in the order of the episodes."""
    lines = []
    with (folder / TRACES).open("wb") as file:
        for key, recorded in traces:
            content = trace.dumps(key, recorded)
            lines.append(f"{hashlib.sha256(content).hexdigest()} {len(content)}\n")
            file.write(content)
    (folder / TRACE_HASHES).write_text("".join(lines))


def read(
    folder: Path, hashes: Hashes, there: Collection[EpisodeKey], wanted: Collection[EpisodeKey]
) -> dict[EpisodeKey, Trace]:
    """The traces of some episodes.

    Args:
        folder: Of the entry.
        hashes: Of all its traces.
        there: The episodes whose traces traces.bin must hold, each as its hash says, and no others.
        wanted: Those of them to return.

    Raises:
        OodbenchError: It holds something else, or what it holds of a wanted episode is no trace of it.
    """
    found = {}
    for key, content in _contents(folder, hashes, there):
        if key in wanted:
            of, recorded = trace.loads(content)
            if of != key:
                raise SpecError(f"{name_of(key)}: {TRACES} holds the trace of {name_of(of)} in its place")
            found[key] = recorded
    return found


def thin(folder: Path, hashes: Hashes, there: Collection[EpisodeKey], kept: Collection[EpisodeKey]) -> None:
    """Drop the traces of all other episodes from traces.bin."""
    part = folder / f"{TRACES}.part"
    try:
        with part.open("wb") as file:
            for key, content in _contents(folder, hashes, there):
                if key in kept:
                    file.write(content)
        part.replace(folder / TRACES)
    except OSError as error:
        raise OodbenchError(f"{folder / TRACES}: cannot be written ({error.strerror})") from error
    finally:
        part.unlink(missing_ok=True)


def _contents(folder: Path, hashes: Hashes, there: Collection[EpisodeKey]) -> Iterator[tuple[EpisodeKey, bytes]]:
    """Each trace that traces.bin holds, its hash compared."""
    with files.opened(folder, TRACES, LIMITS[TRACES]) as file:
        for key, (sha256, size) in hashes.of.items():
            if key in there:
                content = file.read(size)
                if hashlib.sha256(content).hexdigest() != sha256:
                    raise SpecError(f"{name_of(key)}: {TRACES} does not hold the trace whose hash {TRACE_HASHES} has")
                yield key, content
        if file.read(1):
            raise SpecError(f"{TRACES} holds more than the traces that it should")
