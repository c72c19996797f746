"""Surface pictures: tileable, deterministic, drawn from noise and geometry. Colours are sRGB 0..255."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from oodbench import exact
from oodbench.catalogue import TextureAsset
from oodbench.errors import AssetError, UnknownNameError
from oodbench.registry import Registry
from oodbench.seeding import generator

Colour = tuple[int, int, int]
Draw = Callable[..., np.ndarray]
GENERATORS: Registry[Draw] = Registry("texture generator")


def render(asset: TextureAsset, size: int = 512) -> np.ndarray:
    """The picture of a texture, (size, size, 3) uint8; its opposite edges fit together. Cached; do not write to it.

    Raises AssetError for an unknown generator or option.
    """
    return _render(asset.name, asset.generator, asset.seed, tuple(sorted(_frozen(asset.options).items())), size)


@lru_cache(maxsize=128)
def _render(name: str, kind: str, seed: int, options: tuple[tuple[str, Any], ...], size: int) -> np.ndarray:
    try:
        image = GENERATORS.get(kind)(generator("texture", name, seed), size, **dict(options))
    except (TypeError, UnknownNameError) as error:
        raise AssetError(f"texture {name!r}: {error}") from error
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    image.flags.writeable = False
    return image


def _frozen(options: dict[str, Any]) -> dict[str, Any]:
    return {key: _freeze(value) for key, value in options.items()}


def _freeze(value: Any) -> Any:
    """Lists as tuples, all the way down, so that they can be keys of the cache."""
    return tuple(map(_freeze, value)) if isinstance(value, list | tuple) else value


def texture_generator(draw: Draw) -> Draw:
    """Register the decorated function as a generator of textures, under its name.

    It is given a random generator, the size in pixels and the options of the texture's file, and returns a picture
    whose opposite edges fit together, (size, size, 3), sRGB in 0..255.

    Raises:
        SpecError: The name is taken.
    """
    return GENERATORS.add(draw.__name__, draw)


def _noise(
    rng: np.random.Generator, size: int, rough: float = 2.0, stretch: float = 1.0, low: float = 1.0
) -> np.ndarray:
    """Periodic noise with a 1/f^rough spectrum above `low` cycles a tile, zero mean and unit deviation, (size, size).

    stretch > 1 draws it out along the first axis (the grain of wood).
    """
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((size, size))) * _spectrum(size, rough, stretch, low))
    return (field - field.mean()) / field.std()


@lru_cache(maxsize=32)
def _spectrum(size: int, rough: float, stretch: float, low: float) -> np.ndarray:
    """What each frequency of `_noise` counts, (size, size // 2 + 1)."""
    along = np.arange(float(size))
    along = np.where(along < (size + 1) // 2, along, along - size) * stretch
    across = np.arange(size // 2 + 1.0)
    square = along[:, None] * along[:, None] + across * across
    return np.where(square >= low * low, exact.power(np.maximum(square, 1.0), -rough / 2), 0.0)


def _mix(a: Any, b: Any, share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None]
    return (1 - share) * np.asarray(a, float) + share * np.asarray(b, float)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column coordinates in [0, 1)."""
    axis = np.arange(size) / size
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    return rows, columns


@texture_generator
def wood(
    rng: np.random.Generator, size: int, light: Colour, dark: Colour, planks: int = 4, contrast: float = 1.0
) -> np.ndarray:
    """Planks side by side with grain along the rows' axis."""
    rows, columns = _grid(size)
    grain = _noise(rng, size, 1.6, 12.0) + 0.5 * _noise(rng, size, 0.7, 40.0)
    rings = exact.sine(3 * planks * columns + 0.35 * _noise(rng, size, 2.4, 4.0))
    share = 0.45 + contrast * (0.13 * grain + 0.10 * rings)
    plank = np.floor(columns * planks).astype(int)
    share += 0.22 * (rng.uniform(-0.5, 0.5, planks)[plank])
    image = _mix(light, dark, share)
    seam = np.minimum(columns * planks % 1, 1 - columns * planks % 1) < 0.012
    ends = np.abs((rows + rng.uniform(size=planks)[plank]) % 1 - 0.5) < 0.002
    image[seam | (ends & (planks > 1))] *= 0.55
    return image


@texture_generator
def speckle(
    rng: np.random.Generator, size: int, base: Colour, spots: tuple[Colour, ...], amount: float = 0.3
) -> np.ndarray:
    """Granite: fine grains of several colours."""
    image = np.broadcast_to(np.asarray(base, float), (size, size, 3)).copy()
    image += 6 * _noise(rng, size, 1.0)[..., None]
    for colour in spots:
        field = _noise(rng, size, 0.6, 1.0, 12.0)
        image = _mix_into(image, colour, field > np.quantile(field, 1 - amount / len(spots)))
    return image


def _mix_into(image: np.ndarray, colour: Colour, where: np.ndarray, share: float = 0.75) -> np.ndarray:
    image[where] = (1 - share) * image[where] + share * np.asarray(colour, float)
    return image


@texture_generator
def marble(rng: np.random.Generator, size: int, base: Colour, vein: Colour, veins: int = 3) -> np.ndarray:
    """Soft clouds crossed by veins."""
    rows, columns = _grid(size)
    warp = _noise(rng, size, 1.9)
    ridge = np.abs(exact.sine((veins * rows + 2 * columns + 0.55 * warp) / 2))
    share = exact.exp(-9 * ridge) * 0.8 + 0.10 * (1 + _noise(rng, size, 1.7))
    return _mix(base, vein, share)


@texture_generator
def tiles(
    rng: np.random.Generator, size: int, colour: Colour, joint: Colour, count: int = 4, vary: float = 8.0
) -> np.ndarray:
    """Square tiles with joints."""
    rows, columns = _grid(size)
    shade = rng.normal(0, vary, (count, count))[(rows * count).astype(int), (columns * count).astype(int)]
    image = np.asarray(colour, float) + shade[..., None] + 3 * _noise(rng, size, 1.0)[..., None]
    edge = np.minimum.reduce([x * count % 1 for x in (rows, columns)] + [1 - x * count % 1 for x in (rows, columns)])
    image[edge < 0.02] = joint
    return image


@texture_generator
def checker(rng: np.random.Generator, size: int, a: Colour, b: Colour, count: int = 8) -> np.ndarray:
    """A chess board pattern; `count` must be even to tile."""
    rows, columns = _grid(size)
    odd = ((rows * count).astype(int) + (columns * count).astype(int)) % 2
    return _mix(a, b, odd) + 2 * _noise(rng, size, 0.8)[..., None]


@texture_generator
def gingham(rng: np.random.Generator, size: int, base: Colour, check: Colour, count: int = 8) -> np.ndarray:
    """Crossing bands of a table cloth."""
    rows, columns = _grid(size)
    across, along = ((x * count).astype(int) % 2 for x in (rows, columns))
    thread = exact.sine(96 * np.arange(size) / size)
    weave = 3 * thread[:, None] * thread
    return _mix(base, check, 0.5 * (across + along)) + weave[..., None]


@texture_generator
def stripes(rng: np.random.Generator, size: int, colours: tuple[Colour, ...], count: int = 4) -> np.ndarray:
    """Bands of the colours in turn, `count` times a tile."""
    _, columns = _grid(size)
    index = (columns * count * len(colours)).astype(int) % len(colours)
    return np.asarray(colours, float)[index] + 4 * _noise(rng, size, 0.5)[..., None]


@texture_generator
def fabric(rng: np.random.Generator, size: int, colour: Colour, threads: int = 64, depth: float = 10.0) -> np.ndarray:
    """A plain weave."""
    rows, columns = _grid(size)
    warp = exact.sine(threads * np.arange(size) / size)
    weft = warp[:, None]
    over = ((rows * threads).astype(int) + (columns * threads).astype(int)) % 2
    return np.asarray(colour, float) + (depth * np.where(over, warp, weft) + 4 * _noise(rng, size, 1.2))[..., None]


@texture_generator
def plaster(rng: np.random.Generator, size: int, colour: Colour, rough: float = 5.0) -> np.ndarray:
    """A painted or plastered surface, almost plain."""
    return (
        np.asarray(colour, float) + (rough * _noise(rng, size, 1.3) + 0.5 * rough * _noise(rng, size, 0.4))[..., None]
    )


@texture_generator
def concrete(rng: np.random.Generator, size: int, colour: Colour, stain: float = 12.0) -> np.ndarray:
    """Blotchy grey with pores."""
    image = np.asarray(colour, float) + (stain * _noise(rng, size, 1.8) + 4 * _noise(rng, size, 0.3))[..., None]
    pores = _noise(rng, size, 0.8, 1.0, 20.0)
    image[pores > 3.0] *= 0.7
    return image


@texture_generator
def bricks(
    rng: np.random.Generator, size: int, colour: Colour, joint: Colour, rows: int = 8, vary: float = 14.0
) -> np.ndarray:
    """A running bond; `rows` must be even to tile."""
    across, along = _grid(size)
    row = (across * rows).astype(int)
    shifted = (along * rows / 2 + 0.5 * (row % 2)) % (rows / 2)
    shade = rng.normal(0, vary, (rows, rows))[row, shifted.astype(int)]
    image = np.asarray(colour, float) + (shade + 5 * _noise(rng, size, 0.9))[..., None]
    seam = (across * rows % 1 < 0.09) | (shifted % 1 < 0.045)
    image[seam] = np.asarray(joint, float)
    return image


@texture_generator
def terrazzo(
    rng: np.random.Generator, size: int, base: Colour, chips: tuple[Colour, ...], count: int = 220
) -> np.ndarray:
    """Chips of stone in a smooth ground."""
    image = np.asarray(base, float) + 2 * _noise(rng, size, 0.8)[..., None]
    rows, columns = _grid(size)
    for _ in range(count):
        (y, x), radius = rng.uniform(size=2), rng.uniform(0.008, 0.028)
        angle, squeeze = rng.uniform(0, math.pi), rng.uniform(0.4, 1.0)
        window = int(radius * size) + 2
        ys, xs = ((int(c * size) + np.arange(-window, window + 1)) % size for c in (y, x))
        dy = ((rows[np.ix_(ys, xs)] - y + 0.5) % 1) - 0.5
        dx = ((columns[np.ix_(ys, xs)] - x + 0.5) % 1) - 0.5
        u, v = dx * math.cos(angle) + dy * math.sin(angle), dy * math.cos(angle) - dx * math.sin(angle)
        inside = np.abs(u) + np.abs(v) / squeeze < radius
        patch = image[np.ix_(ys, xs)]
        patch[inside] = chips[rng.integers(len(chips))]
        image[np.ix_(ys, xs)] = patch
    return image


@texture_generator
def herringbone(
    rng: np.random.Generator, size: int, light: Colour, dark: Colour, blocks: int = 4, contrast: float = 1.0
) -> np.ndarray:
    """Blocks of wood, four times as long as wide, at right angles to each other; `blocks` must be even to tile."""
    rows, columns = _grid(size)
    u, v = 4 * blocks * rows, 4 * blocks * columns  # one block's width is 1
    across, along = np.floor(u).astype(int), np.floor(v).astype(int)
    step = (along - across) % 8  # along a row of cells: four of a block that lies, then four that stand
    lies = step < 4
    place = np.where(lies, across, along) * 4 * blocks + np.where(lies, along - step, across + step - 7) % (4 * blocks)
    shade = rng.uniform(-0.5, 0.5, (4 * blocks) * (4 * blocks))[place % (16 * blocks * blocks)]
    grain = np.where(lies, _noise(rng, size, 1.2, 10.0).T, _noise(rng, size, 1.2, 10.0))
    image = _mix(light, dark, 0.5 + contrast * (0.12 * grain + 0.45 * shade))
    end = np.where(lies, step + v % 1, (7 - step) + u % 1)  # along the block, in [0, 4)
    side = np.where(lies, u % 1, v % 1)
    seam = (np.minimum(side, 1 - side) < 0.03) | (np.minimum(end, 4 - end) < 0.03)
    image[seam] *= 0.6
    return image


@texture_generator
def tartan(
    rng: np.random.Generator, size: int, base: Colour, bands: tuple[tuple[Colour, float, float], ...], count: int = 3
) -> np.ndarray:
    """A checked twill: `bands` of (colour, centre, width) as shares of a sett, crossing; `count` setts a tile."""
    place = np.arange(size) * count / size % 1
    sett = np.broadcast_to(np.asarray(base, float), (size, 3)).copy()
    for colour, centre, width in bands:
        sett[np.abs((place - centre + 0.5) % 1 - 0.5) < width / 2] = colour
    index = np.arange(size)
    warp = ((index[:, None] + index) // 4 % 2).astype(float)  # the twill's diagonal
    image = _mix(sett[:, None], sett[None], 0.35 + 0.3 * warp)
    return image + 3 * _noise(rng, size, 0.5)[..., None]


@texture_generator
def dots(
    rng: np.random.Generator, size: int, base: Colour, dot: Colour, count: int = 8, radius: float = 0.22
) -> np.ndarray:
    """Dots in rows that are set off against each other; `count` must be even to tile. radius: as a share of a row."""
    rows, columns = _grid(size)
    odd = (rows * count).astype(int) % 2
    y, x = rows * count % 1 - 0.5, (columns * count + 0.5 * odd) % 1 - 0.5
    inside = np.clip((radius * radius - x * x - y * y) * size / (4 * count * radius) + 0.5, 0, 1)
    return _mix(base, dot, inside) + 3 * _noise(rng, size, 0.6)[..., None]


@texture_generator
def hexagons(
    rng: np.random.Generator, size: int, colours: tuple[Colour, ...], joint: Colour, count: int = 7, vary: float = 6.0
) -> np.ndarray:
    """Six-sided tiles, each of one of the colours, `count` a row."""
    rows, columns = _grid(size)
    deep = 2 * round(count / math.sqrt(3))  # rows of tiles: even, to tile
    edge, which = np.full((size, size), np.inf), np.zeros((size, size), int)
    best = np.full((size, size), np.inf)
    for row in range(-1, deep + 1):
        y = (rows * deep - row - 0.5) * math.sqrt(0.75)  # tiles a row are 1 apart, and rows sqrt(3) / 2
        for half in range(3):  # the nearest tile of the row, and its neighbours
            shifted = columns * count - 0.5 * (row % 2)
            near = np.floor(shifted) + half - 1
            x = shifted - near - 0.5
            far = x * x + y * y
            closer = far < best
            edge = np.where(closer, best, np.minimum(edge, far))
            best = np.where(closer, far, best)
            which = np.where(closer, (row % deep) * count + near.astype(int) % count, which)
    tile = rng.integers(len(colours), size=deep * count)
    shade = rng.normal(0, vary, deep * count)
    image = np.asarray(colours, float)[tile[which]] + shade[which][..., None] + 3 * _noise(rng, size, 1.0)[..., None]
    image[np.sqrt(edge) - np.sqrt(best) < 0.07] = joint
    return image


@texture_generator
def flagstones(
    rng: np.random.Generator, size: int, colour: Colour, joint: Colour, count: int = 6, vary: float = 12.0
) -> np.ndarray:
    """Stones of irregular shape with joints, count x count a tile."""
    rows, columns = _grid(size)
    nearest, second, which = (np.full((size, size), value) for value in (np.inf, np.inf, 0))
    shift = rng.uniform(0.1, 0.9, (count, count, 2))
    for row in range(count):
        for column in range(count):
            dy = (rows - (row + shift[row, column, 0]) / count + 0.5) % 1 - 0.5
            dx = (columns - (column + shift[row, column, 1]) / count + 0.5) % 1 - 0.5
            far = np.sqrt(dx * dx + dy * dy)
            closer = far < nearest
            second = np.where(closer, nearest, np.minimum(second, far))
            which = np.where(closer, row * count + column, which)
            nearest = np.where(closer, far, nearest)
    shade = rng.normal(0, vary, count * count)[which.astype(int)]
    image = np.asarray(colour, float) + (shade + 7 * _noise(rng, size, 1.5) + 3 * _noise(rng, size, 0.4))[..., None]
    image[(second - nearest) * count < 0.07 + 0.02 * _noise(rng, size, 1.2)] = joint
    return image


@texture_generator
def mosaic(
    rng: np.random.Generator, size: int, colours: tuple[Colour, ...], joint: Colour, count: int = 16, vary: float = 8.0
) -> np.ndarray:
    """Small square tiles, each of one of the colours."""
    rows, columns = _grid(size)
    place = (rows * count).astype(int), (columns * count).astype(int)
    image = np.asarray(colours, float)[rng.integers(len(colours), size=(count, count))[place]]
    image = image + rng.normal(0, vary, (count, count))[place][..., None]
    edge = np.minimum.reduce([x * count % 1 for x in (rows, columns)] + [1 - x * count % 1 for x in (rows, columns)])
    image[edge < 0.06] = joint
    return image


@texture_generator
def strands(
    rng: np.random.Generator, size: int, light: Colour, dark: Colour, count: int = 700, length: float = 0.12
) -> np.ndarray:
    """Pressed chips of wood, one over the other, up to `length` of a tile long."""
    rows, columns = _grid(size)
    share = 0.5 + 0.1 * _noise(rng, size, 1.0)
    for _ in range(count):
        (y, x), angle = rng.uniform(size=2), rng.uniform(0, math.pi)
        long, wide, shade = length * rng.uniform(0.4, 1.0) / 2, length * rng.uniform(0.08, 0.2) / 2, rng.uniform(0, 1)
        window = int(long * size) + 2
        ys, xs = ((int(c * size) + np.arange(-window, window + 1)) % size for c in (y, x))
        dy = ((rows[np.ix_(ys, xs)] - y + 0.5) % 1) - 0.5
        dx = ((columns[np.ix_(ys, xs)] - x + 0.5) % 1) - 0.5
        u, v = dx * math.cos(angle) + dy * math.sin(angle), dy * math.cos(angle) - dx * math.sin(angle)
        patch = share[np.ix_(ys, xs)]
        inside = (np.abs(u) < long) & (np.abs(v) < wide)
        rim = inside & (v > 0.6 * wide)
        patch[inside] = shade + 0.12 * exact.sine(2 * v / wide)[inside]
        patch[rim] += 0.2
        share[np.ix_(ys, xs)] = patch
    return _mix(light, dark, share)


@texture_generator
def trellis(
    rng: np.random.Generator, size: int, base: Colour, line: Colour, count: int = 6, width: float = 0.08
) -> np.ndarray:
    """A wallpaper of crossing curved lines with a dot in every field; `count` fields a row."""
    rows, columns = _grid(size)
    y, x = rows * count, columns * count
    wave = 0.25 * exact.sine(y)
    near = [np.abs((x + sign * wave + 0.25 * (1 - sign)) % 1 - 0.5) for sign in (1, -1)]
    dot = ((x + 0.5) % 1 - 0.5) * ((x + 0.5) % 1 - 0.5) + ((y + 0.25) % 1 - 0.5) * ((y + 0.25) % 1 - 0.5)
    drawn = (np.minimum(*near) < width / 2) | (dot < width * width)
    return _mix(base, line, drawn.astype(float)) + 3 * _noise(rng, size, 0.8)[..., None]
