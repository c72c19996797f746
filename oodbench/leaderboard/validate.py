"""Whether an entry is what it says: nothing in it was edited, nothing is missing, and it can be played again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench import closure
from oodbench.errors import OodbenchError, nearest
from oodbench.leaderboard.entry import EPISODES, INFO, Entry, read, sampled, sha256
from oodbench.run import provenance, records, trace
from oodbench.run.folder import short
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.shift import ShiftSpec
from oodbench.stats.paired import paired_difference
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS

if TYPE_CHECKING:
    from oodbench.sim.world import World

REPLAYED = 6  # episodes of an entry that are played again, by default
SCENES = 120  # of an entry that are sampled again, to compare their hashes
CHANCE = 0.01  # how sure it must be that an entry is better than the expert before it is refused
UPPER_BOUND = "expert"


@dataclass
class Checked:
    """What was found. refused: why the entry cannot stand. missing: cells of the suite that were not played, which
    leave it unranked. replayed: episodes that were played again from their actions, all as recorded."""

    path: Path
    entry: Entry | None = None
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    replayed: int = 0

    @property
    def complete(self) -> bool:
        return not self.missing


def validate(paths: Sequence[Path], replays: int = REPLAYED) -> Iterator[Checked]:
    """Check entries, one after the other; replays: episodes of each to play again (0: none)."""
    seen: dict[str, Path] = {}
    experts: dict[str, Entry] = {}
    worlds: dict[str, World] = {}
    checks = [_open(path) for path in paths]
    for check in checks:
        if check.entry and check.entry.about.name == UPPER_BOUND:
            experts[check.entry.run.info.suite.sha256] = check.entry
    for check in checks:
        if check.entry is not None:
            digest = check.entry.about.hashes.get(EPISODES, "")
            if digest in seen:
                check.refused.append(f"its episodes are those of {seen[digest]}")
            seen.setdefault(digest, check.path)
            _check(check, check.entry, experts.get(check.entry.run.info.suite.sha256))
            if not check.refused and replays:
                _replay(check, check.entry, replays, worlds)
        yield check


def _open(path: Path) -> Checked:
    check = Checked(path)
    try:
        check.entry = read(path)
        _ = check.entry.suite
    except OodbenchError as error:
        check.entry = None
        check.refused.append(str(error))
    return check


def _check(check: Checked, entry: Entry, expert: Entry | None) -> None:
    check.refused += _files(entry)
    check.refused += _suite(entry)
    if check.refused:
        return
    try:
        kept = list(records.every(entry.path / EPISODES))
    except OodbenchError as error:
        check.refused.append(str(error))
        return
    missing, wrong = _plan(entry, kept)
    check.missing += missing
    check.refused += wrong
    check.refused += _records(entry, kept)
    check.refused += _exposure(entry)
    if not check.refused:
        check.refused += _scenes(entry, kept)
        check.refused += _plausible(entry, expert)
        check.refused += _traces(entry, kept)


def _files(entry: Entry) -> Iterator[str]:
    """Whether the folder holds just what its hashes say."""
    path, about = entry.path, entry.about
    there = {p.relative_to(path).as_posix(): p for p in path.rglob("*") if p.is_file() and p.name != INFO}
    for name in sorted(there.keys() | about.hashes.keys()):
        if name not in there:
            yield f"{name} is missing"
        elif name not in about.hashes:
            yield f"{name} is none of the files that {INFO} has hashes of"
        elif sha256(there[name]) != about.hashes[name]:
            yield f"{name} was changed after the entry was made (its hash does not fit)"
    if path.parent.name != about.name:
        yield f"the folder is {path.parent.name}, the entry's name is {about.name}"


def _suite(entry: Entry) -> Iterator[str]:
    """Whether it is of a suite that everybody has, played by its protocol on what everybody has."""
    info, suite = entry.run.info, entry.suite
    said = info.suite
    if suite.sha256 != said.sha256:
        yield "the content of its suite does not have the hash that is written beside it"
    if suite.name not in SUITES.names():
        near = nearest(suite.name, SUITES.names())
        yield f"no suite is named {suite.name!r}" + (f"; did it mean {near!r}?" if near else "")
        return
    public = SUITES.get(suite.name).model_copy(update={"fresh": suite.fresh})
    if public.sha256 != said.sha256 or said.name != suite.name:
        yield f"its suite is not {suite.name} v{public.version} (hash {short(public.sha256, 15)}): it was changed"
    folder = suite.name + (f"-fresh-{suite.fresh}" if suite.fresh else "")
    if entry.path.name != folder:
        yield f"the folder is {entry.path.name}, the suite is {folder}"
    if info.protocol != suite.protocol:
        yield "it was played by another protocol than the suite's"
    if info.real_time:
        yield "it was played with --real-time: its outcomes depend on the machine"
    here, then = provenance.versions(), info.versions
    for name in provenance.PHYSICS:
        if then.get(name) != here.get(name):
            yield f"it was played with {name} {then.get(name)}; the board is of {here.get(name)}"
    privileged = info.policy.privileged
    if privileged and entry.about.row != "control":
        yield "its policy sees the true state; only a control may"


def _plan(entry: Entry, kept: Sequence[EpisodeRecord]) -> tuple[list[str], list[str]]:
    """(cells that were not played, what is wrong)"""
    known, wrong = _planned(entry.suite.name), []
    wanted = Counter(key[:3] for key in known)
    counts = Counter(record.key for record in kept)
    twice = [key for key, n in counts.items() if n > 1]
    if twice:
        wrong.append(f"{_name(twice[0])} is there {counts[twice[0]]} times")
    beyond = sorted(counts.keys() - known)
    if beyond:
        wrong.append(f"{_name(beyond[0])} is no episode of the suite ({len(beyond)} such)")
    played = Counter(key[:3] for key in counts if key in known)
    short_of = [cell for cell, n in wanted.items() if 0 < played[cell] < n]
    if short_of:
        cell = short_of[0]
        where = f"{cell[0]}/{cell[1]}/{cell[2]:g}"
        wrong.append(
            f"episodes were left out: {where} has {played[cell]} of {wanted[cell]} ({len(short_of)} such cells)"
        )
    said = entry.run.info.plan.episodes
    if said != len(counts):
        wrong.append(f"run.json says {said} episodes, there are {len(counts)}")
    missing = [
        f"{task}/{shift}/{severity:g}" for task, shift, severity in sorted(wanted) if not played[task, shift, severity]
    ]
    return missing, wrong


def _records(entry: Entry, kept: Sequence[EpisodeRecord]) -> Iterator[str]:
    """Whether each record fits together in itself."""
    reading = entry.suite.protocol.success
    for record in kept:
        name = _name(record.key)
        if record.success is None:
            yield f"{name} ended in an error"
        elif record.success != getattr(record, reading):
            read = getattr(record, reading)
            yield f"{name}: success is {record.success}, but the protocol's reading ({reading}) is {read}"
        elif record.success != (record.failure is None):
            yield f"{name}: success is {record.success}, but its failure is {record.failure}"
        elif record.steps > TASKS.get(record.task).horizon:
            yield f"{name}: {record.steps} steps, the horizon is {TASKS.get(record.task).horizon}"
        elif any(step is not None and step > record.steps for step in record.stages.values()):
            yield f"{name}: a stage was reached after the episode's end"
        elif record.axis != ShiftSpec.parse(record.shift, record.severity).axis:
            yield f"{name}: its axis is not {record.axis}"
        else:
            continue
        return  # the first says enough


def _exposure(entry: Entry) -> Iterator[str]:
    names = [name for name, shift in entry.run.shifts.items() if shift.axis not in ("id", "control")]
    silent = [name for name in names if entry.about.exposed(name) == "undeclared"]
    if silent:
        yield f'{INFO} does not declare whether {silent[0]} was seen in training; a pattern such as "*" does for all'


def _scenes(entry: Entry, kept: Sequence[EpisodeRecord]) -> Iterator[str]:
    suite = entry.suite
    for record in sorted(kept, key=lambda r: r.key)[:: max(1, len(kept) // SCENES)]:
        if _scene_sha256(suite.fresh, suite.name, record.key) != record.closure_sha256:
            yield f"{_name(record.key)} was played in another scene"
            return


@lru_cache(maxsize=64)
def _planned(name: str) -> frozenset[EpisodeKey]:
    """The episodes of a suite that oodbench ships."""
    return frozenset(episode.key for episode in SUITES.get(name).plan())


@lru_cache(maxsize=20_000)
def _scene_sha256(fresh: str, name: str, key: EpisodeKey) -> str:
    """Of an episode of a suite that oodbench ships; entries share most of them."""
    suite = SUITES.get(name).model_copy(update={"fresh": fresh})
    return closure.sha256(Episode(key[0], ShiftSpec.parse(key[1], key[2]), key[3]).scene(suite))


def _plausible(entry: Entry, expert: Entry | None) -> Iterator[str]:
    """A policy that does better than the expert, which sees everything, sees more than it should."""
    if expert is None or expert.path == entry.path:
        return
    found = paired_difference(entry.run.episodes, expert.run.episodes)
    if found and found.value > 0 and found.p < CHANCE:
        yield (
            f"it is better than the expert by {100 * found.value:.1f} points (p {found.p:.2g}): it must see more than "
            "a policy may"
        )


def _traces(entry: Entry, kept: Sequence[EpisodeRecord]) -> Iterator[str]:
    wanted = sampled((record.key for record in kept), entry.about.hashes[EPISODES])
    try:
        there = trace.read(entry.path)
    except OodbenchError as error:
        yield str(error)
        return
    if sorted(there) != sorted(wanted):
        yield "the episodes whose actions it holds are not those that are drawn by the hash of its outcomes"


def _replay(check: Checked, entry: Entry, replays: int, worlds: dict[str, World]) -> None:
    from oodbench.run.verify import from_actions
    from oodbench.sim.world import World

    traces, suite = trace.read(entry.path), entry.suite
    wanted = sorted(traces)[:: max(1, len(traces) // replays)][:replays]
    by_key = {record.key: record for record in records.every(entry.path / EPISODES) if record.key in wanted}
    quality = suite.protocol.quality
    if quality not in worlds:
        worlds[quality] = World(quality)
    world = worlds[quality]
    for key in wanted:
        scene = Episode(key[0], ShiftSpec.parse(key[1], key[2]), key[3]).scene(suite)
        try:
            found = from_actions(world, scene, by_key[key], traces[key], suite)
        except OodbenchError as error:
            check.refused.append(str(error))
            return
        if not found.same:
            check.refused.append(f"{_name(key)}: {found.differences[0]}")
            return
        check.replayed += 1


def _name(key: EpisodeKey) -> str:
    task, shift, severity, seed = key
    return f"{task}/{shift}/{severity:g}/{seed}"
