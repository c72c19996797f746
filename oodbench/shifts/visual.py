"""Visual shifts: how the same world looks."""

from __future__ import annotations

import math

import numpy as np

from oodbench.catalogue import textures
from oodbench.errors import SpecError
from oodbench.scene import Scene
from oodbench.shift import MAX_SEVERITY, Context, shift


@shift(
    "visual.table-texture",
    channels=("surfaces",),
    unit="weight of an unseen table texture over the training one: 20 % a level, at 5 the unseen one alone",
    source="RL4VLA VisionImage-v1 (5 unseen tables) and its blending by alpha (VisionTexture03/05)",
    star_gen="V-SC",
)
def table_texture(scene: Scene, context: Context) -> Scene:
    """The table top turns into one of a kind that no demonstration shows."""
    choices = [texture.name for texture in textures("table", context.split)]
    if not choices:
        raise SpecError(f"no table texture in split {context.split!r}")
    table = scene.surfaces.table.but(
        other=choices[context.rng.integers(len(choices))], weight=context.severity / MAX_SEVERITY
    )
    return scene.but(surfaces=scene.surfaces.but(table=table))


@shift(
    "visual.lighting",
    channels=("lights",),
    unit="distance in (exposure, colour temperature, tint, direction), each normalised: a level is up to 0.35 stops, "
    "8 % warm or cold, 4 % green or magenta, 12 degrees",
    source="LIBERO-CTRL (equidistant radii in normalised EV / warmth / tint / elevation); LIBERO-plus (light)",
    star_gen="V-LIGHT",
)
def lighting(scene: Scene, context: Context) -> Scene:
    """The light is brighter or darker, warmer or colder, and falls from elsewhere: one direction a seed."""
    exposure, warmth, tint, turn, tilt = _unit(context.rng, 5) * context.severity
    colour = 2.0 ** (0.35 * exposure) * np.array([1 + 0.08 * warmth, 1 + 0.04 * tint, 1 - 0.08 * warmth])
    lamps = tuple(
        lamp.but(
            direction=_tilted(lamp.direction, math.radians(12 * turn), math.radians(12 * tilt)),
            diffuse=tuple(np.clip(colour * lamp.diffuse, 0, 1)),
        )
        for lamp in scene.lights.lamps
    )
    return scene.but(lights=scene.lights.but(ambient=tuple(np.clip(colour * scene.lights.ambient, 0, 1)), lamps=lamps))


@shift(
    "visual.camera-pose",
    channels=("cameras",),
    unit="orbit of the third-person camera: up to 6 degrees of azimuth, 3 of elevation and 4 % of distance a level",
    source="LIBERO-plus (orbit +-75 degrees, distance x1.15-2); LIBERO-CTRL (spherical); the wrist camera stays",
    star_gen="V-VIEW",
)
def camera_pose(scene: Scene, context: Context) -> Scene:
    """The third-person camera stands elsewhere and looks at the same point: one direction a seed."""
    azimuth, elevation, distance = _unit(context.rng, 3) * context.severity
    cameras = []
    for camera in scene.cameras:
        if camera.mount == "world":
            offset = np.asarray(camera.position) - camera.target
            turned = _tilted(tuple(offset), math.radians(6 * azimuth), math.radians(3 * elevation))
            camera = camera.but(position=tuple(camera.target + np.asarray(turned) * (1 + 0.04 * distance)))
        cameras.append(camera)
    return scene.but(cameras=tuple(cameras))


def _unit(rng: np.random.Generator, size: int) -> np.ndarray:
    """A uniformly random direction, (size,), of length 1."""
    vector = rng.standard_normal(size)
    return vector / np.linalg.norm(vector)


def _tilted(vector: tuple[float, ...], turn: float, tilt: float) -> tuple[float, float, float]:
    """`vector` turned about z and raised by `tilt` (rad), but never over the zenith."""
    x, y, z = vector
    length, azimuth = math.sqrt(x * x + y * y + z * z), math.atan2(y, x) + turn
    elevation = math.asin(z / length)
    elevation = math.copysign(min(abs(elevation + math.copysign(tilt, z)), math.radians(88)), z)
    flat = length * math.cos(elevation)
    return (flat * math.cos(azimuth), flat * math.sin(azimuth), length * math.sin(elevation))
