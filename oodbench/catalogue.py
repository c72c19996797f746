"""What assets there are: objects and textures, as data. Their geometry is made in sim/shapes.py and sim/textures.py;
which of them scenes are drawn from is said by pools (pool.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oodbench import toml
from oodbench.paths import data_dir
from oodbench.registry import Registry

Split = Literal["train", "dev", "test"]
SurfaceName = Literal["table", "floor", "wall"]
Kind = Literal[
    "object", "receptacle", "container", "block", "puck", "zone", "cabinet", "button", "knob", "board", "prop"
]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Grasp(_Data):
    """Where the expert closes the fingers, in the object's frame."""

    position: tuple[float, float, float]  # the point between the fingertips (m)
    yaw: float = 0.0  # direction along which the fingers close (rad about z); pi-periodic
    width: float = Field(gt=0.0, le=0.075)  # extent of the object along that direction (m)
    any_yaw: bool = False  # rotationally symmetric: every direction is as good


class Support(_Data):
    """The area of a receptacle (or of a block's top) on which a thing counts as put."""

    height: float  # of the supporting surface above the object's base (m)
    radius: float | None = None  # a disc, or
    half: tuple[float, float] | None = None  # a rectangle, half extents (m)


class Cavity(_Data):
    """The inside of a container: a round or square hole, open at the top."""

    floor: float  # height of its floor above the object's base (m)
    rim: float  # height of its rim (m)
    radius: float  # of the largest circle that fits in it (m)


class Joint(_Data):
    """The moving part of a drawer (slides along the object's -x), a button (down) or a knob (turns about z)."""

    kind: Literal["drawer", "button", "knob"]
    range: float = Field(gt=0.0)  # m, or rad
    handle: tuple[float, float, float]  # where it is taken or pressed when at 0, in the object's frame (m)
    handle_yaw: float = 0.0  # direction along which the fingers close (rad about z)
    handle_width: float = 0.02  # m


class ObjectAsset(_Data):
    """A named thing. assets/objects/<name>.toml."""

    name: str
    label: str  # the noun that instructions use
    synonyms: tuple[str, ...] = ()  # other names, from usual to unusual
    category: str
    affordance: str = ""  # what it is for, such that "something {affordance}" reads well: "to drink from"
    hint: str = ""  # common knowledge, such that "the thing {hint}" reads well: "that rabbits like to eat"
    colour: str
    material: str
    kind: Kind
    split: Split
    novelty: int = Field(0, ge=0, le=5)  # 0 for train; for dev and test how far from the train objects of its kind
    mass: float = Field(gt=0.0)
    friction: tuple[float, float, float] = (1.0, 0.005, 0.0001)  # sliding, torsional, rolling
    radius: float = Field(gt=0.0)  # of the circle around the origin that holds its footprint (m)
    height: float = Field(gt=0.0)
    fixed: bool = False  # bolted to the table
    grasp: Grasp | None = None
    support: Support | None = None
    cavity: Cavity | None = None
    joint: Joint | None = None
    part: tuple[dict[str, Any], ...]  # what sim/shapes.py builds; validated there


class TextureAsset(_Data):
    """A square picture for a surface. assets/textures/<name>.toml.

    novelty: of dev and test textures, by surface: how far it looks there from the nearest training texture, as measured
    by oodbench/surfaces.py. It says nothing about how the texture looks, and is no part of what closures hash.
    """

    name: str
    label: str
    surface: tuple[SurfaceName, ...]
    split: Split
    novelty: dict[SurfaceName, float] = Field(default={}, exclude=True)
    generator: str  # a function of sim/textures.py
    seed: int = 0
    repeat: float = 1.0  # tiles a metre
    options: dict[str, Any] = {}


class Glyph(_Data):
    name: str
    phrase: str  # how instructions call it


class GlyphSet(_Data):
    """A concept that boards can show. assets/glyphs/<concept>.toml; drawn by sim/glyphs.py.

    phrase: how instructions call a board, with {phrase} for the glyph's own. boards: how many a scene has. colours:
    those in which every glyph may be drawn. variants: pictures that a glyph stands for (an even number is 2, 4, ...).
    """

    name: str
    label: str
    phrase: str
    boards: int = Field(ge=2, le=3)
    colours: tuple[str, ...] = ()
    variants: dict[str, tuple[str, ...]] = {}
    glyph: tuple[Glyph, ...] = Field(min_length=2)

    def named(self, face: str) -> str:
        """How instructions call a board with this face ("<concept>/<name>[/<variant>]")."""
        name = face.split("/")[1]
        return self.phrase.format(phrase=next(glyph.phrase for glyph in self.glyph if glyph.name == name))


def _glyphs(path: Path) -> GlyphSet:
    return toml.load(path, GlyphSet)


def _objects(path: Path) -> ObjectAsset:
    return toml.load(path, ObjectAsset)


def _textures(path: Path) -> TextureAsset:
    return toml.load(path, TextureAsset)


OBJECTS: Registry[ObjectAsset] = Registry("object", data_dir("assets") / "objects", _objects, of=ObjectAsset)
TEXTURES: Registry[TextureAsset] = Registry("texture", data_dir("assets") / "textures", _textures, of=TextureAsset)
GLYPHS: Registry[GlyphSet] = Registry(
    "glyph set", data_dir("assets") / "glyphs", _glyphs, group="oodbench.glyphs", of=GlyphSet
)
