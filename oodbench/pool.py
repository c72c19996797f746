"""What scenes are drawn from: named, explicit lists of things, so that what else is installed changes no suite.

A pool names objects, textures and glyph sets, and the tasks and shifts that the patterns of a suite stand for. What a
package or a user adds is played by suites whose pool names it, or that name it themselves.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, model_validator

from oodbench import toml
from oodbench.catalogue import GLYPHS, OBJECTS, TEXTURES, Kind, ObjectAsset, Split, TextureAsset
from oodbench.paths import data_dir
from oodbench.registry import SUFFIX, Registry

STANDARD = "standard-1"  # the pool of what oodbench releases, and of whatever names no other


class Pool(BaseModel):
    """assets/pools/<name>.toml.

    Attributes:
        extends: Pools whose things belong to this one as well.
        objects: Objects, by name.
        textures: Textures, by name.
        glyphs: Glyph sets, by name.
        tasks: What a suite's pattern of tasks ("*") can stand for.
        shifts: What a suite's pattern of shifts ("visual.*") can stand for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    summary: str
    extends: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    textures: tuple[str, ...] = ()
    glyphs: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Pool:
        if self.name in self.extends:
            raise ValueError(f"extends: {self.name!r} cannot extend itself")
        for registry, names in ((OBJECTS, self.objects), (TEXTURES, self.textures), (GLYPHS, self.glyphs)):
            for name in names:
                if name.endswith(SUFFIX):  # now, while relative paths are taken from this file's folder
                    registry.get(name)
        return self

    def objects_of(self, kind: Kind, split: Split) -> list[ObjectAsset]:
        """The objects of one kind and split, by name."""
        return [asset for asset in self.all_objects() if asset.kind == kind and asset.split == split]

    def textures_of(self, surface: str, split: Split) -> list[TextureAsset]:
        """The textures of one split that fit `surface` ("table", "floor" or "wall"), by name."""
        return [asset for asset in self.all_textures() if surface in asset.surface and asset.split == split]

    def all_objects(self) -> list[ObjectAsset]:
        """All objects, by name. Raises UnknownNameError for one that does not exist."""
        return [OBJECTS.get(name) for name in self.names("objects")]

    def all_textures(self) -> list[TextureAsset]:
        """All textures, by name. Raises UnknownNameError for one that does not exist."""
        return [TEXTURES.get(name) for name in self.names("textures")]

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of its "objects", "textures", "glyphs", "tasks" or "shifts", and of what it extends, sorted."""
        return _names(self, kind)


@lru_cache(maxsize=256)
def _names(pool: Pool, kind: str) -> tuple[str, ...]:
    found = set(getattr(pool, kind))
    for name in pool.extends:
        found.update(POOLS.get(name).names(kind))
    return tuple(sorted(found))


def _load(path: Path) -> Pool:
    return toml.load(path, Pool)


POOLS: Registry[Pool] = Registry("pool", data_dir("assets") / "pools", _load, of=Pool)


def standard() -> Pool:
    """The pool of what oodbench releases."""
    return POOLS.get(STANDARD)
