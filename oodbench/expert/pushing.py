"""Pushing a thing along the table: over a cone to the point behind it, and from there straight on.

Where the hand goes depends on where it is as seen from the thing, on the line from the thing to its place: what is
missing to be behind it on this line and turned says how high the hand must be; the less is missing, and the lower it
is, the more it goes forward. Near the table all of it is slow, so that a small push changes what it does by little.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.convention import POSITION_SCALE
from oodbench.exact import dot, norm, total
from oodbench.expert.expert import LOW, Expert, skill
from oodbench.expert.hand import turn_between
from oodbench.expert.placing import opening
from oodbench.sim.control import GRIPPER_RATE

FINGER = 0.013  # from the point between the fingertips to the front of the fingers (m)
GAP = 0.05  # between the fingers, which cradle what they push: wide open ones wedge it, and carry it away (m)
GRIP_GAIN = 0.5  # share of what is missing to this gap that is asked for in a control step
GAIN, UP_GAIN = 0.35, 0.4  # the same of what is missing in the plane and in height
STEER = 0.3  # share of the hand's offset from the line that the fingers take back while they push
FAST, PUSH, APPROACH = 0.7, 0.35, 0.17  # speed limits, as shares of the action range: in the air, pushing, before that
BACK, DOWN = 0.07, 0.25  # backwards and in height, near the table,
BACK_RISE, DOWN_RISE = 8.0, 4.0  # and how much more for each metre over NEAR
NEAR = 0.04  # (m)
SLOPE = 1.3  # of the cone
BEHIND = 0.03  # the fingers come down this far behind (m),
FAR = 0.05  # or this much farther (m)
OVERLAP = 0.006  # what they push may be this far between the fingers (m)
CORRIDOR = 0.03  # half the width of the line on which they need not rise, where they touch (m)
STRAIGHT, ASIDE = 0.02, 0.07  # offsets from the line at which the hand goes forward freely, and no more (m)
TURNED, TURN_REACH = 0.15, 0.06  # what may be missing in direction (rad), and how much a rad counts (m)
READY = 0.05  # with this much missing the hand does not go forward (m)
FLAT = 0.031  # up to this height it goes forward freely (m); the higher, the less, the sooner the nearer it is
STOP, LEAVE = 0.015, 0.044  # distances to the middle of the zone to slow down to, and from which on to rise (m)
BED = 0.006  # what pushes needs not go down by this much: pressing on the table it would jam (m)
STEADY = 0.03  # nearer to the zone than this the line turns to where the hand pushes anyway (m)


@skill("at")
def push_to(expert: Expert, item: str, zone: str) -> np.ndarray:
    """Along the line to the middle of the zone, and up again when it is there."""
    world = expert.world
    thing, mark = expert.seen(item, world.center(item))[:2], expert.seen(zone, world.position(zone))[:2]
    here = expert.heading()
    height = float(here[2])
    rest = norm(mark - thing)
    pushed = thing - here[:2]
    line = mark - thing + max(STEADY - rest, 0.0) / max(norm(pushed), 0.01) * pushed
    way = line / max(norm(line), 1e-6)
    side = np.array([-way[1], way[0]])
    across = dot(-pushed, side)
    between = math.sqrt(max(world.asset(item).radius ** 2 - GAP**2 / 4, 0.0))  # how deep the cradle takes a disc
    before = dot(pushed, way) - FINGER - between
    # Where actions are still on their way, what is pushed will have moved as well when they are done.
    coming = max(min(before + dot(here[:2] - world.grip_position[:2], way), 0.0) - before, 0.0)
    before, rest = before + coming, max(rest - coming, 0.0)
    yaw, gap = expert.equal_yaw(math.atan2(side[1], side[0])), opening(expert)
    gap -= GRIPPER_RATE * world.built.robot.opening * total(expert.pending()[:, 6])
    gap = min(max(gap, 0.0), world.built.robot.opening)

    missing = (
        max(-before - OVERLAP, 0.0)
        + max(before - BEHIND - FAR, 0.0)
        + max(abs(across) - CORRIDOR - max(before, 0.0), 0.0)
        + TURN_REACH * max(abs(turn_between(expert.yaw(), yaw)) - TURNED, 0.0)
        + 0.5 * max(abs(gap - GAP) - 0.012, 0.0)
    )
    if expert.holds("at", item, zone):
        missing += 2.0 * max(LEAVE - rest, 0.0)
    close = _clamp(1.0 - before / BEHIND)
    low = min(max(height, LOW), LOW + BED * close)
    needed = low + min(SLOPE * missing, expert.clear_height() - LOW)
    share = _clamp(1.25 - (needed - height) / 0.06)  # of the way aside that the height allows
    high = max(height - FLAT, 0.0) / max(0.016 + 1.6 * before, 0.01)
    ready = _clamp(1.0 - missing / READY) * _clamp(1.0 - high) * _clamp((ASIDE - abs(across)) / (ASIDE - STRAIGHT))

    over = max(height - NEAR, 0.0)
    back = (BACK + BACK_RISE * over) * POSITION_SCALE
    on = min(GAIN * (rest - STOP + max(before, 0.0)), (APPROACH + (PUSH - APPROACH) * close) * POSITION_SCALE)
    ahead = ready * on + (1.0 - ready) * _within(share * GAIN * (before - BEHIND), back)
    pushing = ready * _clamp(1.0 - before / 0.02)
    aside = -across * (pushing * STEER + (1.0 - pushing) * share * GAIN)
    up = _within(UP_GAIN * (needed - height), min(DOWN + DOWN_RISE * over, 0.45) * POSITION_SCALE)
    step = np.array([*(ahead * way + aside * side), up])
    grip = _within((gap - GAP) / 0.04 * GRIP_GAIN, 1.0)
    return expert.by(step, yaw, grip, FAST)


def _within(x: float, bound: float) -> float:
    return min(max(x, -bound), bound)


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
