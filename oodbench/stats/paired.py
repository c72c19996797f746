"""The difference between two policies in the same episodes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oodbench.errors import RunFolderError
from oodbench.run.columns import Episodes, episode_codes
from oodbench.stats.blocks import by_scene, shares
from oodbench.stats.clustered import FEWEST, clustered_mean, sign_flip
from oodbench.stats.rates import Interval


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


def pair(a: Episodes, b: Episodes) -> tuple[Episodes, Episodes]:
    """The episodes that both played and that ended in no error, row by row.

    Raises RunFolderError when episodes of one name were not played in one scene.
    """
    a, b = a[a.scored], b[b.scored]
    _, mine, theirs = np.intersect1d(*episode_codes(a, b), assume_unique=True, return_indices=True)
    order = np.argsort(mine)
    one, other = a[mine[order]], b[theirs[order]]
    apart = np.flatnonzero(one.scene != other.scene)
    if len(apart):
        raise RunFolderError(
            f"{one.name(int(apart[0]))}: the two policies were not shown the same scene; they cannot be paired"
        )
    return one, other


def paired_difference(a: Episodes, b: Episodes, fewest: int = FEWEST) -> PairedDifference | None:
    """The mean difference over tasks, with a t interval whose unit is the scene.

    Pairs in which either ended in an error do not count. None when there are no pairs. Raises RunFolderError when
    episodes of one name were not played in one scene. fewest: as in `clustered_mean`.
    """
    return difference(*pair(a, b), fewest)


def difference(one: Episodes, other: Episodes, fewest: int = FEWEST) -> PairedDifference | None:
    """As `paired_difference`, of rows that `pair` put side by side."""
    apart = one.success.astype(np.int64) - other.success
    found = clustered_mean(by_scene(one.scene_codes, one.cell_codes, apart), fewest=fewest)
    if found is None:
        return None
    only = (int((apart > 0).sum()), int((apart < 0).sum()))
    p = sign_flip(shares(one.scene_codes, apart))
    return PairedDifference(found.value, found.interval, p, found.scenes, len(one), *only)
