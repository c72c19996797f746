"""Entries to work with, none of which ships: genuine ones of a short run, made-up ones of whole suites, and two hundred
synthetic policies."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import zstandard

from oodbench.leaderboard import admission, pack
from oodbench.leaderboard import entry as entries
from oodbench.leaderboard.admission import Admission
from oodbench.leaderboard.admit import admit
from oodbench.leaderboard.entry import EntryInfo
from oodbench.leaderboard.submit import compact, submit
from oodbench.leaderboard.validate import Checker, _closure_sha256
from oodbench.run import records
from oodbench.run.records import EpisodeRecord
from oodbench.run.runner import evaluate
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS

PLAYED = {"tasks": ["press-button"], "shifts": ["visual.noise", "execution.action-latency"]}  # of `smoke`: 12 episodes
VLA = ("vla-cpu-default-0", "vla-cpu-align-0", "vla-cpu-freeze-0")
SKILL = {  # of made-up policies: how often they succeed in-distribution
    "expert": 0.99, "expert-noisy": 0.8, "expert-blind": 0.7, "replay": 0.3, "random": 0.02, "no-op": 0.01,
    **dict.fromkeys(VLA, 0.5),
}  # fmt: skip
ENDS = ("dropped", "not-grasped", "wrong-place")


def about(name: str, **changes: object) -> EntryInfo:
    """What the authors of a policy might say."""
    said = {
        "name": name, "authors": ["Somebody"], "row": "control" if name in SKILL and name not in VLA else "checkpoint",
        "training_data": "none", "parameters": 0, "licence": "MIT", "exposure": {"*": "unseen"},
    }  # fmt: skip
    return EntryInfo.model_validate(said | changes)


def sign(folder: Path) -> None:
    """Write the hashes of an entry's files, as somebody would who edited them and knows how entries work."""
    said = entries.read_about(folder / entries.INFO)
    hashes = {name: entries.sha256(folder, name) for name in entries.HASHED}
    (folder / entries.INFO).write_text(entries.toml(said.model_copy(update={"hashes": hashes})))


def rewrite(folder: Path, kept: Iterable[EpisodeRecord]) -> None:
    """Other episodes, with the traces of those that had one before, and all hashes that fit."""
    kept = sorted(kept, key=lambda record: record.key)
    old = sorted(records.read(folder / entries.EPISODES), key=lambda record: record.key)
    hashes = pack.read_hashes(folder, [record.key for record in old])
    keys = [record.key for record in old]
    content = dict(pack._contents(folder, hashes, keys))
    wanted = list(dict.fromkeys(record.key for record in kept))
    write(folder, b"".join(map(compact, kept)), wanted, [content.get(key, b"made up") for key in wanted])


def write(folder: Path, lines: bytes, keys: Sequence[object], traces: Sequence[bytes]) -> None:
    """An entry's episodes and traces as they are given, and the hashes that fit."""
    (folder / entries.EPISODES).write_bytes(zstandard.compress(lines, 1))
    info = json.loads((folder / "run.json").read_text())
    info["plan"]["episodes"] = len(keys)
    (folder / "run.json").write_text(json.dumps(info))
    (folder / entries.TRACES).write_bytes(b"".join(traces))
    said = "".join(f"{hashlib.sha256(data).hexdigest()} {len(data)}\n" for data in traces)
    (folder / entries.TRACE_HASHES).write_text(said)
    sign(folder)


def admit_unseen(root: Path) -> None:
    """Put all entries below `root` on the list of admitted ones, as if they had been played again."""
    listed = admission.read(root)
    for path in entries.entries(root):
        found = entries.read(path)
        listed.of[found.key] = Admission(digest=found.digest, salt="salt", date="2026-11-24", drawn=48)
    listed.put(*next(iter(listed.of.items())))


@lru_cache
def run_info(name: str, suite: str, privileged: bool = False) -> dict:
    """The run.json of a run that was never played."""
    from oodbench.policies.loading import LoadedPolicy
    from oodbench.run.folder import describe
    from oodbench.run.plan import PlanFile

    of = SUITES.get(suite)
    loaded = LoadedPolicy(name, name, lambda: None)
    info = json.loads(describe(of, loaded, PlanFile(("",) * len(of.plan()))).model_dump_json())
    info["policy"]["privileged"] = privileged
    return {**info, "status": "complete"}


@lru_cache
def played(suite: str) -> tuple[EpisodeRecord, ...]:
    """Records of all episodes of a suite, in their true scenes; all of them won."""
    won = dict.fromkeys(("success", "settled", "final", "ever"), True)
    return tuple(
        EpisodeRecord(
            task=e.task, shift=e.shift.name, severity=e.shift.severity, seed=e.seed, axis=e.shift.axis, steps=50, **won,
            closure_sha256=_closure_sha256("", suite, e.key), outcome_sha256="ab" * 32,
        )
        for e in sorted(SUITES.get(suite).plan(), key=lambda e: e.key)
    )  # fmt: skip


def lost(record: EpisodeRecord, end: str) -> EpisodeRecord:
    return record.model_copy(update={**dict.fromkeys(("success", "settled", "final", "ever"), False), "failure": end})


def make_up(root: Path, name: str, suite: str, kept: Sequence[EpisodeRecord], **said: object) -> Path:
    """An entry that fits together, of episodes that nobody played."""
    of = SUITES.get(suite)
    folder = root / name / suite
    folder.mkdir(parents=True)
    info = run_info(name, suite, name.startswith("expert"))
    (folder / "run.json").write_text(json.dumps(info))
    (folder / entries.INFO).write_text(entries.toml(about(name, **said)))
    assert isinstance(of, Suite)
    write(folder, b"".join(map(compact, kept)), kept, [b"x"] * len(kept))
    return folder


@pytest.fixture(scope="session")
def board(tmp_path_factory) -> Path:
    """The entries of nine made-up policies on two whole suites, all admitted."""
    root = tmp_path_factory.mktemp("board") / "entries"
    for suite in ("core-2", "think-2"):
        rng = np.random.default_rng(7)
        options = {task: len(TASKS.get(task).option) for task in {r.task for r in played(suite)}}
        for name, skill in SKILL.items():
            kept = []
            for i, record in enumerate(played(suite)):
                if name in VLA and suite == "core-2" and record.task != "put-on":
                    continue
                won = rng.random() < skill - 0.04 * record.severity
                record = record.model_copy(update={"outcome_sha256": hashlib.sha256(name.encode()).hexdigest()})
                if options[record.task]:
                    record = record.model_copy(update={"choice": f"on(target, board-{i % options[record.task]})"})
                kept.append(record if won else lost(record, ENDS[i % 3]))
            method = {"team": "reference", "method": name.rsplit("-", 1)[0]} if name in VLA else {}
            make_up(root, name, suite, kept, **method)
    admit_unseen(root)
    return root


@pytest.fixture(scope="session")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Two short runs of `smoke`, played to their end: by name of the policy."""
    root = tmp_path_factory.mktemp("runs")
    return {name: evaluate(name, "smoke", out=root / name, workers=0, **PLAYED).path for name in ("random", "no-op")}


@pytest.fixture(scope="session")
def genuine(runs, tmp_path_factory) -> Path:
    """A board with two entries that were really played, and admitted; there is a film of one."""
    root = tmp_path_factory.mktemp("genuine") / "entries"
    checker = Checker(admission.read(root))
    for name, run in runs.items():
        check = admit(submit(run, about(name), root), checker, drawn=3, films=int(name == "random"))
        assert check.refused == []
    return root


@pytest.fixture
def copy(tmp_path, runs, request):
    """A copy of an entry, to be tampered with: (its folder, its records).

    That of a short run, which was really played, or of a made-up policy on a whole suite.
    """

    def make(name: str = "random", suite: str = "smoke") -> tuple[Path, list[EpisodeRecord]]:
        root = tmp_path / "entries"
        folder = root / name / suite
        if suite == "smoke":
            submit(runs[name], about(name), root)
        else:
            shutil.copytree(request.getfixturevalue("board") / name / suite, folder)
        return folder, records.read(folder / entries.EPISODES)

    return make


@pytest.fixture(scope="session")
def crowd(tmp_path_factory) -> Path:
    """Entries of 200 synthetic policies on all 6489 episodes of core-2, in two hundred steps of skill."""
    root = tmp_path_factory.mktemp("crowd") / "entries"
    whole = played("core-2")
    rng = np.random.default_rng(0)
    scene = rng.normal(0, 1, 1000)  # some are hard for everybody
    ease = np.array([scene[r.seed] - 0.15 * r.severity for r in whole])
    lines = [[compact(record) for record in whole]]
    lines += [[compact(lost(record, end)) for record in whole] for end in ENDS]
    for i in range(200):
        name = f"policy-{i:03d}"
        folder = root / name / "core-2"
        folder.mkdir(parents=True)
        won = ease + rng.normal(0, 1, len(whole)) + (i - 120) / 60 > 0
        (folder / "run.json").write_text(json.dumps(run_info("made-up", "core-2")))
        said = about(name, team="crowd", method=f"method-{i // 4}", training_seed=i % 4)
        (folder / entries.INFO).write_text(entries.toml(said))
        mine = (lines[0 if w else 1 + i % 3][n] for n, w in enumerate(won))
        write(folder, b"".join(mine).replace(b"ab" * 32, f"{i:064}".encode()), whole, [b"x"] * len(whole))
    admit_unseen(root)
    return root
