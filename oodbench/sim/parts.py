"""What objects are made of: the base of every part, and the registry of families of parts, open to other packages.

The families that come with oodbench are in sim/shapes.py (solids) and sim/fixtures.py (what moves, and boards).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

from oodbench.registry import Registry

if TYPE_CHECKING:
    from oodbench.sim.shapes import Builder

Vec2 = tuple[float, float]
Vec3 = tuple[float, float, float]
RGBA = tuple[float, float, float, float]


class PartBase(BaseModel):
    """A part of an object, [[part]] in its file. Subclasses say which family by ``family: Literal["..."]``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: str
    role: Literal["visual", "collision", "both"] = "both"
    rgba: RGBA = (0.8, 0.8, 0.8, 1.0)
    position: Vec3 = (0.0, 0.0, 0.0)
    euler: Vec3 = (0.0, 0.0, 0.0)  # degrees, about the fixed axes x, y, z in this order


Build = Callable[["Builder", Any], None]


@dataclass(frozen=True)
class Family:
    """Parts of one kind: what their files may say, and what makes bodies and geoms of them."""

    name: str
    model: type[PartBase]
    build: Build


FAMILIES: Registry[Family] = Registry("part family", group="oodbench.part_families", of=Family)


def part_family(*models: type[PartBase]) -> Callable[[Build], Build]:
    """Register the decorated function as what builds the parts of a model.

    It is called with the `Builder` (sim/shapes.py) of the object and the part, and adds geoms through it.

    Args:
        models: Each a family of its own, called as its field `family` says.

    Raises:
        SpecError: There is such a family.
    """

    def register(build: Build) -> Build:
        for model in models:
            (name,) = get_args(model.model_fields["family"].annotation)
            FAMILIES.add(name, Family(name, model, build), model.__module__)
        return build

    return register
