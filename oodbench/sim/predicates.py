"""The conditions of goals and stages: what can be said of a world, such as ``on(target, receptacle)``.

Each is a function of a World and object ids; numbers are metres. Frames and thresholds are in the docstrings.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.errors import nearest
from oodbench.exact import norm

if TYPE_CHECKING:
    from oodbench.sim.world import World

PREDICATES: dict[str, Callable[..., bool]] = {}

NEAR = 0.03  # how far from the grasp point the gripper counts as arrived (m)
LIFTED = 0.02  # (m)
CONTACT_GAP = 0.012  # how far above a support the underside may be and still lie on it (m)


@dataclass(frozen=True)
class Condition:
    """A predicate and its arguments."""

    name: str
    args: tuple[str | float, ...]

    @classmethod
    def parse(cls, text: str, ids: Collection[str]) -> Condition:
        """From text, checked against the predicates that exist and the object `ids` of the scene.

        Raises ValueError with the nearest valid name.
        """
        found = re.fullmatch(r"\s*([\w-]+)\(([^()]*)\)\s*", text)
        if not found:
            raise ValueError(f"condition {text!r}: must look like name(object, ...)")
        name = found[1]
        if name not in PREDICATES:
            raise ValueError(f"condition {text!r}: no predicate {name!r}; {_advice(name, PREDICATES)}")
        args: list[str | float] = []
        for arg in filter(None, (part.strip() for part in found[2].split(","))):
            if re.fullmatch(r"-?\d*\.?\d+", arg):
                args.append(float(arg))
            elif arg in ids:
                args.append(arg)
            else:
                raise ValueError(f"condition {text!r}: no object {arg!r} in the scene; {_advice(arg, ids)}")
        expected = PREDICATES[name].__code__.co_argcount - 1
        if len(args) != expected:
            raise ValueError(f"condition {text!r}: {name} takes {expected} arguments, not {len(args)}")
        return cls(name, tuple(args))

    def holds(self, world: World) -> bool:
        return PREDICATES[self.name](world, *self.args)


def objects_of(conditions: Iterable[str], ids: Collection[str]) -> set[str]:
    """The objects that conditions are about."""
    return {arg for text in conditions for arg in Condition.parse(text, ids).args if isinstance(arg, str)}


def _advice(name: str, choices: Collection[str]) -> str:
    near = nearest(name, choices)
    return f"did you mean {near!r}?" if near else f"choose one of: {', '.join(sorted(choices))}"


def predicate(function: Callable[..., bool]) -> Callable[..., bool]:
    """Register a predicate under its name, with hyphens for underscores."""
    PREDICATES[function.__name__.replace("_", "-")] = function
    return function


@predicate
def reached(world: World, id: str) -> bool:
    """The point between the fingertips is within 3 cm of where the object is to be held, or touches it."""
    return world.touching_gripper(id) or world.grip_distance(id) < NEAR


@predicate
def grasped(world: World, id: str) -> bool:
    """Both fingers touch the object."""
    return world.held(id)


@predicate
def lifted(world: World, id: str) -> bool:
    """The object is held, and 2 cm higher than where the episode began."""
    return bool(world.position(id)[2] - world.initial_position(id)[2] > LIFTED and world.held(id))


@predicate
def on(world: World, id: str, support: str) -> bool:
    """The object touches the support, its centre is above the supporting area and its underside is on it.

    The area is the support's disc or rectangle. "On it" is between 1.2 cm below and 1.2 cm above the surface,
    measured at the lowest point of the object.
    """
    area = world.asset(support).support
    if area is None:
        return False
    x, y, _ = world.in_frame(support, world.center(id))
    half = area.half or (0.0, 0.0)
    inside = x * x + y * y <= area.radius**2 if area.radius else abs(x) <= half[0] and abs(y) <= half[1]
    if not inside or not world.touching(id, support):
        return False
    return abs(world.lowest_point(id) - world.position(support)[2] - area.height) <= CONTACT_GAP


@predicate
def inside(world: World, id: str, container: str) -> bool:
    """The object's centre is within the container's cavity and its underside below the rim, by 1 cm."""
    cavity = world.asset(container).cavity
    if cavity is None:
        return False
    x, y, _ = world.in_frame(container, world.center(id))
    bottom = world.lowest_point(id) - world.position(container)[2]
    return bool(x * x + y * y <= cavity.radius**2 and cavity.floor - CONTACT_GAP <= bottom <= cavity.rim - 0.01)


@predicate
def at(world: World, id: str, zone: str) -> bool:
    """The object lies on the table with its centre inside the zone's area."""
    area = world.asset(zone).support
    if area is None or area.radius is None:
        return False
    x, y, _ = world.in_frame(zone, world.center(id))
    return bool(x * x + y * y <= area.radius**2 and world.lowest_point(id) < CONTACT_GAP)


@predicate
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


@predicate
def raised(world: World, id: str, height: float) -> bool:
    """The object is held, and this much (m) higher than where the episode began."""
    return bool(world.position(id)[2] - world.initial_position(id)[2] >= height and world.held(id))


@predicate
def opened(world: World, id: str, share: float) -> bool:
    """The drawer is out by at least this share of its travel."""
    return world.joint(id) >= share


@predicate
def closed(world: World, id: str) -> bool:
    """The drawer is in, but for a tenth of its travel."""
    return world.joint(id) <= 0.1


@predicate
def pressed(world: World, id: str, share: float) -> bool:
    """The button is down by at least this share of its travel."""
    return world.joint(id) >= share


@predicate
def turned(world: World, id: str, share: float) -> bool:
    """The knob is turned by at least this share of its range."""
    return world.joint(id) >= share


@predicate
def moved(world: World, id: str, share: float) -> bool:
    """The joint of a drawer, a button or a knob is this share of its range away from where the episode began."""
    return abs(world.joint(id) - world.scene.object(id).joint) >= share


@predicate
def untouched(world: World, id: str) -> bool:
    """The joint of a drawer, a button or a knob is where the episode began, but for a fifth of its range."""
    return not moved(world, id, 0.2)


@predicate
def shifted(world: World, id: str, distance: float) -> bool:
    """The object is this far (m) from where the episode began."""
    return norm(world.position(id) - world.initial_position(id)) >= distance
