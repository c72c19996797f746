"""A corruption, a generator of textures, and the drawing of a glyph set."""

from typing import Any

import numpy as np

from oodbench.scene import Corruption
from oodbench.sim.glyphs import glyph_drawing
from oodbench.sim.sensors import View, corruption
from oodbench.sim.textures import texture_generator

YELLOW = np.array([250, 230, 90], np.float32)


@corruption
def haze(image: np.ndarray, c: Corruption, view: View) -> np.ndarray:
    """Everything turns yellow; amount: the share of yellow."""
    return (1 - c.amount) * image + c.amount * YELLOW


@texture_generator
def zest(rng: np.random.Generator, size: int, pores: int = 400) -> np.ndarray:
    """The skin of a lemon: yellow with dark pores."""
    image = np.broadcast_to(YELLOW, (size, size, 3)).copy()
    rows, columns = rng.integers(0, size, (2, pores))
    image[rows, columns] *= 0.7
    return image


@glyph_drawing("citrus")
def citrus(pen: Any, name: str) -> None:
    """A lemon is an ellipse, an orange a disc."""
    if name == "lemon":
        pen.oval(0.5, 0.5, 0.42, 0.28, "#f5cf19")
    else:
        pen.disc(0.5, 0.5, 0.36, "#f28a14")
