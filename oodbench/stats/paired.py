"""The difference between two policies in the same episodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from oodbench.errors import RunFolderError
from oodbench.run.records import EpisodeRecord
from oodbench.stats.clustered import FEWEST, clustered_mean
from oodbench.stats.rates import Interval


@dataclass(frozen=True)
class PairedDifference:
    """Success of a minus success of b, as a share. only_a, only_b: pairs in which just one of them succeeded."""

    value: float
    interval: Interval | None
    scenes: int
    pairs: int
    only_a: int
    only_b: int


def paired_difference(
    a: Iterable[EpisodeRecord], b: Iterable[EpisodeRecord], fewest: int = FEWEST
) -> PairedDifference | None:
    """The mean difference over tasks, with a t interval whose unit is the seed: all cells of a seed share its scene.

    Pairs in which either ended in an error do not count. None when there are no pairs. Raises RunFolderError when
    episodes of one name were not played in one scene. fewest: scenes a task below which no interval is given.
    """
    others = {record.key: record for record in b}
    by_scene: dict[tuple[str, int], list[int]] = defaultdict(list)
    only = [0, 0]
    for record in a:
        other = others.get(record.key)
        if other is None or record.success is None or other.success is None:
            continue
        if record.scene_sha256 != other.scene_sha256:
            raise RunFolderError(f"{record.key}: the two policies were not shown the same scene; they cannot be paired")
        difference = int(record.success) - int(other.success)
        by_scene[record.task, record.seed].append(difference)
        if difference:
            only[difference < 0] += 1
    means: dict[str, list[float]] = defaultdict(list)
    for (task, _), differences in sorted(by_scene.items()):
        means[task].append(sum(differences) / len(differences))
    found = clustered_mean(means, fewest=fewest)
    if found is None:
        return None
    pairs = sum(map(len, by_scene.values()))
    return PairedDifference(found.value, found.interval, found.scenes, pairs, *only)
