"""Visual shifts of the world and the cameras: surfaces, light, view, the looks of objects and of the robot.

How far a level goes is spaced evenly in what can be seen of it: see oodbench/spacing.py and, of textures,
oodbench/surfaces.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oodbench.catalogue import OBJECTS, ObjectAsset, SurfaceName
from oodbench.exact import unit
from oodbench.scene import RGB, Camera, Lamp, Lights, Object, Scene, Surface
from oodbench.shift import Context, shift
from oodbench.shifts import placing
from oodbench.spacing import reach
from oodbench.surfaces import near
from oodbench.task import is_clear

TABLE_TOP = ((-0.4, 0.36), (-0.56, 0.56))  # where clutter may stand: x and y ranges (m), but not
WORKSPACE = ((-0.45, 0.18), (-0.33, 0.33))  # where things are handled


def _unit(rng: np.random.Generator, size: int) -> np.ndarray:
    """A uniformly random direction, (size,), of length 1."""
    return unit(rng.standard_normal(size))


def _unseen(surface: SurfaceName, context: Context) -> Surface:
    """One of the unseen textures at this severity, at the same place in their order whatever the severity is."""
    textures = near(context.pool, surface, context.split, context.severity)
    return Surface(texture=textures[int(context.rng.random() * len(textures))].name)


@shift(
    "visual.table-texture",
    channels=("surfaces",),
    unit="measured distance of an unseen table texture from the nearest training one, evenly spaced; each level draws "
    "from a fifth of the split's textures, 5 from the farthest",
    source="RL4VLA VisionImage-v1 (5 unseen tables); graded by oodbench (field `novelty` of assets/textures)",
    star_gen="V-SC",
)
def table_texture(scene: Scene, context: Context) -> Scene:
    """The table top is of a kind that no demonstration shows. Both cameras see it."""
    return scene.but(surfaces=scene.surfaces.but(table=_unseen("table", context)))


@shift(
    "visual.background",
    channels=("surfaces",),
    unit="measured distance of an unseen floor and wall from the nearest training ones, evenly spaced; each level "
    "draws from a fifth of the split's textures, 5 from the farthest",
    source="LIBERO-plus (background textures); Colosseum (wall texture)",
    star_gen="V-SCENE",
)
def background(scene: Scene, context: Context) -> Scene:
    """Floor and walls are others than any demonstration shows. Mostly the third-person camera sees it."""
    floor, wall = _unseen("floor", context), _unseen("wall", context)
    return scene.but(surfaces=scene.surfaces.but(floor=floor, wall=wall))


def _lit(lights: Lights, colour: np.ndarray, turn: float = 0.0, tilt: float = 0.0) -> Lights:
    """The lights with their colours multiplied and their directions turned and tilted (rad)."""
    lamps = tuple(
        lamp.but(direction=_tilted(lamp.direction, turn, tilt), diffuse=tuple(np.clip(colour * lamp.diffuse, 0, 1)))
        for lamp in lights.lamps
    )
    return lights.but(ambient=tuple(np.clip(colour * lights.ambient, 0, 1)), lamps=lamps)


@shift(
    "visual.lighting",
    channels=("lights",),
    unit="distance in (exposure, colour temperature, tint, direction), each normalised, evenly spaced: at 5 up to 1.75 "
    "stops, 40 % warm or cold, 20 % green or magenta, 60 degrees",
    source="LIBERO-CTRL (equidistant radii in normalised EV / warmth / tint / elevation); LIBERO-plus (light)",
    star_gen="V-LIGHT",
)
def lighting(scene: Scene, context: Context) -> Scene:
    """The light is brighter or darker, warmer or colder, and falls from elsewhere: one direction a seed."""
    exposure, warmth, tint, turn, tilt = _unit(context.rng, 5) * 5 * reach("visual.lighting", context.severity)
    colour = math.pow(2.0, 0.35 * exposure) * np.array([1 + 0.08 * warmth, 1 + 0.04 * tint, 1 - 0.08 * warmth])
    return scene.but(lights=_lit(scene.lights, colour, math.radians(12 * turn), math.radians(12 * tilt)))


@shift(
    "visual.light-intensity",
    channels=("lights",),
    unit="stops brighter or darker (one sign a seed), evenly spaced up to 0.7 brighter or 2 darker at 5",
    source="LIBERO-Infinity (light x0.4 to x2); LIBERO-PRO (dark)",
    star_gen="V-LIGHT",
)
def light_intensity(scene: Scene, context: Context) -> Scene:
    """The light is stronger or weaker."""
    most = 0.7 if context.rng.random() < 0.3 else -2.0
    gain = math.pow(2.0, most * reach("visual.light-intensity", context.severity))
    return scene.but(lights=_lit(scene.lights, np.full(3, gain)))


@shift(
    "visual.light-direction",
    channels=("lights",),
    unit="angle by which the lamps are turned about a random axis, evenly spaced up to 65 degrees at 5",
    source="LIBERO-plus (light direction); LIBERO-CTRL (elevation)",
    star_gen="V-LIGHT",
)
def light_direction(scene: Scene, context: Context) -> Scene:
    """The light falls from elsewhere, and so do the shadows."""
    turn, tilt = _unit(context.rng, 2) * math.radians(65) * reach("visual.light-direction", context.severity)
    return scene.but(lights=_lit(scene.lights, np.ones(3), 2 * turn, tilt))


@shift(
    "visual.light-colour",
    channels=("lights",),
    unit="distance from neutral in (warmth, tint), evenly spaced up to 50 % warm or cold, 25 % green or magenta at 5",
    source="LIBERO-CTRL (log2 warmth, tint); Colosseum (light colour); VLA-Arena (3500-8500 K)",
    star_gen="V-LIGHT",
)
def light_colour(scene: Scene, context: Context) -> Scene:
    """The light has another colour."""
    warmth, tint = _unit(context.rng, 2) * reach("visual.light-colour", context.severity)
    colour = np.array([1 + 0.5 * warmth, 1 + 0.25 * tint, 1 - 0.5 * warmth])
    return scene.but(lights=_lit(scene.lights, colour))


@shift(
    "visual.shadows",
    channels=("lights",),
    unit="share of the ambient and fill light that goes to the main lamp instead, evenly spaced up to 85 % at 5",
    source="LIBERO-plus (shadows); LIBERO-CTRL (ambient)",
    star_gen="V-LIGHT",
)
def shadows(scene: Scene, context: Context) -> Scene:
    """The light turns hard: one lamp, deep shadows, and it stands lower."""
    share = 0.85 * reach("visual.shadows", context.severity)
    main, *fill = scene.lights.lamps
    turn = context.rng.uniform(-math.pi / 2, math.pi / 2)
    harder = main.but(
        diffuse=tuple(np.clip(np.asarray(main.diffuse) * (1 + 0.9 * share), 0, 1)),
        direction=_tilted(main.direction, turn * share, -math.radians(35) * share),
    )
    softer = tuple(lamp.but(diffuse=tuple((1 - share) * np.asarray(lamp.diffuse))) for lamp in fill)
    ambient = tuple((1 - 0.75 * share) * np.asarray(scene.lights.ambient))
    return scene.but(lights=scene.lights.but(ambient=ambient, lamps=(harder, *softer)))


@shift(
    "visual.lamps",
    channels=("lights",),
    unit="brightness of two more coloured lamps with shadows of their own, evenly spaced",
    source="LIBERO-plus (number of lights)",
    star_gen="V-LIGHT",
)
def lamps(scene: Scene, context: Context) -> Scene:
    """Two more lamps are on, from other sides."""
    power, more = reach("visual.lamps", context.severity), []
    for _ in range(2):
        turn = context.rng.uniform(-math.pi, math.pi)
        colour = 0.55 * power * np.array(_vivid(context.rng))
        more.append(Lamp(direction=(0.8 * math.cos(turn), 0.8 * math.sin(turn), -0.6), diffuse=tuple(colour)))
    return scene.but(lights=scene.lights.but(lamps=(*scene.lights.lamps, *more)))


def _vivid(rng: np.random.Generator) -> RGB:
    """A random colour of full saturation: one channel 1, one 0.15, one in between."""
    values = np.array([1.0, 0.15, rng.uniform(0.15, 1.0)])
    red, green, blue = values[rng.permutation(3)]
    return float(red), float(green), float(blue)


def _cameras(scene: Scene, mount: str, change: Callable[[Camera], Camera]) -> Scene:
    return scene.but(cameras=tuple(change(c) if c.mount == mount else c for c in scene.cameras))


@shift(
    "visual.camera-pose",
    channels=("cameras",),
    unit="orbit of the third-person camera, evenly spaced up to 30 degrees of azimuth, 15 of elevation and 20 % of "
    "distance at 5",
    source="LIBERO-plus (orbit +-75 degrees, distance x1.15-2); LIBERO-CTRL (spherical); the wrist camera stays",
    star_gen="V-VIEW",
)
def camera_pose(scene: Scene, context: Context) -> Scene:
    """The third-person camera stands elsewhere and looks at the same point: one direction a seed."""
    azimuth, elevation, distance = _unit(context.rng, 3) * 5 * reach("visual.camera-pose", context.severity)

    def orbit(camera: Camera) -> Camera:
        offset = np.asarray(camera.position) - camera.target
        turned = _tilted(tuple(offset), math.radians(6 * azimuth), math.radians(3 * elevation))
        return camera.but(position=tuple(camera.target + np.asarray(turned) * (1 + 0.04 * distance)))

    return _cameras(scene, "world", orbit)


@shift(
    "visual.camera-fov",
    channels=("cameras",),
    unit="change of the third-person camera's focal length, evenly spaced up to x0.72 or x1.15 (one sign a seed) at 5",
    source="LIBERO-plus (named there, but not in its released files); LIBERO-CTRL (camera)",
    star_gen="V-VIEW",
)
def camera_fov(scene: Scene, context: Context) -> Scene:
    """The third-person camera has another lens."""
    most = math.log(1.15) if context.rng.random() < 0.4 else math.log(0.72)
    focal = math.exp(most * reach("visual.camera-fov", context.severity))

    def zoom(camera: Camera) -> Camera:
        return camera.but(fovy=2 * math.degrees(math.atan(math.tan(math.radians(camera.fovy / 2)) / focal)))

    return _cameras(scene, "world", zoom)


@shift(
    "visual.wrist-camera",
    channels=("cameras",),
    unit="the wrist camera is mounted up to 2.5 cm elsewhere and looks up to 5 cm aside at 5, evenly spaced",
    source="LIBERO-PRO (camera jitter); REALM (+-0.2 rad); the third-person camera stays",
    star_gen="V-VIEW",
)
def wrist_camera(scene: Scene, context: Context) -> Scene:
    """The camera on the hand is mounted otherwise: one direction a seed."""
    way = _unit(context.rng, 6) * reach("visual.wrist-camera", context.severity)

    def moved(camera: Camera) -> Camera:
        position, target = np.asarray(camera.position) + 0.025 * way[:3], np.asarray(camera.target) + 0.05 * way[3:]
        return camera.but(position=tuple(position), target=tuple(target))

    return _cameras(scene, "hand", moved)


def _named_by_colour(item: Object, scene: Scene) -> bool:
    """Whether the words call the object by its colour, so that another one would make them untrue."""
    words, asset = scene.instruction.text, OBJECTS.get(item.asset)
    for other in scene.objects:
        if other.id != item.id:
            words = words.replace(OBJECTS.get(other.asset).label, "")
    return asset.colour in words.split() or asset.colour in asset.label.split()


@shift(
    "visual.object-colour",
    channels=("objects",),
    unit="weight of a random vivid colour over the objects' own, evenly spaced; objects that the words call by their "
    "colour stay",
    source="Colosseum (object colour); STAR-Gen V-OBJ",
    star_gen="V-OBJ",
    applies=lambda task: task.handled.kind == "object",
)
def object_colour(scene: Scene, context: Context) -> Scene:
    """Objects have colours that they never have."""
    weight, changed = reach("visual.object-colour", context.severity), []
    for item in scene.objects:
        vivid = np.array(_vivid(context.rng)) * 1.25
        tint = tuple(1 - weight + weight * vivid)
        changed.append(item if _named_by_colour(item, scene) else item.but(tint=tint))
    return scene.but(objects=tuple(changed))


@shift(
    "visual.robot-colour",
    channels=("robot",),
    unit="weight of a random vivid colour over the robot's own, evenly spaced",
    source="Colosseum (robot appearance is missing there); STAR-Gen V-OBJ; BridgeV2-star",
    star_gen="V-OBJ",
)
def robot_colour(scene: Scene, context: Context) -> Scene:
    """The robot is painted. Both cameras see it."""
    weight = reach("visual.robot-colour", context.severity)
    vivid = np.array(_vivid(context.rng))
    return scene.but(robot=scene.robot.but(tint=tuple(1 - weight + weight * vivid)))


@shift(
    "visual.clutter",
    channels=("objects",),
    unit="number of unseen objects at the edge of the table, where nothing is handled",
    source="Colosseum (distractors), RoboTwin 2.0 (clutter)",
    star_gen="V-SC",
)
def clutter(scene: Scene, context: Context) -> Scene:
    """Other things stand around outside the space where the task takes place; fractional severities round up.

    The first two are in the third-person picture, the others where there is room for them.
    """
    taken = {OBJECTS.get(item.asset).category for item in scene.objects}
    pool = [a for a in context.pool.objects_of("object", context.split) if a.category not in taken and a.height < 0.11]
    placed = scene.objects
    for asset in placing.shuffled(pool, context):
        number = len(placed) - len(scene.objects) + 1
        item = _aside(f"clutter-{number}", asset, scene, placed, context, seen=number <= 2)
        placed = (*placed, item) if item else placed
        if number == context.level and item:
            break
    return scene.but(objects=placed)


def _aside(
    id: str, asset: ObjectAsset, scene: Scene, placed: tuple[Object, ...], context: Context, seen: bool
) -> Object | None:
    """`asset` somewhere on the table where nothing is handled, or None. `seen`: in the third-person picture."""
    for _ in range(500):
        x, y = (context.rng.uniform(low, high) for low, high in TABLE_TOP)
        item = Object(id=id, asset=asset.name, position=(x, y, 0.0), yaw=context.rng.uniform(-math.pi, math.pi))
        handled = all(low < v < high for v, (low, high) in zip((x, y), WORKSPACE, strict=True))
        if not handled and is_clear(item, placed) and (not seen or placing.in_view(scene.cameras[0], item.position)):
            return item
    return None


@shift(
    "visual.occluder",
    channels=("objects",),
    unit="how far a post has come in front of the third-person camera, evenly spaced; it can be moved through",
    source="LIBERO-PRO (view occlusion)",
    star_gen="V-VIEW",
    occludes=True,
)
def occluder(scene: Scene, context: Context) -> Scene:
    """A dark post stands between the third-person camera and the table."""
    side = math.copysign(1.0, context.rng.random() - 0.5)
    y = side * (0.27 - 0.23 * reach("visual.occluder", context.severity))  # from just out of the picture
    post = Object(id="occluder", asset="post", position=(0.3, y, 0.0))
    return scene.but(objects=(*scene.objects, post))


def _tilted(vector: tuple[float, ...], turn: float, tilt: float) -> tuple[float, float, float]:
    """`vector` turned about z and raised by `tilt` (rad), but never over the zenith nor to the horizon."""
    x, y, z = vector
    length, azimuth = math.sqrt(x * x + y * y + z * z), math.atan2(y, x) + turn
    elevation = math.asin(z / length)
    elevation = math.copysign(min(max(abs(elevation) + tilt, math.radians(12)), math.radians(88)), z)
    flat = length * math.cos(elevation)
    return (flat * math.cos(azimuth), flat * math.sin(azimuth), length * math.sin(elevation))
