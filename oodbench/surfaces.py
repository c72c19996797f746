"""How far a surface looks from those of training: the order in which unseen textures come as severity grows.

`near` says which textures belong to a severity. It goes by the `novelty` of their files, which is measured by

    python -m oodbench.surfaces

The novelty of a texture on a surface is its distance from the nearest training texture of that surface, in scenes of
training that wear the one and the other: both cameras' pictures, in windows of 8 x 8 pixels, at three scales. Two
windows are as far apart as their colours are, taken as normal in each channel of CIELAB: the 2-Wasserstein distance,
the root of the squared differences of means and of deviations (Dowson and Landau 1982), in units of CIE 1976 colour
difference, of which 2.3 are just noticed (Mahy et al. 1994). A window counts by how much of it shows the surface.

SSIM, by which other visual shifts are spaced (spacing.py), compares point by point: to it, another board of the same
oak is as far away as walnut is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from oodbench import exact
from oodbench.catalogue import TEXTURES, Split, SurfaceName, TextureAsset
from oodbench.errors import SpecError
from oodbench.paths import data_dir
from oodbench.pool import Pool, standard
from oodbench.registry import SUFFIX
from oodbench.scene import Scene, Surface
from oodbench.spacing import halved, window_mean

SURFACES: tuple[SurfaceName, ...] = ("table", "floor", "wall")
LEVELS = 5
SEEDS = range(12)
SCALES = 3
SIZE = 128  # pixels
GEOMS = {"table": ("table",), "floor": ("floor",), "wall": ("wall-back", "wall-left", "wall-right", "wall-front")}

Window = tuple[np.ndarray, np.ndarray]  # means and deviations of the windows of a picture at one scale, (m, m, 3) each


def near(pool: Pool, surface: SurfaceName, split: Split, severity: float) -> list[TextureAsset]:
    """The textures that `surface` wears at a severity, nearest to training first: a fifth of those there are.

    At 5 they are the farthest ones; at s, those neighbours in the order whose mean novelty comes nearest to s fifths of
    the farthest ones'. Whoever takes the same place among them at every severity never comes nearer to training as
    severity grows.

    Args:
        pool: What textures there are.
        surface: "table", "floor" or "wall".
        split: Of which split they are.
        severity: In (0, 5].

    Returns:
        At least one, and as many at every severity.

    Raises:
        SpecError: The pool has none, or one that nobody has measured.
    """
    return _bands(pool, surface, split).at(severity)


def distances(pool: Pool, surface: SurfaceName, split: Split) -> tuple[float, ...]:
    """The mean novelty of what `surface` wears at severities 1 to 5."""
    bands = _bands(pool, surface, split)
    return tuple(_mean_of([t.novelty[surface] for t in bands.at(float(level))]) for level in range(1, LEVELS + 1))


class _Bands:
    """Textures in their order, and the mean novelty of every run of neighbours that is a fifth of them long."""

    def __init__(self, textures: Sequence[TextureAsset], surface: SurfaceName) -> None:
        self._textures = sorted(textures, key=lambda texture: (texture.novelty[surface], texture.name))
        novelty = [texture.novelty[surface] for texture in self._textures]
        self._size = max(1, round(len(novelty) / LEVELS))
        starts = range(len(novelty) - self._size + 1)
        self._means = [_mean_of(novelty[start : start + self._size]) for start in starts]

    def at(self, severity: float) -> list[TextureAsset]:
        wanted = severity / LEVELS * self._means[-1]
        start = min(range(len(self._means)), key=lambda i: abs(self._means[i] - wanted))
        return self._textures[start : start + self._size]


def _mean_of(values: Sequence[float]) -> float:
    return exact.total(values) / len(values)


@lru_cache(maxsize=64)
def _bands(pool: Pool, surface: SurfaceName, split: Split) -> _Bands:
    textures = pool.textures_of(surface, split)
    if not textures:
        raise SpecError(f"no {surface} texture in split {split!r}")
    for texture in textures:
        if surface not in texture.novelty:
            raise SpecError(
                f"texture {texture.name!r}: novelty.{surface} is missing; python -m oodbench.surfaces FILE measures it"
            )
    return _Bands(textures, surface)


# --- measuring -----------------------------------------------------------------------------------------------------


def measure(textures: Sequence[TextureAsset], surface: SurfaceName, seeds: Iterable[int] = SEEDS) -> list[float]:
    """How far textures look from those of training.

    Args:
        textures: What to measure.
        surface: Where they are seen.
        seeds: Of the scenes that are pictured, in turn of one task and another.

    Returns:
        The distance of each from the nearest training texture of the standard pool but itself, in CIELAB units.
    """
    from oodbench.sim.world import World
    from oodbench.task import TASKS

    world = World("standard")
    train = standard().textures_of(surface, "train")
    tasks = [task for task in map(TASKS.get, standard().names("tasks")) if task.concept is None]
    found, counted = np.zeros((len(textures), len(train))), 0.0
    for seed in seeds:
        plain = tasks[seed % len(tasks)].sample(seed, "spacing")

        def look(texture: TextureAsset, plain: Scene = plain) -> list[list[Window]]:
            world.reset(plain.but(surfaces=plain.surfaces.but(**{surface: Surface(texture=texture.name)})))
            return [windows(world.see(camera.name, SIZE)) for camera in plain.cameras]

        seen = [look(texture) for texture in train]
        geoms = [world.built.model.geom(name).id for name in GEOMS[surface]]
        shares = [
            list(_scales(np.isin(world.render(camera.name, SIZE, "segmentation"), geoms)[..., None].astype(float)))
            for camera in plain.cameras
        ]
        counted += exact.total(float(scale.mean()) for share in shares for scale in share) / SCALES
        for row, texture in enumerate(textures):
            pictures = look(texture)
            for column, known in enumerate(seen):
                found[row, column] += exact.total(map(difference, pictures, known, shares))
    same = [[texture.name == known.name for known in train] for texture in textures]
    return [float(x) for x in np.where(same, np.inf, found / counted).min(axis=1)]


def windows(picture: np.ndarray) -> list[Window]:
    """The colours of every window of a picture, (n, n, 3) uint8, in CIELAB, at three scales."""
    colours = cielab(picture)
    moments = zip(_scales(colours), _scales(colours, 2), strict=True)
    return [(mean, np.sqrt(np.maximum(square - mean * mean, 0.0))) for mean, square in moments]


def _scales(picture: np.ndarray, power: int = 1) -> Iterator[np.ndarray]:
    """The means of every window of a picture, (n, n, k), or of its squares, at three scales."""
    for _ in range(SCALES):
        yield window_mean(picture * picture if power == 2 else picture)
        picture = halved(picture)


def difference(a: Sequence[Window], b: Sequence[Window], shares: Sequence[np.ndarray] | None = None) -> float:
    """How different the colours of two pictures are, averaged over windows and scales.

    Args:
        a: The windows of a picture.
        b: Those of another.
        shares: What is counted of every window, (m, m, 1) a scale; all of it when None.

    Returns:
        In CIELAB units.
    """
    apart = [_apart(x, y) for x, y in zip(a, b, strict=True)]
    if shares is not None:
        apart = [x * share[..., 0] for x, share in zip(apart, shares, strict=True)]
    return exact.total(float(x.mean()) for x in apart) / len(apart)


def _apart(a: Window, b: Window) -> np.ndarray:
    means, deviations = a[0] - b[0], a[1] - b[1]
    return np.sqrt((means * means + deviations * deviations).sum(axis=-1))


# Of linear sRGB, rows X, Y and Z over those of the white of D65 (IEC 61966-2-1).
_XYZ = np.array([(0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505)])
_XYZ /= _XYZ.sum(axis=1, keepdims=True)


def cielab(picture: np.ndarray) -> np.ndarray:
    """An sRGB picture, (n, n, 3) uint8, in CIELAB under D65: L from 0 to 100, a, b; (n, n, 3) float64."""
    red, green, blue = (_linear()[picture[..., channel]] for channel in range(3))
    x, y, z = (_root(r * red + g * green + b * blue) for r, g, b in _XYZ)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


@lru_cache(maxsize=1)
def _linear() -> np.ndarray:
    """The linear value of each of the 256 values of sRGB."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, exact.power((value + 0.055) / 1.055, 2.4))


def _root(share: np.ndarray) -> np.ndarray:
    """CIELAB's cube root, linear near black."""
    black = (6 / 29) ** 2 * 6 / 29
    return np.where(share > black, exact.power(np.maximum(share, black), 1 / 3), share * 841 / 108 + 4 / 29)


def main(wanted: Sequence[str]) -> None:
    """Measure the textures called `wanted`, names or paths, or all unseen ones of oodbench, and rewrite their files."""
    from rich.progress import track

    names = wanted or [name for name in TEXTURES.shipped_names() if TEXTURES.get(name).split != "train"]
    found: dict[str, dict[str, float]] = {name: {} for name in names}
    for surface in track(SURFACES, "surfaces"):
        chosen = [name for name in names if surface in TEXTURES.get(name).surface]
        measured = measure([TEXTURES.get(name) for name in chosen], surface) if chosen else []
        for name, distance in zip(chosen, measured, strict=True):
            found[name][surface] = round(distance, 2)
    for name, novelty in found.items():
        path = Path(name) if name.endswith(SUFFIX) else data_dir("assets") / "textures" / f"{name}{SUFFIX}"
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("novelty")]
        values = ", ".join(f"{surface} = {distance}" for surface, distance in novelty.items())
        split = next(i for i, line in enumerate(lines) if line.startswith("split"))
        lines.insert(split + 1, f"novelty = {{ {values} }}")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
