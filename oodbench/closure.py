"""The identity of an episode: its closure, a scene together with the content of everything that the scene names.

Two episodes with one closure are the same episode, whatever else is installed; editing an object changes the closures
of the scenes that show it, and no other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from oodbench import robots
from oodbench.catalogue import GLYPHS, OBJECTS, TEXTURES
from oodbench.registry import Registry
from oodbench.scene import Restage, Scene, Surface, Surfaces

# The version of what turns a scene into a simulation and judges it: geometry, controller, physics options, predicates.
# Raise it with every change of that code that changes an outcome: all closures change.
ENGINE = 3


def sha256(scene: Scene) -> str:
    """The hash of a scene's closure.

    Args:
        scene: Any scene, shifted or not.

    Returns:
        64 hexadecimal digits.

    Raises:
        UnknownNameError: The scene names an asset that is not here.
    """
    digest = hashlib.sha256(f"oodbench engine {ENGINE}\n".encode())
    digest.update(scene.canonical_json().encode())
    for kind, name, content in contents(scene):
        digest.update(f"\n{kind} {name} {content}".encode())
    return digest.hexdigest()


def contents(scene: Scene) -> Iterator[tuple[str, str, str]]:
    """(kind, name, hash of the content) of everything that a scene names, in a fixed order."""
    for name in sorted({item.asset for item in scene.objects}):
        yield "object", name, _content(OBJECTS, name)
    for name in sorted(_textures(scene)):
        yield "texture", name, _content(TEXTURES, name)
    for name in sorted({item.face.split("/")[0] for item in scene.objects if item.face}):
        yield "glyphs", name, _content(GLYPHS, name)
    yield "robot", scene.robot.name, robots.content_sha256(scene.robot.name)


def _textures(scene: Scene) -> set[str]:
    found = {c.texture for c in scene.sensors.corruptions if c.texture is not None}
    staged = [scene.surfaces, *(event.surfaces for event in scene.events if isinstance(event, Restage))]
    for surfaces in staged:
        found |= {surface.texture for surface in _each(surfaces)}
    return found


def _each(surfaces: Surfaces | None) -> tuple[Surface, ...]:
    return (surfaces.table, surfaces.floor, surfaces.wall) if surfaces else ()


def _content(registry: Registry[Any], name: str) -> str:
    """Hash of an asset. Fields at their defaults are left out, so that a new optional field changes nothing."""
    thing: BaseModel = registry.get(name)
    key = (registry.kind, name)
    known = _known.get(key)
    if known is None or known[0] is not thing:
        text = json.dumps(thing.model_dump(mode="json", exclude_defaults=True), sort_keys=True, separators=(",", ":"))
        known = _known[key] = (thing, hashlib.sha256(text.encode()).hexdigest())
    return known[1]


_known: dict[tuple[str, str], tuple[BaseModel, str]] = {}
