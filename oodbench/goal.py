"""The grammar of goals and stages: conditions such as ``on(target, receptacle)``, and which predicates there are.

What a predicate means in a world is a function of sim/predicates.py, found by name when a world is asked; nothing here
needs a simulator.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from oodbench.errors import UnknownNameError, nearest
from oodbench.registry import Registry


@dataclass(frozen=True)
class Predicate:
    """Something that can be said of a world.

    Attributes:
        name: as conditions write it.
        arity: how many arguments it takes, ids of objects or numbers.
        summary: what it says, with its thresholds.
        function: what judges it, called with the World and the arguments; or where that is,
            "package.module:function", imported when a world is asked.
        verbs: how words begin that ask for it, for the audit; empty where any words may.
    """

    name: str
    arity: int
    summary: str
    function: str | Callable[..., bool]
    verbs: tuple[str, ...] = ()


PREDICATES: Registry[Predicate] = Registry("predicate", of=Predicate)


def declare(name: str, arity: int, summary: str, function: str = "") -> Predicate:
    """Register a predicate.

    Args:
        name: as conditions write it.
        arity: how many arguments it takes.
        summary: what it says.
        function: "package.module:function"; by default the function of sim/predicates.py that is called `name`.

    Returns:
        What was registered.

    Raises:
        SpecError: the name is taken.
    """
    where = function or f"oodbench.sim.predicates:{name.replace('-', '_')}"
    return PREDICATES.add(name, Predicate(name, arity, summary, where), where.partition(":")[0])


def predicate(*verbs: str) -> Callable[[Callable[..., bool]], Predicate]:
    """Register the decorated function of a World and of ids and numbers as a predicate.

    Its name, with hyphens for underscores, is the predicate's; its docstring's first line is the summary.

    Args:
        verbs: how words begin that ask for it ("stack", "tower"), for the audit; none: any words may.

    Raises:
        SpecError: the name is taken.
    """

    def register(function: Callable[..., bool]) -> Predicate:
        name = function.__name__.replace("_", "-")
        summary = (function.__doc__ or "").strip().split("\n")[0]
        made = Predicate(name, len(inspect.signature(function).parameters) - 1, summary, function, verbs)
        return PREDICATES.add(name, made, function.__module__)

    return register


declare("reached", 1, "the fingers are within 3 cm of where the object is to be held, or touch it")
declare("grasped", 1, "both fingers touch the object")
declare("lifted", 1, "the object is held, 2 cm higher than at the start")
declare("on", 2, "the object lies on the second one")
declare("inside", 2, "the object is within the second one, its underside 1 cm below the rim")
declare("at", 2, "the object lies on the table, its centre within the second one's area")
declare("beside", 4, "the object lies within 20 cm of the second one and 40 degrees of the direction (x, y)")
declare("raised", 2, "the object is held, so much (m) higher than at the start")
declare("opened", 2, "the drawer is out by this share of its travel")
declare("closed", 1, "the drawer is in, but for a tenth of its travel")
declare("pressed", 2, "the button is down by this share of its travel")
declare("turned", 2, "the knob is turned by this share of its range")
declare("moved", 2, "the joint is this share of its range away from the start")
declare("untouched", 1, "the joint is where it was at the start, but for a fifth of its range")
declare("shifted", 2, "the object is so far (m) from where it was at the start")


@dataclass(frozen=True)
class Condition:
    """A predicate and its arguments. sim/predicates.py says whether it holds."""

    name: str
    args: tuple[str | float, ...]

    @classmethod
    def parse(cls, text: str, ids: Collection[str]) -> Condition:
        """From text, checked against the predicates that exist and the objects of a scene.

        Args:
            text: "name(argument, ...)"; arguments are ids of objects or numbers.
            ids: the objects of the scene.

        Raises:
            ValueError: no such predicate or object (with the nearest valid name), or another number of arguments.
        """
        found = re.fullmatch(r"\s*([\w-]+)\(([^()]*)\)\s*", text)
        if not found:
            raise ValueError(f"condition {text!r}: must look like name(object, ...)")
        name = found[1]
        try:
            expected = PREDICATES.get(name).arity
        except UnknownNameError:
            raise ValueError(
                f"condition {text!r}: no predicate {name!r}; {_advice(name, PREDICATES.names())}"
            ) from None
        args: list[str | float] = []
        for arg in filter(None, (part.strip() for part in found[2].split(","))):
            if re.fullmatch(r"-?\d*\.?\d+", arg):
                args.append(float(arg))
            elif arg in ids:
                args.append(arg)
            else:
                raise ValueError(f"condition {text!r}: no object {arg!r} in the scene; {_advice(arg, ids)}")
        if len(args) != expected:
            raise ValueError(f"condition {text!r}: {name} takes {expected} arguments, not {len(args)}")
        return cls(name, tuple(args))


def objects_of(conditions: Iterable[str], ids: Collection[str]) -> set[str]:
    """The objects that conditions are about."""
    return {arg for text in conditions for arg in Condition.parse(text, ids).args if isinstance(arg, str)}


def _advice(name: str, choices: Collection[str]) -> str:
    near = nearest(name, choices)
    return f"did you mean {near!r}?" if near else f"choose one of: {', '.join(sorted(choices))}"
