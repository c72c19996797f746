"""The difference between two policies in the same episodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from oodbench.errors import RunFolderError
from oodbench.run.records import EpisodeRecord
from oodbench.stats.clustered import FEWEST, clustered_mean, sign_flip
from oodbench.stats.rates import Interval

Pair = tuple[EpisodeRecord, EpisodeRecord]


@dataclass(frozen=True)
class PairedDifference:
    """Success of a minus success of b, as a share. only_a, only_b: pairs in which just one of them succeeded.

    p: of the sign-flip test that the two are exchangeable in every scene, two-sided.
    """

    value: float
    interval: Interval | None
    p: float
    scenes: int
    pairs: int
    only_a: int
    only_b: int


def pair(a: Iterable[EpisodeRecord], b: Iterable[EpisodeRecord]) -> Iterator[Pair]:
    """The episodes that both played and that ended in no error, side by side.

    Raises RunFolderError when episodes of one name were not played in one scene.
    """
    others = {record.key: record for record in b}
    for record in a:
        other = others.get(record.key)
        if other is None or record.success is None or other.success is None:
            continue
        if record.scene_sha256 != other.scene_sha256:
            task, shift, severity, seed = record.key
            raise RunFolderError(
                f"{task}/{shift}/{severity:g}/{seed}: the two policies were not shown the same scene; they cannot be "
                "paired"
            )
        yield record, other


def paired_difference(
    a: Iterable[EpisodeRecord], b: Iterable[EpisodeRecord], fewest: int = FEWEST
) -> PairedDifference | None:
    """The mean difference over tasks, with a t interval whose unit is the seed: all cells of a seed share its scene.

    Pairs in which either ended in an error do not count. None when there are no pairs. Raises RunFolderError when
    episodes of one name were not played in one scene. fewest: scenes a task below which no interval is given.
    """
    return difference(pair(a, b), lambda one, other: int(one.success or 0) - int(other.success or 0), fewest)


def difference(
    pairs: Iterable[Pair], contrast: Callable[[EpisodeRecord, EpisodeRecord], float], fewest: int = FEWEST
) -> PairedDifference | None:
    """The mean over tasks of a contrast of paired episodes, averaged within scenes first. None without pairs."""
    by_scene: dict[tuple[str, int], list[float]] = defaultdict(list)
    only = [0, 0]
    for one, other in pairs:
        value = contrast(one, other)
        by_scene[one.task, one.seed].append(value)
        if value:
            only[value < 0] += 1
    means: dict[str, list[float]] = defaultdict(list)
    for (task, _), values in sorted(by_scene.items()):
        means[task].append(sum(values) / len(values))
    found = clustered_mean(means, fewest=fewest)
    if found is None:
        return None
    count = sum(map(len, by_scene.values()))
    return PairedDifference(found.value, found.interval, sign_flip(means), found.scenes, count, *only)
