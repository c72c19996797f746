"""Moving what is fixed to the table: drawers, buttons and knobs.

How fast the hand moves is decided by how far the joint has come, so that it starts gently and is slow where it turns
round. What grips and what has slipped is told from the opening of the fingers, not from contact, which flickers.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.catalogue import Joint
from oodbench.exact import dot, norm
from oodbench.expert.expert import Expert, skill
from oodbench.expert.hand import CLOSE, FAST, OPEN, turn_between
from oodbench.expert.placing import AWAY, opening

FINGER = 0.02  # from the point between the fingertips to what the fingers push (m)
FREE = 0.05  # the fingers are over a handle when the grip is so much higher (m)
HELD = 0.01  # between fingers that are wider apart may be something (m)
BEFORE = 0.04  # the hand gets in line at this distance from the handle that it is to push (m)
SPARE = 0.08  # share of the range that a joint is moved farther than it must
GENTLE, FASTER = 0.09, 4.0  # speed limit: share of the action range at no distance, and by how much it grows (1/m)
SLOPE = 1.3  # of the cone over a handle
HANDS_UP = math.pi / 2  # direction along which the fingers close when the wrist has as much room to either side (rad)
DEEPER = 0.004  # the middle of a drawer's handle is so much nearer to the front of the fingers (m)
PULLING = 0.27  # speed limit of a hand that holds a handle, as a share of the action range
NARROWING = 0.06  # height over which a hand that is too low is kept from going aside (m)


@skill("opened")
def pull_open(expert: Expert, cabinet: str, share: float) -> np.ndarray:
    """By its handle."""
    world = expert.world
    joint, wanted = world.joint(cabinet), min(share + SPARE, 0.97)
    out, yaw = -world.rotation(cabinet)[:, 0], expert.grasp_yaw(cabinet)
    grasp = expert.seen(cabinet, world.grasp_point(cabinet)) - DEEPER * out
    hold = _hold(expert, cabinet, grasp)
    if joint >= wanted or (joint >= share and not hold):
        return _leave(expert, cabinet)
    if not hold:
        return _grasp(expert, cabinet, grasp, yaw)
    coming = dot(expert.heading() - world.grip_position, out)
    rest = (wanted - joint) * _joint(expert, cabinet).range + 0.016 - coming
    speed = GENTLE + hold * min(0.12 + 0.8 * max(joint, 0.0), PULLING)
    off = grasp - expert.heading()
    aim = grasp + (hold * rest - dot(off, out)) * out
    return expert.toward(aim, yaw, CLOSE, speed)


@skill("turned")
def turn(expert: Expert, knob: str, share: float) -> np.ndarray:
    """By its bar."""
    world = expert.world
    joint, wanted = world.joint(knob), min(share + SPARE, 0.97)
    grasp, yaw = expert.seen(knob, world.grasp_point(knob)), _bar_yaw(expert, knob)
    hold = _hold(expert, knob, grasp)
    if joint >= wanted or (joint >= share and not hold):
        return _leave(expert, knob)
    if not hold:
        return _grasp(expert, knob, grasp, yaw)
    rest = (wanted - joint) * _joint(expert, knob).range + 0.15
    speed = GENTLE + hold * min(0.12 + 0.6 * max(joint, 0.0), PULLING)
    return expert.toward(grasp, yaw + hold * rest, CLOSE, speed)


@skill("pressed")
def press(expert: Expert, button: str, share: float) -> np.ndarray:
    """With the closed fingers, from above."""
    world = expert.world
    top = expert.seen(button, world.grasp_point(button))
    here = expert.heading()
    if expert.holds("pressed", button, share):
        return _go(expert, here + np.array([0.0, 0.0, _retreat(norm(here - top))]), expert.yaw(), CLOSE)
    aside, high = norm((here - top)[:2]), float(here[2] - top[2])
    missing = max(aside - 0.008, 0.0) + 0.5 * opening(expert)
    over = min(SLOPE * missing, expert.clear_height() + 0.02 - top[2])
    return _go(expert, np.array([*top[:2], top[2] + over - 0.016]), expert.yaw(), CLOSE, over - high)


@skill("closed")
def push_shut(expert: Expert, cabinet: str) -> np.ndarray:
    """Against its handle, with the closed fingers."""
    world = expert.world
    inward, across = world.rotation(cabinet)[:, 0], world.rotation(cabinet)[:, 1]
    handle = expert.seen(cabinet, world.grasp_point(cabinet))
    here, way = expert.heading(), handle - world.grip_position
    ahead, side, high = dot(way, inward), dot(way, across), -float(way[2])
    if expert.holds("closed", cabinet):
        away = np.array([0.0, 0.0, 1.0]) - _clamp(ahead / FINGER) * inward
        holding = opening(expert) > HELD and norm(way) < 0.06
        return _go(expert, here + _retreat(norm(way) - FINGER) * away, expert.yaw(), OPEN if holding else CLOSE)
    inside, along, _ = _in_hand(expert, handle)
    wide = opening(expert) > _joint(expert, cabinet).handle_width - 0.003
    held = wide and inside > 0.002 and along < 0.016 and high < 0.02
    behind = 0.0 if held else max(0.010 - ahead, 0.0)
    level = _clamp((high - 0.012) / 0.006) * _clamp((0.045 - high) / 0.015)
    perched = 0.0 if held else level * _clamp((0.019 - ahead) / 0.004)
    missing = max(abs(side) - 0.015, 0.0) + 1.3 * behind + 0.2 * opening(expert)
    clear = expert.clear_height() + 0.01 - handle[2]
    over = min(missing, clear)
    aligned = _clamp(1.0 - (max(abs(side) - 0.01, 0.0) + max(high - 0.006, 0.0) + 6 * behind) / 0.05) * (1 - perched)
    coming = dot(here - world.grip_position, inward)
    rest = world.joint(cabinet) * _joint(expert, cabinet).range + 0.01 + (0.0 if held else ahead - FINGER) - coming
    forth = aligned * min(rest, 0.045) + (1 - aligned) * (ahead - BEFORE - coming)
    loose = _freed(min(1.3 * behind, clear - 0.01) - high)
    aim = here + loose * (forth * inward + dot(handle - here, across) * across)
    aim[2] = handle[2] + over - 0.006
    aim[2] = max(aim[2], here[2] - 0.05 * (1 - perched))  # pressed down, it would stay on the handle
    yaw = expert.yaw() + loose * turn_between(expert.yaw(), expert.grasp_yaw(cabinet))
    caught = behind > 0.005 and high < FREE  # what is between the fingers would keep them from leaving
    return _go(expert, aim, yaw, OPEN if caught else CLOSE, over - high)


def _go(expert: Expert, aim: np.ndarray, yaw: float, grip: float, deficit: float = 0.0) -> np.ndarray:
    """Towards `aim`, the slower the nearer; the less aside, the more height is missing. deficit: of height (m)."""
    speed = GENTLE + FASTER * norm(aim - expert.heading())
    return expert.toward(aim, yaw, grip, min(speed, FAST), aside=_clamp(1.25 - deficit / NARROWING))


def _grasp(expert: Expert, item: str, grasp: np.ndarray, yaw: float) -> np.ndarray:
    """Down on a handle with open fingers, and close them on it.

    Along their faces, open fingers may slide over the handle; from elsewhere they come down over a cone.
    """
    world, asset = expert.world, expert.world.asset(item)
    if _between(expert, item, grasp) and abs(turn_between(expert.yaw(), yaw)) < 0.25:
        return _go(expert, grasp, yaw, CLOSE)
    here, gap, width = expert.heading(), opening(expert), _joint(expert, item).handle_width
    high, turn = float(here[2] - grasp[2]), abs(turn_between(expert.yaw(), yaw))
    across = np.array([math.cos(yaw), math.sin(yaw), 0.0])
    off = (grasp - here) * np.array([1.0, 1.0, 0.0])
    side = dot(off, across) * across
    narrow = _clamp((width + 0.03 - gap) / 0.02)
    shut = narrow * _clamp((FREE - high) / 0.02)
    missing = max(norm(side) - 0.01, 0.0) + max(norm(off - side) - 0.015, 0.0) + 0.06 * max(turn - 0.1, 0.0)
    over = SLOPE * missing + narrow * _clamp((high - 0.01) / 0.02) * 0.03
    over = min(over, max(expert.clear_height(item), world.position(item)[2] + asset.height + 0.025) - grasp[2])
    aim = here + _freed(min(over, FREE) - high) * (side + (1 - shut) * (off - side))
    aim[2] = grasp[2] + over
    return _go(expert, aim, yaw, OPEN, over - high)


def _freed(deficit: float) -> float:
    """How fast a hand goes aside that lacks this height (m) over what it may be caught in: pushed, it would jam."""
    return _clamp(1.2 - deficit / 0.025)


def _leave(expert: Expert, item: str) -> np.ndarray:
    """Open the fingers, and go straight up when they are off the handle, which stays in the middle between them."""
    grasp = expert.world.grasp_point(item)
    full = expert.world.built.robot.opening
    free = _clamp((opening(expert) - 0.5 * full) / (0.4 * full))
    here = expert.heading()
    rise = free * _retreat(norm(here - grasp))
    inside, along, _ = _in_hand(expert, grasp)
    within = _clamp(1 + inside / 0.01) * _clamp((0.03 - along) / 0.01)
    aim = here + within * min(rise / 0.02, 1.0) * (grasp - here)
    aim[2] = here[2] + rise
    return _go(expert, aim, expert.yaw(), OPEN)


def _retreat(distance: float) -> float:
    """How much farther to go from what the hand has left behind and is so far from (m)."""
    return min(0.012 + 0.6 * max(distance, 0.0), max(AWAY - distance, 0.0))


def _in_hand(expert: Expert, grasp: np.ndarray) -> tuple[float, float, float]:
    """Where a point is in the hand: from the nearer finger inwards, along the fingers' faces, and in height (m)."""
    world = expert.world
    site = world.data.site_xmat[world.built.grip_site].reshape(3, 3)
    way = grasp - world.grip_position
    across, along, below = (dot(way, site[:, axis]) for axis in range(3))
    one, other = world.data.qpos[world.built.finger_qpos]
    return min(across + one, -other - across), abs(along), abs(below)


def _between(expert: Expert, item: str, grasp: np.ndarray) -> bool:
    """Whether the fingers may close on a handle: the narrower they are, the farther off it may be."""
    inside, along, height = _in_hand(expert, grasp)
    gap, width = opening(expert), _joint(expert, item).handle_width
    shut = _clamp(1 - (gap - width) / 0.06)
    if inside < min(width / 2, 0.008) - 0.004 or gap < width - 0.006:
        return False
    return along < 0.008 + 0.004 * shut and height < 0.011 + 0.006 * shut


def _hold(expert: Expert, item: str, grasp: np.ndarray) -> float:
    """How well the fingers hold a handle, from 0 to 1: they are as wide as it is, and near its middle."""
    if not _between(expert, item, grasp):
        return 0.0
    _, along, height = _in_hand(expert, grasp)
    loose = opening(expert) - _joint(expert, item).handle_width
    return _clamp((0.016 - loose) / 0.013) * _clamp((0.015 - along) / 0.008) * _clamp((0.017 - height) / 0.008)


def _bar_yaw(expert: Expert, knob: str) -> float:
    """Direction along which to close the fingers on the bar of a knob.

    Of the two that are equal to the fingers, that from which the turn leaves the wrist near the middle of its range.
    """
    world, joint = expert.world, _joint(expert, knob)
    x = world.rotation(knob)[:, 0]
    start = math.atan2(x[1], x[0]) + joint.handle_yaw
    middle = start + joint.range / 2
    start += math.remainder(middle - HANDS_UP, math.pi) + HANDS_UP - middle
    return start + world.joint(knob) * joint.range


def _joint(expert: Expert, item: str) -> Joint:
    """What moves on a thing."""
    joint = expert.world.asset(item).joint
    assert joint is not None, f"{item} has nothing that moves"
    return joint


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
