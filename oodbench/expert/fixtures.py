"""Moving what is fixed to the table: drawers, buttons and knobs.

How fast the hand moves is decided by how far the joint has come, so that it starts gently and is slow where it turns
round. What grips and what has slipped is told from the opening of the fingers, not from contact, which flickers.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.exact import dot, norm
from oodbench.expert.expert import AWAY, Expert, skill
from oodbench.expert.hand import CLOSE, FAST, OPEN, turn_between
from oodbench.expert.placing import opening

FINGER = 0.02  # from the point between the fingertips to what the fingers push (m)
BEFORE = 0.04  # the hand gets in line at this distance from the handle that it is to push (m)
SPARE = 0.08  # share of the range that a joint is moved farther than it must
GENTLE, FASTER = 0.08, 4.5  # speed limit: share of the action range at no distance, and by how much it grows (1/m)
SLOPE = 1.5  # of the cone over a handle
HANDS_UP = math.pi / 2  # direction along which the fingers close when the wrist has as much room to either side (rad)
PULLING = 0.45  # speed limit of a hand that holds a handle, as a share of the action range
NARROWING = 0.06  # height over which a hand that is too low is kept from going aside (m)


@skill("opened")
def pull_open(expert: Expert, cabinet: str, share: float) -> np.ndarray:
    """By its handle."""
    world = expert.world
    joint, wanted = world.joint(cabinet), min(share + SPARE, 0.97)
    hold = _hold(expert, cabinet)
    if joint >= wanted or (joint >= share and not hold):
        return _leave(expert, cabinet)
    if not hold:
        return _grasp(expert, cabinet, expert.grasp_yaw(cabinet))
    out = -world.rotation(cabinet)[:, 0]
    rest = (wanted - joint) * world.asset(cabinet).joint.range + 0.016
    aim = world.grasp_point(cabinet) + hold * rest * out
    return expert.toward(aim, expert.grasp_yaw(cabinet), CLOSE, min(0.2 + 0.8 * max(joint, 0.0), PULLING))


@skill("turned")
def turn(expert: Expert, knob: str, share: float) -> np.ndarray:
    """By its bar."""
    world = expert.world
    joint, wanted = world.joint(knob), min(share + SPARE, 0.97)
    hold = _hold(expert, knob)
    if joint >= wanted or (joint >= share and not hold):
        return _leave(expert, knob)
    yaw = _bar_yaw(expert, knob)
    if not hold:
        return _grasp(expert, knob, yaw)
    rest = (wanted - joint) * world.asset(knob).joint.range + 0.15
    return expert.toward(world.grasp_point(knob), yaw + hold * rest, CLOSE, min(0.2 + 0.6 * max(joint, 0.0), PULLING))


@skill("pressed")
def press(expert: Expert, button: str, share: float) -> np.ndarray:
    """With the closed fingers, from above."""
    world = expert.world
    top = expert.seen(button, world.grasp_point(button))
    here = expert.heading()
    if expert.holds("pressed", button, share):
        return _go(expert, here + np.array([0.0, 0.0, 0.008 + max(here[2] - top[2], 0.0)]), expert.yaw(), CLOSE)
    aside, high = norm((here - top)[:2]), float(here[2] - top[2])
    missing = max(aside - 0.008, 0.0) + 0.5 * opening(expert)
    over = min(SLOPE * missing, expert.clear_height() + 0.02 - top[2])
    return _go(expert, np.array([*top[:2], top[2] + over - 0.01]), expert.yaw(), CLOSE, over - high)


@skill("closed")
def push_shut(expert: Expert, cabinet: str) -> np.ndarray:
    """Against its handle, with the closed fingers."""
    world = expert.world
    inward, across = world.rotation(cabinet)[:, 0], world.rotation(cabinet)[:, 1]
    handle, yaw = expert.seen(cabinet, world.grasp_point(cabinet)), expert.grasp_yaw(cabinet)
    here = expert.heading()
    way = handle - here
    ahead, side, high = dot(way, inward), dot(way, across), -float(way[2])
    if expert.holds("closed", cabinet):
        away = np.array([0.0, 0.0, 1.0]) - _clamp(ahead / FINGER) * inward
        return _go(expert, here + (0.01 + max(norm(way) - FINGER, 0.0)) * away, expert.yaw(), CLOSE)
    behind = max(0.015 - ahead, 0.0)
    missing = max(abs(side) - 0.01, 0.0) + 1.3 * behind + 0.2 * opening(expert)
    over = min(missing, expert.clear_height() + 0.01 - handle[2])
    aligned = _clamp(1.0 - (max(abs(side) - 0.01, 0.0) + max(high - 0.006, 0.0) + 2 * behind) / 0.03)
    rest = ahead - FINGER + world.joint(cabinet) * world.asset(cabinet).joint.range + 0.01
    forth = aligned * min(rest, 0.05) + (1 - aligned) * (ahead - BEFORE)
    aim = here + forth * inward + side * across
    aim[2] = handle[2] + over - 0.006
    return _go(expert, aim, yaw, CLOSE, over - high)


def _go(
    expert: Expert, aim: np.ndarray, yaw: float, grip: float, deficit: float = 0.0
) -> np.ndarray:
    """Towards `aim`, the slower the nearer; aside only as far as the hand is high enough. deficit: what is missing (m)."""
    speed = GENTLE + FASTER * norm(aim - expert.heading())
    return expert.toward(aim, yaw, grip, min(speed, FAST), aside=_clamp(1.25 - deficit / NARROWING))


def _grasp(expert: Expert, item: str, yaw: float) -> np.ndarray:
    """Down on a handle with open fingers, and close them on it."""
    world, asset = expert.world, expert.world.asset(item)
    grasp = expert.seen(item, world.grasp_point(item))
    here, gap, width = expert.heading(), opening(expert), asset.joint.handle_width
    aside, high = norm((here - grasp)[:2]), float(here[2] - grasp[2])
    turn = abs(turn_between(expert.yaw(), yaw))
    if _between(expert, item) and turn < 0.25:
        return _go(expert, grasp, yaw, CLOSE)
    narrow = _clamp((width + 0.03 - gap) / 0.02)
    missing = max(aside - 0.008, 0.0) + 0.06 * max(turn - 0.1, 0.0) + 0.03 * narrow
    over = min(SLOPE * missing, max(expert.clear_height(item), world.position(item)[2] + asset.height + 0.025) - grasp[2])
    return _go(expert, np.array([*grasp[:2], grasp[2] + over]), yaw, OPEN, over - high)


def _leave(expert: Expert, item: str) -> np.ndarray:
    """Open the fingers, and go straight up when they are off the handle, which stays in the middle between them."""
    grasp = expert.world.grasp_point(item)
    full = expert.world.built.robot.opening
    free = _clamp((opening(expert) - 0.5 * full) / (0.4 * full))
    here = expert.heading()
    up = norm(here - grasp)
    aim = np.array([*grasp[:2], here[2] + min(0.02 + up, max(AWAY + 0.01 - up, 0.0))])
    return _go(expert, here + free * (aim - here), expert.yaw(), OPEN)


def _in_hand(expert: Expert, item: str) -> tuple[float, float, float]:
    """Where a handle is between the fingers: from the nearer finger, along the fingers' faces, and below the grip (m)."""
    world = expert.world
    site = world.data.site_xmat[world.built.grip_site].reshape(3, 3)
    way = world.grasp_point(item) - world.grip_position
    across, along, below = (dot(way, site[:, axis]) for axis in range(3))
    one, other = world.data.qpos[world.built.finger_qpos]
    return min(across + one, -other - across), abs(along), below


def _between(expert: Expert, item: str) -> bool:
    """Whether the fingers may close on a handle; when they have begun to, it may be farther off."""
    inside, along, below = _in_hand(expert, item)
    gap, width = opening(expert), expert.world.asset(item).joint.handle_width
    near = 0.017 if gap < 0.85 * expert.world.built.robot.opening else 0.011
    return inside > min(width / 2, 0.008) - 0.004 and along < near and abs(below) < near and gap > width - 0.006


def _hold(expert: Expert, item: str) -> float:
    """How well the fingers hold a handle, from 0 to 1: they are as wide as it is, and near its middle."""
    if not _between(expert, item):
        return 0.0
    _, along, below = _in_hand(expert, item)
    width = expert.world.asset(item).joint.handle_width
    narrow = _clamp((width + 0.014 - opening(expert)) / 0.008)
    return narrow * _clamp((0.016 - along) / 0.012) * _clamp((0.017 - abs(below)) / 0.008)


def _bar_yaw(expert: Expert, knob: str) -> float:
    """Direction along which to close the fingers on the bar of a knob.

    Of the two that are equal to the fingers, that from which the turn leaves the wrist near the middle of its range.
    """
    world, joint = expert.world, expert.world.asset(knob).joint
    x = world.rotation(knob)[:, 0]
    start = math.atan2(x[1], x[0]) + joint.handle_yaw
    middle = start + joint.range / 2
    start += math.remainder(middle - HANDS_UP, math.pi) + HANDS_UP - middle
    return start + world.joint(knob) * joint.range


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
