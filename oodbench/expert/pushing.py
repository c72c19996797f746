"""Pushing a thing along the table: over a cone to the point behind it, and from there straight on.

Where the hand goes depends on where it is as seen from the thing, on the line from the thing to its place: what is
missing to be behind it on this line, low and turned, says how high the hand must be; the less is missing, the more the
hand goes forward.
"""

from __future__ import annotations

import math

import numpy as np

from oodbench.convention import POSITION_SCALE
from oodbench.exact import dot, norm
from oodbench.expert.expert import LOW, Expert, skill
from oodbench.expert.hand import OPEN, turn_between
from oodbench.expert.placing import opening

FINGER = 0.013  # from the point between the fingertips to the front of the fingers (m)
GAP = 0.05  # between the fingers, which cradle what they push: wide open ones wedge it, and carry it away (m)


@skill("at")
def push_to(expert: Expert, item: str, zone: str) -> np.ndarray:
    """Along the line to the middle of the zone."""
    world = expert.world
    puck, mark = expert.seen(item, world.center(item))[:2], expert.seen(zone, world.position(zone))[:2]
    here = expert.heading()
    u = puck - here[:2]
    rest = norm(mark - puck)
    way = mark - puck + max(P["soft"] - rest, 0.0) / max(norm(u), 0.01) * u
    way = way / max(norm(way), 1e-6)
    side = np.array([-way[1], way[0]])
    contact = FINGER + math.sqrt(max(world.asset(item).radius ** 2 - GAP**2 / 4, 0.0))
    along, across = dot(here[:2] - puck, way), dot(here[:2] - puck, side)
    yaw = expert.equal_yaw(math.atan2(side[1], side[0]))
    turn = abs(turn_between(expert.yaw(), yaw))
    gap = opening(expert)

    before = -along - contact  # gap to the puck
    behind = P["behind"]
    room = P["across"] + P["widen"] * max(before, 0.0)
    there = max(P["there"] - rest, 0.0) if expert.holds("at", item, zone) else 0.0
    missing = (
        max(-before - P["slack"], 0.0)
        + max(before - behind - P["far"], 0.0)
        + max(abs(across) - room, 0.0)
        + P["turn"] * max(turn - P["turned"], 0.0)
        + P["gap"] * max(abs(gap - GAP) - 0.012, 0.0)
        + P["done"] * there
    )
    clear = expert.clear_height()
    height = here[2]
    close = _clamp(1.0 - before / P["close"])
    high = max(height - P["full"], 0.0) / max(P["ramp"] + P["glide"] * before, 0.01)
    ready = _clamp(1.0 - missing / P["ready"]) * _clamp(1.0 - high)
    ready *= _clamp((P["wide"] - abs(across)) / (P["wide"] - P["narrow"]))
    push = P["slow"] + (P["push"] - P["slow"]) * close
    low = min(max(height, P["floor"]), P["floor"] + P["lift"] * _clamp(1.0 - before / P["bed"]) * ready)
    needed = low + min(P["slope"] * missing, clear - low)
    share = _clamp(1.25 - (needed - height) / P["deficit"])  # of the way aside that the height allows
    forward = rest - P["stop"] + max(before, 0.0)
    ahead = ready * min(P["gain"] * forward, push * POSITION_SCALE)
    back = share * P["gain"] * (before - behind)
    bound = (P["near"] + P["rising"] * max(height - P["flat"], 0.0)) * POSITION_SCALE
    ahead += (1.0 - ready) * max(min(back, bound), -bound)
    touch = _clamp(1 - before / 0.02)
    lateral = -across * (touch * ready * P["steer"] + (1.0 - touch * ready) * share * P["gain"])
    up = P["upgain"] * (needed - height)
    vertical = min(P["down"] + P["downing"] * max(height - 0.04, 0.0), P["up"]) * POSITION_SCALE
    up = max(min(up, vertical), -vertical)
    step = np.array([*(ahead * way + lateral * side), up])
    limit = P["fast"] * POSITION_SCALE
    step = step * min(1.0, limit / max(norm(step), 1e-9))
    grip = _clamp1((gap - GAP) / 0.04 * P["grip"])
    return expert.toward(here + step, yaw, grip, 1.0, 1.0)


P = dict(
    bed=0.01, floor=0.015, soft=0.03, behind=0.03, slack=0.006, far=0.05, across=0.03, widen=1.0, turn=0.06, turned=0.15, gap=0.5, slope=1.3,
    ready=0.06, glide=1.6, ramp=0.025, full=0.025, wide=0.07, narrow=0.02, there=0.044, done=3.0, deficit=0.06,
    close=0.03, lift=0.02, slow=0.17, near=0.07, rising=5, flat=0.05, down=0.25, downing=4.0,
    gain=0.35, upgain=0.4, push=0.4, steer=0.3, stop=0.015, fast=0.7, up=0.45, grip=0.5,
)  # fmt: skip


def _clamp1(x: float) -> float:
    return min(max(x, -1.0), 1.0)


def _clamp(x: float) -> float:
    return min(max(x, 0.0), 1.0)
