"""What conditions mean: whether ``on(target, receptacle)`` holds in a world. Their grammar is in oodbench/goal.py.

Each predicate is a function of a World and object ids; numbers are metres. Frames and thresholds are in the docstrings.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING

from oodbench.exact import norm
from oodbench.goal import PREDICATES, Condition

if TYPE_CHECKING:
    from oodbench.sim.world import World

NEAR = 0.03  # how far from the grasp point the gripper counts as arrived (m)
LIFTED = 0.02  # (m)
CONTACT_GAP = 0.012  # how far above a support the underside may be and still lie on it (m)


def holds(world: World, condition: Condition) -> bool:
    """Whether a condition holds in the world now."""
    return function_of(condition.name)(world, *condition.args)


def test_of(world: World, condition: Condition) -> Callable[[], bool]:
    """What says whether a condition holds in the world, whenever it is called."""
    return partial(function_of(condition.name), world, *condition.args)


@cache
def function_of(name: str) -> Callable[..., bool]:
    """What judges the predicate called `name`: a function of a World and the predicate's arguments."""
    function = PREDICATES.get(name).function
    if not isinstance(function, str):
        return function
    module, _, attribute = function.partition(":")
    return getattr(importlib.import_module(module), attribute)


def reached(world: World, id: str) -> bool:
    """The point between the fingertips is within 3 cm of where the object is to be held, or touches it."""
    return world.touching_gripper(id) or world.grip_distance(id) < NEAR


def grasped(world: World, id: str) -> bool:
    """Both fingers touch the object."""
    return world.held(id)


def lifted(world: World, id: str) -> bool:
    """The object is held, and 2 cm higher than where the episode began."""
    return bool(world.position(id)[2] - world.initial_position(id)[2] > LIFTED and world.held(id))


def on(world: World, id: str, support: str) -> bool:
    """The object touches the support, its centre is above the supporting area and its underside is on it.

    The area is the support's disc or rectangle. "On it" is between 1.2 cm below and 1.2 cm above the surface,
    measured at the lowest point of the object.
    """
    area = world.asset(support).support
    if area is None or not world.touching(id, support):
        return False
    x, y, _ = world.in_frame(support, world.center(id))
    half = area.half or (0.0, 0.0)
    inside = x * x + y * y <= area.radius**2 if area.radius else abs(x) <= half[0] and abs(y) <= half[1]
    if not inside:
        return False
    return abs(world.lowest_point(id) - world.position(support)[2] - area.height) <= CONTACT_GAP


def inside(world: World, id: str, container: str) -> bool:
    """The object's centre is within the container's cavity and its underside below the rim, by 1 cm."""
    cavity = world.asset(container).cavity
    if cavity is None:
        return False
    x, y, _ = world.in_frame(container, world.center(id))
    bottom = world.lowest_point(id) - world.position(container)[2]
    return bool(x * x + y * y <= cavity.radius**2 and cavity.floor - CONTACT_GAP <= bottom <= cavity.rim - 0.01)


def at(world: World, id: str, zone: str) -> bool:
    """The object lies on the table with its centre inside the zone's area."""
    area = world.asset(zone).support
    if area is None or area.radius is None:
        return False
    x, y, _ = world.in_frame(zone, world.center(id))
    return bool(x * x + y * y <= area.radius**2 and world.lowest_point(id) < CONTACT_GAP)


def beside(world: World, id: str, anchor: str, x: float, y: float) -> bool:
    """The object lies on the table, at most 20 cm from the anchor and within 40 degrees of the direction (x, y).

    Distances are between centres; the direction is in the world frame and has length 1. What people call left and
    right is what they see in the third-person picture, where +y is right and +x is in front.
    """
    dx, dy, _ = world.center(id) - world.center(anchor)
    distance = math.sqrt(dx * dx + dy * dy)
    along = dx * x + dy * y
    return bool(distance <= 0.20 and along >= math.cos(math.radians(40)) * distance and on_table(world, id))


def on_table(world: World, id: str) -> bool:
    return bool(world.lowest_point(id) < CONTACT_GAP)


def raised(world: World, id: str, height: float) -> bool:
    """The object is held, and this much (m) higher than where the episode began."""
    return bool(world.position(id)[2] - world.initial_position(id)[2] >= height and world.held(id))


def opened(world: World, id: str, share: float) -> bool:
    """The drawer is out by at least this share of its travel."""
    return world.joint(id) >= share


def closed(world: World, id: str) -> bool:
    """The drawer is in, but for a tenth of its travel."""
    return world.joint(id) <= 0.1


def pressed(world: World, id: str, share: float) -> bool:
    """The button is down by at least this share of its travel."""
    return world.joint(id) >= share


def turned(world: World, id: str, share: float) -> bool:
    """The knob is turned by at least this share of its range."""
    return world.joint(id) >= share


def moved(world: World, id: str, share: float) -> bool:
    """The joint of a drawer, a button or a knob is this share of its range away from where the episode began."""
    return abs(world.joint(id) - world.scene.object(id).joint) >= share


def untouched(world: World, id: str) -> bool:
    """The joint of a drawer, a button or a knob is where the episode began, but for a fifth of its range."""
    return not moved(world, id, 0.2)


def shifted(world: World, id: str, distance: float) -> bool:
    """The object is this far (m) from where the episode began."""
    return norm(world.position(id) - world.initial_position(id)) >= distance
