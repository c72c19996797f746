"""Taking things and putting them somewhere: over a cone down to the thing, and over a cone down to its place.

The height of the hand over what it goes to grows with what is still missing aside and in direction, so that it comes
down as it gets there, rises again when it is pushed away, and nothing has to be remembered.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.exact import dot, norm
from oodbench.expert.expert import AWAY, Expert, skill
from oodbench.expert.hand import CAREFUL, CLOSE, FAST, OPEN, turn_between

FINGERTIP = 0.025  # room for the fingertips over the top of what they come down on (m)
HOVER = 0.05  # the fingers come down on a thing from at least this far above its grasp (m)
EXACT = 0.006  # what may be missing aside where the cone ends (m),
TURNED = 0.1  # in direction (rad),
TURN_REACH = 0.06  # and how much a rad counts (m)
CLOSING = 0.012  # the fingers may close this far from the grasp, aside
DOWN = 0.010  # and in height (m)
KEPT = 0.022  # fingers that have begun to close go on to this distance (m)
SLIPPED = 0.025  # a handle farther than this from the grip is lost (m)
SLOPE = 1.5  # of the cones,
BESIDE = 0.03  # or such that they are over the top of what is tall when this much is missing (m)
START = 0.2  # share of the action range with which a movement begins


@skill("on")
def put_on(expert: Expert, item: str, support: str) -> np.ndarray:
    """On the middle of the support."""
    area = expert.world.asset(support).support
    assert area is not None, f"{support} has no support"
    return place(expert, item, expert.above(support, area.height), (support,), expert.holds("on", item, support))


@skill("inside")
def put_in(expert: Expert, item: str, container: str) -> np.ndarray:
    """Dropped over the middle of the container, or over a side when something else is in it or is to come."""
    spot = free_spot(expert, item, container)
    return place(expert, item, spot, (), expert.holds("inside", item, container), drop=True)


@skill("beside")
def put_beside(expert: Expert, item: str, anchor: str, x: float, y: float) -> np.ndarray:
    """On the table, in a direction from the anchor."""
    world = expert.world
    apart = world.asset(item).radius + world.asset(anchor).radius + 0.02
    distance = min(max(apart, 0.10), 0.17)
    spot = np.array([*(expert.seen(anchor, world.center(anchor))[:2] + distance * np.array([x, y])), 0.0])
    return place(expert, item, spot, (), expert.holds("beside", item, anchor, x, y))


@skill("raised")
def lift(expert: Expert, item: str, height: float) -> np.ndarray:
    """Straight up, and held there."""
    world = expert.world
    if not has(expert, item):
        return take(expert, item)
    rest = height + 0.02 - float(world.position(item)[2] - world.initial_position(item)[2])
    up = expert.heading() + np.array([0.0, 0.0, rest])
    return expert.toward(up, expert.yaw(), CLOSE, _starting(world.lowest_point(item)))


def place(
    expert: Expert, item: str, spot: np.ndarray, involved: tuple[str, ...], done: bool, drop: bool = False
) -> np.ndarray:
    """Bring the underside of `item` to `spot` and let it go there.

    Args:
        expert: Whose hand and eyes.
        item: What is brought.
        spot: Where its underside should be, under its centre (m, world frame), (3,).
        involved: Things that need not be passed over: what it is put on.
        done: Whether it is where it should be.
        drop: Whether it may fall the rest of the way, from about the height of `spot`.
    """
    world = expert.world
    here = expert.heading()
    center, bottom = world.center(item), world.lowest_point(item)
    rest = spot[:2] - center[:2] - (here - world.grip_position)[:2]
    aside, over = norm(rest), bottom - spot[2]
    there = aside < CLOSING and over < (0.03 if drop else 0.008)
    if not has(expert, item):
        falling = aside < 2 * CLOSING and -0.2 * drop - 0.01 < over < 0.03 and world.speed(item) > 0.02
        return let_go(expert, item) if done or falling else take(expert, item)
    if (done and world.speed(item) < 0.1 and not drop) or there or (drop and done and aside < 2 * CLOSING):
        return let_go(expert, item)
    cruise = max(expert.clear_height(item, *involved), spot[2] + 0.04)
    low = spot[2] + (0.015 if drop else -0.004)
    needed = low + min(SLOPE * max(aside - EXACT, 0.0), cruise - low)
    point = here + np.array([*rest, needed - bottom])
    return _over(expert, point, expert.yaw(), CLOSE, needed - bottom, _starting(bottom - 0.0))


def let_go(expert: Expert, item: str) -> np.ndarray:
    """Open the fingers, and leave upwards when they are off it."""
    world = expert.world
    free = _clamp((opening(expert) - 0.5 * world.built.robot.opening) / (0.4 * world.built.robot.opening))
    if world.touching_gripper(item):
        free = 0.0
    up = norm(world.grip_position - expert.grasp_point(item))
    speed = free * (START + 8.0 * up)
    rise = free * max(AWAY + 0.02 - up, 0.0)
    return expert.toward(expert.heading() + np.array([0.0, 0.0, rise]), expert.yaw(), OPEN, min(speed, FAST))


def take(expert: Expert, item: str) -> np.ndarray:
    """Come down on `item` with open fingers, and close them on it."""
    world, asset = expert.world, expert.world.asset(item)
    grasp, yaw = expert.grasp_point(item), expert.grasp_yaw(item)
    here = expert.heading()
    off = here - grasp
    aside, height = norm(off[:2]), float(off[2])
    turn = abs(turn_between(expert.yaw(), yaw))
    width = asset.grasp.width if asset.grasp else asset.joint.handle_width if asset.joint else 0.03
    gap, full = opening(expert), world.built.robot.opening
    near, low = (KEPT, KEPT) if gap < 0.85 * full else (CLOSING, DOWN)
    missed = gap < width - 0.008
    if aside < near and -low < height < low and turn < 0.25 and not missed:
        return expert.toward(grasp, yaw, CLOSE, CAREFUL)
    narrow = _clamp((min(width + 0.02, 0.95 * full) - gap) / 0.02)
    missing = max(aside - EXACT, 0.0) + TURN_REACH * max(turn - TURNED, 0.0) + 0.03 * narrow
    tall = world.position(item)[2] + asset.height + FINGERTIP - grasp[2]
    clear = max(HOVER, tall, expert.clear_height(item) + 0.02 - grasp[2])
    over = min(max(SLOPE, tall / BESIDE) * missing, clear)
    point = np.array([grasp[0], grasp[1], grasp[2] + over])
    return _over(expert, point, yaw, OPEN, over - height, FAST)


def has(expert: Expert, item: str) -> bool:
    """Whether the gripper has `item`: both fingers touch it, or a handle is between them."""
    world = expert.world
    caught = world.asset(item).joint is not None and world.grip_distance(item) < SLIPPED / 2
    between = expert.aside_of(expert.grasp_point(item)) < KEPT and world.lowest_point(item) > 0.005
    return world.held(item) or ((caught or between) and world.touching_gripper(item))


def opening(expert: Expert) -> float:
    """The distance between the fingers (m)."""
    left, right = expert.world.data.qpos[expert.world.built.finger_qpos]
    return float(left - right)


def free_spot(expert: Expert, item: str, container: str) -> np.ndarray:
    """Where to let `item` go over a container: in the middle, or to one side of what is in it or is to come."""
    world, cavity = expert.world, expert.world.asset(container).cavity
    assert cavity is not None, f"{container} has no inside"
    spot = expert.above(container, cavity.rim + 0.005)
    others = [id for id in world.scene.goal.manipulated if id != item]
    if others:
        there = np.mean([world.center(id) for id in others], axis=0)
        along = world.rotation(container)[:, 0]
        side = -math.copysign(1.0, dot(there - spot, along))
        spot = spot + 0.55 * cavity.radius * side * along
    return spot


def _over(expert: Expert, point: np.ndarray, yaw: float, grip: float, deficit: float, speed: float) -> np.ndarray:
    """Towards `point`, aside only as far as the hand is high enough. deficit: height that is missing (m)."""
    return expert.toward(point, yaw, grip, speed, aside=_clamp(1.25 - deficit / 0.06))


def _starting(height: float) -> float:
    """Speed limit of a movement that began on the table: the higher, the faster."""
    return min(FAST, START + 15.0 * max(height, 0.0))


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
