"""Where shifts put things: places on the table that are free, in reach, and not in the way of what is to be done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from oodbench.catalogue import OBJECTS, ObjectAsset
from oodbench.errors import SpecError
from oodbench.exact import dot, norm
from oodbench.goal import Condition
from oodbench.scene import Camera, Object, Scene
from oodbench.shift import LEVELS, Context
from oodbench.task import CAMERAS, GAP, Region, is_clear

ROOM = 0.05  # between an added object and anything else (m): the hand is wider than the fingers
CRAMPED = 0.005  # between a displaced object and the others, where there is no more room (m)
TABLE_AREA = ((-0.26, 0.15), (-0.34, 0.34))  # where objects may be added: x and y ranges (m)
REACH = ((-0.33, 0.16), (-0.34, 0.34))  # where things to be handled may be (m)
BEHIND = -0.19  # nearer to the robot than this the hand does not get behind a puck (m)
VISIBLE = 0.92  # share of the half picture in which added objects must have their middle
LANE = 0.09  # half the width of the way along which something is pushed (m)


def add(
    scene: Scene,
    context: Context,
    assets: Iterable[ObjectAsset],
    count: int,
    prefix: str,
    accept: Callable[[Object], bool] = lambda item: True,
) -> Scene:
    """The scene with `count` more objects, ids "<prefix>-1", ...: the first of `assets` that find a free place.

    accept: says of an object whether it may be where it is.

    Raises SpecError when there is no room for so many.
    """
    placed, added = scene.objects, 0
    for asset in assets:
        if added == count:
            break
        item = stand_clear(f"{prefix}-{added + 1}", asset, placed, scene, context, accept)
        if item is not None:  # one that finds no place makes way for the next
            placed, added = (*placed, item), added + 1
    if added < count:
        raise SpecError(f"{scene.key}: no room on the table for {count} more objects")
    return scene.but(objects=placed)


def stand_clear(
    id: str,
    asset: ObjectAsset,
    others: tuple[Object, ...],
    scene: Scene,
    context: Context,
    accept: Callable[[Object], bool] = lambda item: True,
) -> Object | None:
    """A place on the table away from everything else and in the training view, or None when there is none."""
    for room in (ROOM, ROOM / 2):
        for _ in range(200):
            x, y = (context.rng.uniform(low, high) for low, high in TABLE_AREA)
            item = Object(id=id, asset=asset.name, position=(x, y, 0.0), yaw=context.rng.uniform(-math.pi, math.pi))
            free = is_clear(item, others, room) and not in_lane(item, scene)
            if free and accept(item) and in_view(CAMERAS[0], item.position):
                return item
    return None


def in_view(camera: Camera, point: tuple[float, float, float]) -> bool:
    """Whether a camera of the room has `point` in its picture, and not at its very edge."""
    away = np.asarray(point) - camera.position
    depth, across, up = (dot(away, axis) / norm(axis) for axis in _axes(camera))
    edge = VISIBLE * depth * math.tan(math.radians(camera.fovy / 2))
    return bool(depth > 0 and abs(across) < edge and abs(up) < edge)


@lru_cache(maxsize=64)
def _axes(camera: Camera) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along the view of a camera, to its right and up, of any length: (3,) each, world frame."""
    forward = np.asarray(camera.target) - camera.position
    right = np.cross(forward, camera.up)
    return forward, right, np.cross(right, forward)


def in_lane(item: Object, scene: Scene) -> bool:
    """Whether `item` would stand in the way along which something is pushed or a drawer moves."""
    ways = []
    for condition in (Condition.parse(text, [o.id for o in scene.objects]) for text in scene.goal.success):
        name, ids = condition.name, [arg for arg in condition.args if isinstance(arg, str)]
        start = scene.object(ids[0])
        if name == "at":
            a, b = (np.array(scene.object(id).position[:2]) for id in ids)
            ways.append((a - 0.12 * (b - a) / max(norm(b - a), 1e-6), b))  # the hand comes from behind
        elif name in ("opened", "closed"):
            front = np.array([-math.cos(start.yaw), -math.sin(start.yaw)])
            ways.append((np.array(start.position[:2]) + 0.1 * front, np.array(start.position[:2]) + 0.32 * front))
    radius = OBJECTS.get(item.asset).radius
    return any(_distance(np.array(item.position[:2]), *way) < LANE + radius for way in ways)


def _distance(point: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    """From a point to a segment, (2,) each."""
    share = min(max(dot(point - a, b - a) / max(dot(b - a, b - a), 1e-9), 0.0), 1.0)
    return norm(point - (a + share * (b - a)))


def make_room(scene: Scene, id: str, context: Context) -> Scene:
    """The scene with object `id` moved, within its region, only if it is now too close to another."""
    item = scene.object(id)
    for _ in range(500):
        if is_clear(item, scene.objects):
            return scene.replace_object(id, position=item.position, yaw=item.yaw)
        x, y, yaw = context.task.named(id).region.sample(context.rng)
        item = item.but(position=(x, y, 0.0), yaw=yaw)
    raise SpecError(f"{scene.key}: no room for {item.asset}")


def outside(
    scene: Scene, item: Object, region: Region, beyond: float, turn: float, context: Context, others: tuple[Object, ...]
) -> Object:
    """`item` outside `region`, by `beyond` (m) and turned by up to `turn` (rad) for each level of severity.

    The direction is one that is free and in reach at every level, so that the levels of one episode lie on one line.
    """

    def moved(severity: float, along: np.ndarray, spin: float) -> Object:
        x, y = (
            c + math.copysign(h + beyond * severity, u) if abs(u) == 1.0 else c + h * u
            for c, h, u in zip(region.center, region.half, along, strict=True)
        )
        return item.but(position=(x, y, item.position[2]), yaw=item.yaw + math.copysign(turn * severity, spin))

    # In a crowded scene only where it will be, and at last as close to others as things can stand.
    for levels, gap in ((LEVELS, GAP), ((context.severity,), GAP), ((context.severity,), CRAMPED)):
        for _ in range(500):
            *along, spin = context.rng.uniform(-1, 1, 3)
            along = np.asarray(along) / np.abs(along).max()  # onto the border of a square
            if all(_free(moved(level, along, spin), others, gap) for level in levels):
                return moved(context.severity, along, spin)
    raise SpecError(f"{scene.key}: no free place for {item.asset} outside its region")


def displaced(scene: Scene, item: Object, step: float, context: Context, others: tuple[Object, ...]) -> Object:
    """`item` displaced in a random direction by `step` (m) for each level of severity; free and in reach at all."""

    def moved(severity: float, angle: float) -> Object:
        x, y, z = item.position
        way = step * severity
        return item.but(position=(x + way * math.cos(angle), y + way * math.sin(angle), z))

    for _ in range(500):
        angle = context.rng.uniform(-math.pi, math.pi)
        if all(_free(moved(level, angle), others) for level in LEVELS):
            return moved(context.severity, angle)
    raise SpecError(f"{scene.key}: no free place to move {item.asset} to")


def _free(item: Object, others: tuple[Object, ...], gap: float = GAP) -> bool:
    within = all(low <= x <= high for x, (low, high) in zip(item.position[:2], REACH, strict=True))
    cramped = OBJECTS.get(item.asset).kind == "puck" and item.position[0] < BEHIND
    return within and not cramped and is_clear(item, others, gap)


def shuffled(
    assets: list[ObjectAsset], context: Context, key: Callable[[ObjectAsset], int] = lambda asset: 0
) -> list[ObjectAsset]:
    """The assets in random order; those with a smaller `key` first."""
    order = [assets[i] for i in context.rng.permutation(len(assets))]
    return sorted(order, key=key)
