"""Where a policy looks, scored against the simulator's masks.

A map of attention over patches is compared with where things are: does its peak hit the thing that the instruction is
about (the pointing game, Zhang et al. 2016), and how much of its mass lies there against the thing's share of the
picture (lift: 1 is chance). Looking is not using: read it together with the swapped instruction (listening.py).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from oodbench.errors import OodbenchError


@dataclass(frozen=True)
class Localisation:
    """Means over n pictures.

    hit: the peak lies on the thing, or on a patch beside it. mass: share of the attention on the thing. area: share of
    the picture that the thing covers, which is what any map that knows nothing gets as mass. lift: mass over area.
    auroc: probability that a patch of the thing gets more than another. distractor: mass on the other thing of its
    kind. entropy: of the map, as a share of that of a uniform one.
    """

    n: int
    hit: float
    hit_chance: float
    mass: float
    area: float
    lift: float
    auroc: float
    distractor: float
    entropy: float

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


def occupancy(mask: np.ndarray, grid: int) -> np.ndarray:
    """(n, s, s) booleans to (n, grid * grid): the share of every patch that is covered."""
    n, s, _ = mask.shape
    if s % grid:
        raise OodbenchError(f"masks of {s} pixels do not divide into {grid} patches a side")
    return mask.reshape(n, grid, s // grid, grid, s // grid).mean((2, 4)).reshape(n, grid * grid)


def localisation(maps: np.ndarray, target: np.ndarray, other: np.ndarray | None = None) -> Localisation:
    """Score maps (n, p) of non-negative weights over p = grid * grid patches.

    target, other: (n, s, s) booleans, the mask of what should be looked at and of what should not. Pictures in which
    the target cannot be seen do not count.
    """
    grid = round(maps.shape[1] ** 0.5)
    if grid * grid != maps.shape[1] or len(maps) != len(target):
        raise OodbenchError(
            f"maps {maps.shape} do not fit masks {target.shape}: a square grid of patches for each mask"
        )
    cover = occupancy(target, grid)
    seen = cover.sum(1) > 0
    if not seen.any():
        raise OodbenchError("the target is visible in none of the pictures")
    maps, cover = maps[seen].astype(np.float64), cover[seen]
    maps = maps / np.maximum(maps.sum(1, keepdims=True), 1e-12)
    near = _dilated(cover > 0, grid)
    mass, area = (maps * cover).sum(1), cover.mean(1)
    aside = (maps * occupancy(other[seen], grid)).sum(1).mean() if other is not None else float("nan")
    entropy = -(maps * np.log(np.maximum(maps, 1e-12))).sum(1) / np.log(maps.shape[1])
    return Localisation(
        n=int(seen.sum()),
        hit=float(near[np.arange(len(maps)), maps.argmax(1)].mean()),
        hit_chance=float(near.mean()),
        mass=float(mass.mean()),
        area=float(area.mean()),
        lift=float(mass.mean() / area.mean()),
        auroc=float(np.mean([_auroc(m, c > 0) for m, c in zip(maps, cover, strict=True)])),
        distractor=float(aside),
        entropy=float(entropy.mean()),
    )


def centre_prior(maps: np.ndarray) -> np.ndarray:
    """A baseline: the mean of all maps, for every picture. What is known without looking at the picture."""
    return np.broadcast_to(maps.mean(0), maps.shape)


def uniform(maps: np.ndarray) -> np.ndarray:
    """A baseline: the same weight everywhere; its mass is the area."""
    return np.full(maps.shape, 1.0 / maps.shape[1])


def rollout(layers: list[np.ndarray]) -> np.ndarray:
    """Attention rollout (Abnar & Zuidema 2020): (n, heads, t, t) of each layer to (n, t, t); residuals count half."""
    joined: np.ndarray | None = None
    for layer in layers:
        mixed = 0.5 * layer.mean(1) + 0.5 * np.eye(layer.shape[-1])
        joined = mixed if joined is None else mixed @ joined
    assert joined is not None
    return joined


def _dilated(cover: np.ndarray, grid: int) -> np.ndarray:
    """(n, p) booleans, with the patches around those that are true."""
    padded = np.pad(cover.reshape(-1, grid, grid), ((0, 0), (1, 1), (1, 1)))
    around = [padded[:, i : i + grid, j : j + grid] for i in range(3) for j in range(3)]
    return np.any(around, axis=0).reshape(cover.shape)


def _auroc(weights: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve by ranks; ties count half. 0.5 when all patches are of one kind."""
    if positive.all() or not positive.any():
        return 0.5
    from scipy.stats import rankdata

    ranks, count = rankdata(weights), int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(weights) - count)))
