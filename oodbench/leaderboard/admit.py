"""Admitting an entry: what the maintainers of a board do when it has been handed in."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from oodbench.errors import OodbenchError, SpecError
from oodbench.leaderboard import pack
from oodbench.leaderboard.admission import DRAWN, Admission, draw, new_salt
from oodbench.leaderboard.entry import Entry, failed, key_of, name_of, read
from oodbench.leaderboard.validate import Checked, Checker, scene_of
from oodbench.outputs import replacing
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.run.trace import Trace
from oodbench.run.video import Film

FILMS = 4
SIZE = 160  # pixels of each picture of a film


def admit(
    path: Path,
    checker: Checker,
    *,
    others: Collection[Path] = (),
    salt: str = "",
    drawn: int = DRAWN,
    films: int = FILMS,
    thin: bool = True,
    joins: bool = False,
    tell: Callable[[str], None] = lambda words: None,
) -> Checked:
    """Draw episodes of an entry by a salt that nobody could know when it was made, play them again, and admit it.

    Args:
        path: The entry's folder.
        checker: With the board's list, which is changed: an entry that stands is put into it with its salt, and of one
            that does not the try is counted.
        others: The folders of all entries, for what may not be the same in two.
        salt: From elsewhere, as of a public beacon; "" draws one from the system's randomness.
        drawn: Episodes to play again.
        films: How many of them to film.
        thin: Whether to drop the traces that were not drawn.
        joins: Whether it may join a method of which checkpoints were admitted before.
        tell: Hears what is being done.

    Returns:
        What was found; it is admitted when nothing is refused.

    Raises:
        OodbenchError: It was admitted before, or would join a method, or the disk will not take what is written.
    """
    tell("checking it")
    others = [other for other in others if key_of(other) in checker.admitted.of and key_of(other) != key_of(path)]
    for other in others:
        if other.name == path.name:
            checker.check(other, replays=0)
    check = checker.check(path, replays=0)
    entry = check.entry
    if entry is None or check.refused:
        return check
    if check.admission:
        raise SpecError(f"{entry.key}: is admitted already, since {check.admission.date}")
    before = checker.admitted.of.get(entry.key) or Admission()
    if not joins:
        _alone(entry, others, checker)
    salt = salt or new_salt()
    tell(f"playing {drawn} episodes again")
    try:
        kept = checker.records(entry)
        wanted = draw([record.key for record in kept], entry.digest, salt, drawn)
        hashes, there, traces = checker.traces(check, entry, kept, wanted)
        checker.replay(check, entry, kept, wanted)
    except Exception as error:  # whatever it brings about, it is not admitted
        check.refused.append(failed(error))
    if check.refused:
        checker.admitted.put(entry.key, before.model_copy(update={"refused": before.refused + 1}))
        return check
    made = {}
    if films:
        tell("filming a few of them")
        chosen = [record for record in kept if record.key in traces]
        made = _film(checker.admitted.films(entry.key), entry, typical(chosen)[:films], traces)
    check.salt = salt
    check.admission = Admission(
        digest=entry.digest, salt=salt, date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        drawn=len(wanted), refused=before.refused, films=made,
    )  # fmt: skip
    checker.admitted.put(entry.key, check.admission)
    if thin:  # last: an entry without them stands only when it is admitted
        pack.thin(entry.path, hashes, set(there), set(wanted))
    return check


def _alone(entry: Entry, others: Collection[Path], checker: Checker) -> None:
    """Raises SpecError when the entry would join a method that was admitted before it."""
    if not entry.about.method:
        return
    for path in others:
        try:
            other = read(path)
        except OodbenchError:
            continue
        mine, theirs = ((about.team, about.method) for about in (entry.about, other.about))
        admitted = checker.admitted.get(other.key, other.digest)
        if admitted and mine == theirs and other.about.name != entry.about.name:
            authors = ", ".join(other.about.authors)
            raise SpecError(
                f"{entry.key}: joins the method {'/'.join(mine)} of {other.key} ({authors}); if it is theirs, --joins"
            )


def typical(kept: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
    """A few episodes to look at: an in-distribution one and one of each axis, of the outcome that is most common
    there, failures first where they are as common, and of the middle length."""
    found = []
    axes = [axis for axis in ("id", "semantic", "visual", "execution") if any(r.axis == axis for r in kept)]
    turn = ["success", "failure"]
    for place, axis in enumerate(axes):
        mine = [r for r in kept if r.axis == axis]
        wanted = turn[place % 2] == "success"
        group = [r for r in mine if bool(r.success) == wanted] or mine
        if not group[0].success:
            common = max({r.failure for r in group}, key=lambda f: (sum(r.failure == f for r in group), str(f)))
            group = [r for r in group if r.failure == common]
        found.append(sorted(group, key=lambda r: (r.steps, r.key))[len(group) // 2])
    return found


def _film(
    folder: Path, entry: Entry, kept: Sequence[EpisodeRecord], traces: Mapping[EpisodeKey, Trace]
) -> dict[str, str]:
    """Film these episodes: file name -> SHA-256."""
    from oodbench.sim.world import World

    world = World(entry.suite.protocol.quality)  # as the policy saw it
    with replacing(folder, "films") as part:
        names = {}
        for record in kept:
            name = f"{film_name(record.key)}.mp4"
            camera = Film(part / name, SIZE)
            world.reset(scene_of(entry.suite, record.key))
            camera.shoot(world)
            for action in traces[record.key].actions:
                world.step(action)
                camera.shoot(world)
            camera.shoot(world, last=True)
            if camera.close(success=bool(record.success)):
                names[name] = hashlib.sha256((part / name).read_bytes()).hexdigest()
    return names


def film_name(key: EpisodeKey) -> str:
    """Of the film of an episode, without its ending."""
    return name_of(key).replace("/", "--")
