"""What happens to pictures between the camera and the policy: seeded, for every frame, from the first one on.

Amounts: see the docstring of each effect. All take and give (size, size, 3) float32 in 0..255; sizes in per cent are of
the picture's width, so that an effect looks the same at every resolution.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from oodbench import exact
from oodbench.catalogue import TEXTURES
from oodbench.registry import Registry
from oodbench.scene import Corruption
from oodbench.sim import textures


@dataclass(frozen=True)
class View:
    """What an effect may know of the frame that it befalls.

    frame: a random stream of this frame and camera; episode: one of this episode and camera, the same at every step.
    depth: (size, size) float32, metres. things: (size, size) bool, where objects or the robot are.
    """

    frame: Callable[[str], np.random.Generator]
    episode: Callable[[str], np.random.Generator]
    depth: Callable[[], np.ndarray]
    things: Callable[[], np.ndarray]


Effect = Callable[[np.ndarray, Corruption, View], np.ndarray]
EFFECTS: Registry[Effect] = Registry("corruption")


def corrupt(image: np.ndarray, corruption: Corruption, view: View) -> np.ndarray:
    """`image` (size, size, 3) uint8 with one corruption. Raises UnknownNameError for an unknown kind."""
    changed = EFFECTS.get(corruption.kind)(image.astype(np.float32), corruption, view)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def corruption(function: Effect) -> Effect:
    """Register the decorated function as a kind of corruption, under its name with hyphens for underscores.

    It is given the picture, (size, size, 3) float32 in 0..255, which it may change; the Corruption, with its amount;
    and the View; and returns the picture. Amounts in per cent of the picture's width look the same at every size.

    Raises:
        SpecError: The name is taken.
    """
    return EFFECTS.add(function.__name__.strip("_").replace("_", "-"), function)


def _pil(image: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(image), 0, 255).astype(np.uint8))


@corruption
def _noise(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Gaussian noise; amount: standard deviation in grey levels."""
    return image + c.amount * view.frame("noise").standard_normal(image.shape, np.float32)


@corruption
def _motion_blur(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """The camera shakes along one direction; amount: length of the trace in per cent."""
    pixels = c.amount / 100 * len(image)
    count = max(2, math.ceil(pixels) + 1)
    pad = math.ceil(pixels / 2) + 1
    wide = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), "edge")
    total = np.zeros_like(image)
    for t in np.linspace(-0.5, 0.5, count):
        y, x = pad + round(t * pixels * math.sin(c.angle)), pad + round(t * pixels * math.cos(c.angle))
        total += wide[y : y + len(image), x : x + len(image)]
    return total / count


@corruption
def _defocus(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Out of focus (Gaussian); amount: standard deviation in per cent."""
    return np.asarray(_pil(image).filter(ImageFilter.GaussianBlur(c.amount / 100 * len(image))), np.float32)


@corruption
def _jpeg(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """JPEG compression; amount: 100 minus the quality."""
    buffer = io.BytesIO()
    _pil(image).save(buffer, "JPEG", quality=max(1, round(100 - c.amount)))
    return np.asarray(Image.open(buffer), np.float32)


@corruption
def _exposure(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Wrong exposure, in linear light; amount: stops, negative for too dark."""
    gain = math.pow(2.0, c.amount)
    table = [255 * min(math.pow(math.pow(level / 255, 2.2) * gain, 1 / 2.2), 1.0) for level in range(256)]
    return np.array(table, np.float32)[image.astype(np.uint8)]


@corruption
def _contrast(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Less contrast and less saturation; amount: the share that goes, 1 leaves plain grey."""
    return image + c.amount * (127.5 - image)


@corruption
def _glare(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """A light shines into the lens; amount: brightness at its centre, 1 is white."""
    from_left, from_top = 0.5 + 0.32 * math.cos(c.angle), 0.5 + 0.32 * math.sin(c.angle)

    def bell(centre: float, width: float) -> np.ndarray:
        away = (np.linspace(0.0, 1.0, len(image)) - centre) / width
        return exact.exp(-(away * away))

    near, far = (bell(from_top, width)[:, None] * bell(from_left, width) for width in (0.16, 0.5))
    halo = near + 0.55 * far
    return image + 255 * c.amount * halo[..., None].astype(np.float32)


@corruption
def _fog(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Fog that thickens with distance; amount: extinction coefficient in 1 / m."""
    clear = exact.exp(-c.amount * view.depth())[..., None].astype(np.float32)
    return image * clear + np.array([208, 212, 216], np.float32) * (1 - clear)


@corruption
def _dead_rows(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Rows of the sensor are dead, the same ones throughout; amount: their share in per cent."""
    order = view.episode("dead-rows").permutation(len(image))
    image[order[: round(c.amount / 100 * len(image))]] = 0.0
    return image


@corruption
def _overlay(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """A texture over everything, which wanders with every frame; amount: its weight (RL4VLA VisionWhole)."""
    return _blend(image, c, view, 1.0)


@corruption
def _object_overlay(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """The same over objects and robot only (RL4VLA VisionTexture)."""
    return _blend(image, c, view, view.things()[..., None])


def _blend(image: np.ndarray, c: Corruption, view: View, where: np.ndarray | float) -> np.ndarray:
    assert c.texture is not None, f"corruption {c.kind!r} needs a texture"
    tile = textures.render(TEXTURES.get(c.texture), 512)
    y, x = view.frame("overlay").integers(0, 512, 2)
    rows = (y + np.arange(len(image)) * 256 // len(image)) % 512
    columns = (x + np.arange(len(image)) * 256 // len(image)) % 512
    weight = c.amount * where
    return (1 - weight) * image + weight * tile[np.ix_(rows, columns)]
