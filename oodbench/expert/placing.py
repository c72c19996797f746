"""Taking things and putting them somewhere: over a cone down to the thing, and over a cone down to its place.

The height of the hand over what it goes to grows with what is still missing aside and in direction, so that it comes
down as it gets there, rises again when it is pushed away, and nothing has to be remembered.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.exact import dot, norm
from oodbench.expert.expert import ROOM, Expert, skill
from oodbench.expert.hand import CAREFUL, CLOSE, FAST, OPEN, turn_between

PALM, HAND = 0.09, 0.105  # height of the palm over the fingertips; half the hand's width (m)
FINGERTIP = 0.025  # room for the fingertips over the top of what they come down on (m)
HOVER = 0.05  # the fingers come down on a thing from at least this far above its grasp (m)
EXACT = 0.006  # what may be missing aside where the cone ends (m),
TURNED = 0.1  # in direction (rad),
TURN_REACH = 0.06  # and how much a rad counts (m)
CLOSING = 0.012  # the fingers may close this far from the grasp, aside
DOWN = 0.012  # and in height (m)
KEPT = 0.022  # fingers that have begun to close go on to this distance (m)
SLIPPED = 0.025  # a handle farther than this from the grip is lost (m)
SLOPE = 1.5  # of the cones,
BESIDE = 0.03  # or such that they are over the top of what is tall when this much is missing (m)
START = 0.15  # share of the action range with which a movement begins
RAMP = 0.10  # over which height, or way aside, one movement fades into the next (m)
DESCENT = 0.4  # how much faster a descent may be that is over its end
AHEAD = 0.12  # what rolls is met where it will be then (s)
AWAY = 0.12  # the hand leaves what it put down until it is so far from it (m)


@skill("on")
def put_on(expert: Expert, item: str, support: str) -> np.ndarray:
    """On the middle of the support."""
    area = expert.world.asset(support).support
    assert area is not None, f"{support} has no support"
    done = expert.holds("on", item, support)
    return place(
        expert,
        item,
        expert.above(support, area.height),
        (support,),
        done,
        exact=_share_of(area.radius or min(area.half or (0.0,))),
    )


@skill("inside")
def put_in(expert: Expert, item: str, container: str) -> np.ndarray:
    """Dropped over the middle of the container, or over a side when something else is in it or is to come."""
    spot = free_spot(expert, item, container)
    cavity = expert.world.asset(container).cavity
    assert cavity is not None, f"{container} has no inside"
    exact = _share_of(cavity.radius)
    return place(expert, item, spot, (), expert.holds("inside", item, container), exact=exact, drop=True)


@skill("beside")
def put_beside(expert: Expert, item: str, anchor: str, x: float, y: float) -> np.ndarray:
    """On the table, in a direction from the anchor."""
    world = expert.world
    apart = world.asset(item).radius + world.asset(anchor).radius + 0.035
    top = world.position(anchor)[2] + world.asset(anchor).height
    if top > PALM:  # the hand itself must come down beside it
        across = abs(math.cos(expert.yaw()) * x + math.sin(expert.yaw()) * y)
        apart = max(apart, world.asset(anchor).radius + 0.01 + HAND * across)
    distance = min(max(apart, 0.10), 0.17)
    spot = np.array([*(expert.seen(anchor, world.center(anchor))[:2] + distance * np.array([x, y])), 0.0])
    done = expert.holds("beside", item, anchor, x, y)
    return place(expert, item, spot, (), done, exact=0.03, beside=top + ROOM)


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
    expert: Expert,
    item: str,
    spot: np.ndarray,
    involved: tuple[str, ...],
    done: bool,
    *,
    exact: float,
    drop: bool = False,
    beside: float = 0.0,
) -> np.ndarray:
    """Bring the underside of `item` to `spot` and let it go there.

    Args:
        expert: Whose hand and eyes.
        item: What is brought.
        spot: Where its underside should be, under its centre (m, world frame), (3,).
        involved: Things that need not be passed over: what it is put on.
        done: Whether it is where it should be.
        exact: How far aside of the spot is near enough (m).
        drop: Whether it may fall the rest of the way, from about the height of `spot`.
        beside: Height of something that stands close to the spot (m).
    """
    world = expert.world
    here = expert.heading()
    bottom = world.lowest_point(item)
    rest = spot[:2] - world.center(item)[:2] - (here - world.grip_position)[:2]
    aside, over = norm(rest), bottom - spot[2]
    if not has(expert, item):
        falling = aside < 2 * exact + CLOSING and (over > -0.2 if drop else over > -0.01) and over < 0.03
        gone = done or (falling and world.speed(item) > 0.02)
        return let_go(expert, item, spot[2]) if gone else take(expert, item)
    there = aside < 1.3 * exact + 0.004 and over < (0.03 if drop else 0.008)
    if there or (done and aside < 2 * exact + CLOSING):
        return let_go(expert, item, spot[2])
    low = spot[2] + (0.015 if drop else -0.008)
    cruise = max(expert.clear_height(item, *involved), spot[2] + 0.04)
    needed = low + min(max(SLOPE, (beside - low) / 0.05) * max(aside - exact, 0.0), cruise - low)
    point = here + np.array([*rest, needed - bottom])
    return _over(expert, point, expert.yaw(), CLOSE, _starting(bottom), needed)


def let_go(expert: Expert, item: str, level: float = 0.0) -> np.ndarray:
    """Open the fingers, leave upwards when they are off it, and rest.

    Args:
        expert: Whose hand and eyes.
        item: What is let go.
        level: Height that it is let go over at least (m).
    """
    world = expert.world
    free = 0.0 if world.held(item) else _open_share(expert) * (0.4 if world.touching_gripper(item) else 1.0)
    x, y, z = expert.grasp_point(item)
    up = norm(world.grip_position - np.array([x, y, max(z, level)]))
    rise = np.array([0.0, 0.0, max(AWAY - up, 0.0)])
    return expert.toward(expert.heading() + rise, expert.yaw(), OPEN, min(FAST, free * (START + 6.0 * up)))


def take(expert: Expert, item: str) -> np.ndarray:
    """Come down on `item` with open fingers, and close them on it."""
    world, asset = expert.world, expert.world.asset(item)
    grasp, yaw = expert.grasp_point(item), expert.grasp_yaw(item)
    grasp = grasp + AHEAD * world.velocity(item) * np.array([1.0, 1.0, 0.0])
    here = expert.heading()
    off = here - grasp
    aside, height = norm(off[:2]), float(off[2])
    turn = abs(turn_between(expert.yaw(), yaw))
    width = asset.grasp.width if asset.grasp else asset.joint.handle_width if asset.joint else 0.03
    gap, full = opening(expert), world.built.robot.opening
    tall = expert.highest_point(item) + FINGERTIP - grasp[2]
    exact = min(max((full - width) / 2 - 0.008, EXACT), 0.014)
    down = min(max(0.4 * (tall - FINGERTIP), DOWN), KEPT)  # what is tall is held a little higher as well
    near, low = (KEPT, max(KEPT, down)) if gap < 0.85 * full else (exact + 0.006, down)
    missed = gap < width - 0.008
    if aside < near and -low < height < low and turn < 0.25 and not missed:
        return expert.toward(grasp, yaw, CLOSE, CAREFUL)
    narrow = _clamp((min(width + 0.02, 0.95 * full) - gap) / 0.02)
    missing = max(aside - exact, 0.0) + TURN_REACH * max(turn - TURNED, 0.0) + 0.03 * narrow
    clear = max(HOVER, tall, expert.clear_height(item) + 0.02 - grasp[2])
    over = min(max(SLOPE, tall / BESIDE) * missing, clear)
    point = np.array([grasp[0], grasp[1], grasp[2] + over])
    return _over(expert, point, yaw, OPEN, FAST, over, _open_share(expert))


def has(expert: Expert, item: str) -> bool:
    """Whether the gripper has `item`: both fingers touch it, or a handle is between them."""
    world = expert.world
    caught = world.asset(item).joint is not None and world.grip_distance(item) < SLIPPED / 2
    between = expert.aside_of(expert.grasp_point(item)) < KEPT and world.lowest_point(item) > 0.005
    squeezed = opening(expert) < 0.97 * world.built.robot.opening
    return squeezed and (world.held(item) or ((caught or between) and world.touching_gripper(item)))


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


def _over(
    expert: Expert, point: np.ndarray, yaw: float, grip: float, speed: float, climb: float, free: float = 1.0
) -> np.ndarray:
    """Towards `point`: aside as far as the hand is high enough, and down as far as it is over it.

    climb: how much of a climb it can be (m); most of it comes before the way aside. free: share of the speed aside.
    """
    way = point - expert.heading()
    aside = free * _clamp(1.1 - way[2] / min(max(1.05 * climb, 0.02), RAMP))
    over = _clamp(1.0 - norm(way[:2]) / RAMP)
    return expert.toward(point, yaw, grip, speed, aside=aside, down=0.05 + DESCENT * over * over)


def _open_share(expert: Expert) -> float:
    """How open the fingers are, such that they can leave what was between them: from 0 to 1."""
    return _clamp((opening(expert) / expert.world.built.robot.opening - 0.5) / 0.4)


def _starting(height: float) -> float:
    """Speed limit of a movement that began on the table: the higher, the faster."""
    return min(FAST, START + 20.0 * max(height, 0.0))


def _share_of(radius: float) -> float:
    """How exactly a thing is put on or into something of this size (m)."""
    return min(max(0.3 * radius, EXACT), 0.02)


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
