"""A family of parts."""

import math
from typing import Literal

import mujoco

from oodbench.sim.fixtures import quat_of
from oodbench.sim.parts import PartBase, part_family
from oodbench.sim.shapes import Builder


class Lens(PartBase):
    """A flattened ball."""

    family: Literal["lens"]
    radius: float  # m
    half_height: float  # m


@part_family(Lens)
def lens(build: Builder, part: Lens) -> None:
    """One ellipsoid."""
    size = (part.radius, part.radius, part.half_height)
    shape = {"type": mujoco.mjtGeom.mjGEOM_ELLIPSOID, "size": size}
    build.place(build.body, part, shape, 4 / 3 * math.pi * math.prod(size), part.position, quat_of(part.euler))
