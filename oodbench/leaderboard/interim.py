"""Stand-ins until w-runs has them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oodbench.errors import OodbenchError, SpecError
from oodbench.run import trace
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.run.trace import Tape, Trace, TraceWriter
from oodbench.run.verify import from_actions


def pack(key: EpisodeKey, recorded: Trace) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        task, shift, severity, seed = key
        writer = TraceWriter(Path(folder), "x")
        record = EpisodeRecord(task=task, shift=shift, severity=severity, seed=seed, axis="id")
        writer.write(record, Tape(list(recorded.actions), recorded.states))
        writer.close()
        return (Path(folder) / "traces" / "x.bin").read_bytes()


def unpack(content: bytes) -> tuple[EpisodeKey, Trace]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "traces").mkdir()
        (Path(folder) / "traces" / "x.bin").write_bytes(content)
        found = trace.read(Path(folder))
    if len(found) != 1:
        raise SpecError("not a trace")
    return next(iter(found.items()))


@dataclass
class Replayed:
    differs: str


def replayed(world: Any, scene: Any, record: Any, recorded: Any, suite: Any) -> Replayed:
    found = from_actions(world, scene, record, recorded, suite)
    return Replayed(found[0] if found else "")


@contextmanager
def replacing(folder: Path, marker: str) -> Iterator[Path]:
    part = folder.with_name(folder.name + ".part")
    try:
        if folder.is_symlink() or (folder.exists() and any(folder.iterdir()) and not (folder / marker).exists()):
            raise OodbenchError(f"{folder}: holds something else than what would be written; give another folder")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(folder, ignore_errors=True)
        part.replace(folder)
    except OSError as error:
        raise OodbenchError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
