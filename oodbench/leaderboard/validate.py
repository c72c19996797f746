"""Whether an entry is what it says: nothing in it was edited, nothing is missing, and it can be played again.

Each entry is judged by itself: whatever is wrong with one is a reason to refuse it, and stops no other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench import closure
from oodbench.leaderboard import admission, pack
from oodbench.leaderboard.admission import Admission, Admissions, draw, new_salt
from oodbench.leaderboard.entry import EPISODES, INFO, Entry, failed, key_of, name_of, read
from oodbench.leaderboard.submit import NOT_KEPT, folder_name
from oodbench.report.summary import FAILURES
from oodbench.run import provenance, records
from oodbench.run.folder import short
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.scene import Scene
from oodbench.shift import ShiftSpec
from oodbench.stats.paired import paired_difference
from oodbench.suite import SUITES, Episode, Suite
from oodbench.task import TASKS

if TYPE_CHECKING:
    from oodbench.sim.world import World

REPLAYED = 6  # episodes of an entry that are played again, by default
CHANCE = 0.01  # how sure it must be that an entry is better than the expert before it is refused
UPPER_BOUND = "expert"
PINNED = ("mujoco",)  # versions that a board is of: others may end an episode otherwise


@dataclass
class Checked:
    """What was found. refused: why the entry cannot stand. missing: cells of the suite that were not played, which
    leave it unranked. replayed: episodes that were played again from their actions, all as recorded. salt: what they
    were drawn by. admission: None for an entry that is not admitted."""

    path: Path
    entry: Entry | None = None
    refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    replayed: int = 0
    salt: str = ""
    admission: Admission | None = None
    films: Path | None = None  # where the board's films of it lie

    @property
    def complete(self) -> bool:
        return not self.missing


@dataclass
class Checker:
    """Checks entries one after the other; what they share is kept: scenes, compiled models, the expert's entries.

    admitted: the board's list. salt: what the episodes of an entry that is not admitted are drawn by; "" draws one for
    each.
    """

    admitted: Admissions
    salt: str = ""
    experts: dict[str, Entry] = field(default_factory=dict)
    _seen: dict[str, Path] = field(default_factory=dict)
    _worlds: dict[str, World] = field(default_factory=dict)

    def check(self, path: Path, replays: int = REPLAYED) -> Checked:
        """replays: episodes to play again (0: none)."""
        check = Checked(path)
        try:
            check.entry = entry = read(path)
            check.admission = self.admitted.get(entry.key, entry.digest)
            check.films = self.admitted.films(entry.key)
            kept = self._look(check, entry)
            if kept and not check.refused and replays:
                salt = check.admission.salt if check.admission else self.salt or new_salt()
                count = min(replays, check.admission.drawn) if check.admission else replays
                self.replay(check, entry, kept, draw([r.key for r in kept], entry.digest, salt, count))
                check.salt = salt
        except Exception as error:  # whatever an entry brings about is its own fault, and not that of the next
            check.refused.append(failed(error))
        return check

    def _look(self, check: Checked, entry: Entry) -> list[EpisodeRecord]:
        """All that needs no simulator; the entry's records."""
        check.refused += _suite(entry)
        if check.refused:
            return []
        kept = self.records(entry)
        missing, wrong = _plan(entry, kept)
        check.missing += missing
        check.refused += wrong
        if check.refused:
            return []
        check.refused += _records(entry, kept)
        check.refused += _exposure(entry)
        if not check.refused:
            check.refused += _scenes(entry, kept)
            check.refused += _plausible(entry, self.experts.get(entry.suite.sha256))
            check.refused += self._copied(entry, kept)
        if not check.refused:
            self.traces(check, entry, kept, ())
        if not check.refused and check.admission and entry.about.name == UPPER_BOUND and entry.about.row == "control":
            self.experts[entry.suite.sha256] = entry
        return kept

    def records(self, entry: Entry) -> list[EpisodeRecord]:
        """Of an entry, in the order of their keys, which is that of its traces."""
        return sorted(records.every(entry.path / EPISODES), key=lambda record: record.key)

    def traces(
        self, check: Checked, entry: Entry, kept: Sequence[EpisodeRecord], wanted: Sequence[EpisodeKey]
    ) -> tuple[pack.Hashes, Sequence[EpisodeKey], dict[EpisodeKey, pack.Trace]]:
        """(hashes of all traces, the episodes whose traces still lie there, the wanted ones of these).

        Each trace that lies there is compared with its hash. Of an entry that was admitted, only those that were drawn
        need to be there.
        """
        keys = [record.key for record in kept]
        hashes = pack.read_hashes(entry.path, keys)
        there: Sequence[EpisodeKey] = keys
        if check.admission:
            drawn = draw(keys, entry.digest, check.admission.salt, check.admission.drawn)
            if (entry.path / pack.TRACES).stat().st_size == hashes.size(drawn):
                there = drawn
        return hashes, there, pack.read(entry.path, hashes, set(there), set(wanted))

    def replay(self, check: Checked, entry: Entry, kept: Sequence[EpisodeRecord], drawn: Sequence[EpisodeKey]) -> None:
        """Play the drawn episodes again from their actions; the first that is another episode refuses the entry."""
        from oodbench.run.verify import from_actions

        _, _, traces = self.traces(check, entry, kept, drawn)
        by_key = {record.key: record for record in kept}
        for key in drawn:
            found = from_actions(self.world(entry), scene_of(entry.suite, key), by_key[key], traces[key], entry.suite)
            if not found.same:
                check.refused.append(f"{name_of(key)}: {found.differences[0]}")
                return
            check.replayed += 1

    def world(self, entry: Entry) -> World:
        """One that is kept, to play what an entry's suite plays."""
        quality = entry.suite.protocol.quality
        if quality not in self._worlds:
            from oodbench.sim.world import World  # pages are made without a simulator

            self._worlds[quality] = World(quality)
        return self._worlds[quality]

    def _copied(self, entry: Entry, kept: Sequence[EpisodeRecord]) -> Iterator[str]:
        """Whether another entry, which was admitted or looked at before, has the same episodes."""
        digest = hashlib.sha256()
        for record in kept:
            digest.update(f"{name_of(record.key)} {record.outcome_sha256}\n".encode())
        first = self._seen.setdefault(digest.hexdigest(), entry.path)
        if first != entry.path:
            yield f"its episodes are those of {key_of(first)}"


def validate(
    paths: Sequence[Path], replays: int = REPLAYED, admitted: Admissions | None = None, salt: str = ""
) -> Iterator[Checked]:
    """Check entries, one after the other: those that were admitted in the order of their admission, then the others.

    Args:
        paths: Folders of entries.
        replays: Episodes of each to play again (0: none).
        admitted: The board's list; by default that of the folder in which the first entry's policy lies.
        salt: What the episodes of an entry that is not admitted are drawn by; "" draws one for each.

    Yields:
        What was found of each. Nothing that is wrong with an entry is raised.
    """
    if not paths:
        return
    admitted = admitted or admission.read(paths[0].resolve().parents[1])
    checker = Checker(admitted, salt)
    dates = {path: (admitted.of.get(key_of(path)) or Admission()).date or "9" for path in paths}

    def place(path: Path) -> tuple[str, bool, Path]:
        return dates[path], path.parent.name != UPPER_BOUND, path

    for path in sorted(paths, key=place):
        yield checker.check(path, replays)


def _suite(entry: Entry) -> Iterator[str]:
    """Whether it is of a suite that everybody has, played by its protocol on what everybody has."""
    info, suite, about = entry.run.info, entry.suite, entry.about
    if suite.sha256 != info.suite.sha256:
        yield f"its suite is not {suite.name} v{suite.version} (hash {short(suite.sha256, 15)}): it was changed"
    if entry.path.parent.name != about.name:
        yield f"the folder is {entry.path.parent.name}, the entry's name is {about.name}"
    folder = folder_name(info)
    if entry.path.name != folder:
        yield f"the folder is {entry.path.name}, the suite is {folder}"
    if info.protocol != suite.protocol:
        yield "it was played by another protocol than the suite's"
    if info.real_time:
        yield "it was played with --real-time: its outcomes depend on the machine"
    here, then = provenance.versions(), info.versions
    for name in PINNED:
        if then.get(name) != here.get(name):
            yield f"it was played with {name} {then.get(name)}; the board is of {here.get(name)}"
    if info.policy.privileged and about.row != "control":
        yield "its policy sees the true state; only a control may"


def _twins_only(cell: tuple[str, str, float], keys: Iterable[EpisodeKey]) -> bool:
    """Whether the episodes of an in-distribution cell are those of the scenes of the task's shifted ones, which is what
    `oodbench run --shift` plays."""
    keys = list(keys)
    plain = {seed for *of, seed in keys if tuple(of) == cell}
    return cell[1] == "none" and plain == {seed for task, shift, _, seed in keys if task == cell[0] and shift != "none"}


def _plan(entry: Entry, kept: Sequence[EpisodeRecord]) -> tuple[list[str], list[str]]:
    """(cells that were not played, what is wrong)"""
    known, wrong = _planned(entry.suite.name), []
    wanted = Counter(key[:3] for key in known)
    counts = Counter(record.key for record in kept)
    twice = [key for key, n in counts.items() if n > 1]
    if twice:
        wrong.append(f"{short(name_of(twice[0]))} is there {counts[twice[0]]} times")
    beyond = [key for key in counts if key not in known]
    if beyond:
        wrong.append(f"{short(name_of(beyond[0]))} is no episode of the suite ({len(beyond)} such)")
    played = Counter(key[:3] for key in counts if key in known)
    short_of = [cell for cell, n in wanted.items() if 0 < played[cell] < n and not _twins_only(cell, counts)]
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
    default = {name: EpisodeRecord.model_fields[name].default for name in NOT_KEPT}
    for record in kept:
        name, horizon, stages = name_of(record.key), *_shape(record.task)
        extra = next((field for field, value in default.items() if getattr(record, field) != value), "")
        if record.success is None:
            yield f"{name} ended in an error"
        elif extra:
            yield f"{name}: has a {extra}, which an entry has no place for"
        elif record.success != getattr(record, reading):
            read = getattr(record, reading)
            yield f"{name}: success is {record.success}, but the protocol's reading ({reading}) is {read}"
        elif record.success != (record.failure is None):
            yield f"{name}: success is {record.success}, but its failure is {short(record.failure)}"
        elif record.failure not in (None, *FAILURES):
            yield f"{name}: {short(record.failure)!r} is no way in which an episode fails"
        elif not 0 <= record.steps <= horizon:
            yield f"{name}: {record.steps} steps, the horizon is {horizon}"
        elif not record.stages.keys() <= stages:
            yield f"{name}: has stages that its task does not have"
        elif any(step is not None and not 0 <= step <= record.steps for step in record.stages.values()):
            yield f"{name}: a stage was reached after the episode's end"
        elif record.choice is not None and len(record.choice) > 200:
            yield f"{name}: its choice has {len(record.choice)} characters"
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
    """Whether every episode was played in the scene of its seed."""
    suite = entry.suite
    for record in kept:
        if _closure_sha256(suite.fresh, suite.name, record.key) != record.closure_sha256:
            yield f"{name_of(record.key)} was played in another scene"
            return


@lru_cache(maxsize=64)
def _planned(name: str) -> frozenset[EpisodeKey]:
    """The episodes of a suite that oodbench ships."""
    return frozenset(episode.key for episode in SUITES.get(name).plan())


@lru_cache(maxsize=1024)
def _shape(task: str) -> tuple[int, frozenset[str]]:
    """(horizon, names of the stages) of a task."""
    found = TASKS.get(task)
    return found.horizon, frozenset(stage.name for stage in found.goal.stages)


@lru_cache(maxsize=100_000)
def _closure_sha256(fresh: str, name: str, key: EpisodeKey) -> str:
    """Of an episode of a suite that oodbench ships; entries share most of them."""
    return closure.sha256(scene_of(SUITES.get(name).model_copy(update={"fresh": fresh}), key))


def scene_of(suite: Suite, key: EpisodeKey) -> Scene:
    """The scene in which an episode is played."""
    return Episode(key[0], ShiftSpec.parse(key[1], key[2]), key[3]).scene(suite)


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
