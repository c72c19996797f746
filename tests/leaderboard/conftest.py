"""Entries to work with: the ones in the repository, copies to tamper with, and two hundred synthetic policies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zstandard

from oodbench.leaderboard import entry as entries
from oodbench.run import records, trace
from oodbench.run.records import EpisodeRecord
from oodbench.run.trace import Tape, TraceWriter

ROOT = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"


def sign(folder: Path) -> None:
    """Write the hashes of an entry's files, as somebody would who edited them and knows how entries work."""
    about = entries.read_about(folder / entries.INFO)
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != entries.INFO]
    hashes = {p.relative_to(folder).as_posix(): entries.sha256(p) for p in files}
    (folder / entries.INFO).write_text(entries._toml(about.model_copy(update={"hashes": hashes})))


def rewrite(folder: Path, kept: list[EpisodeRecord]) -> None:
    """Other episodes, with the hashes and the drawn sample that fit them; the sample's actions stay where known."""
    write(folder, [entries._compact(record) for record in kept], kept)


def write(folder: Path, lines: list[bytes], kept: list[EpisodeRecord]) -> None:
    """lines: the episodes, as they are written. kept: records of the same episodes."""
    known = trace.read(folder)
    (folder / entries.EPISODES).write_bytes(zstandard.compress(b"".join(lines), 1))
    info = json.loads((folder / "run.json").read_text())
    info["plan"]["episodes"] = len({record.key for record in kept})
    (folder / "run.json").write_text(json.dumps(info))
    shutil.rmtree(folder / "traces", ignore_errors=True)
    writer, by_key = TraceWriter(folder, "sample"), {record.key: record for record in kept}
    for key in entries.sampled(by_key, entries.sha256(folder / entries.EPISODES)):
        old = known.get(key)
        tape = Tape(list(old.actions), old.states, list(old.positions)) if old else Tape([np.zeros(7)], [b"0000"])
        writer.write(by_key[key], tape)
    writer.close()
    sign(folder)


@pytest.fixture
def copy(tmp_path):
    """A copy of an entry, to be tampered with: (its folder, its records)."""

    def make(name: str = "expert", suite: str = "core-1") -> tuple[Path, list[EpisodeRecord]]:
        folder = tmp_path / "entries" / name / suite
        shutil.copytree(ROOT / name / suite, folder)
        return folder, records.read(folder / entries.EPISODES)

    return make


@pytest.fixture(scope="session")
def crowd(tmp_path_factory) -> Path:
    """Entries of 200 synthetic policies on all 4971 episodes of core-1, in two hundred steps of skill."""
    root = tmp_path_factory.mktemp("crowd") / "entries"
    expert = records.read(ROOT / "expert" / "core-1" / entries.EPISODES)
    info = json.loads((ROOT / "expert" / "core-1" / "run.json").read_text())
    about = entries.read_about(ROOT / "expert" / "core-1" / entries.INFO)
    rng = np.random.default_rng(0)
    scene = rng.normal(0, 1, 1000)  # some are hard for everybody
    ease = np.array([scene[r.seed] - 0.15 * r.severity for r in expert])
    ends = (None, "dropped", "not-grasped", "wrong-place")
    lines = [[entries._compact(_ended(record, end)) for record in expert] for end in ends]
    for i in range(200):
        name = f"policy-{i:03d}"
        folder = root / name / "core-1"
        folder.mkdir(parents=True)
        won = ease + rng.normal(0, 1, len(expert)) + (i - 120) / 60 > 0
        mine = info | {"policy": {"uri": name, "name": name, "files": {}, "privileged": False}}
        (folder / "run.json").write_text(json.dumps(mine))
        row = {"name": name, "row": "checkpoint", "hashes": {}, "method": f"method-{i // 4}", "training_seed": i % 4}
        (folder / entries.INFO).write_text(entries._toml(about.model_copy(update=row)))
        write(folder, [lines[0 if w else 1 + i % 3][n] for n, w in enumerate(won)], expert)
    return root


def _ended(record: EpisodeRecord, end: str | None) -> EpisodeRecord:
    won = dict.fromkeys(("success", "settled", "final", "ever"), end is None)
    return record.model_copy(update={**won, "failure": end, "stages": {}})
