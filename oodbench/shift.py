"""What a shift is: a pure function from a scene to a scene, with an axis, channels and a severity.

The shifts themselves are in shifts/. A `ShiftSpec` is a composition of them as a user writes it:
``visual.lighting@3+execution.action-latency@2``.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from oodbench import scene as scenes
from oodbench.catalogue import Split
from oodbench.errors import SpecError
from oodbench.pool import POOLS, STANDARD, Pool
from oodbench.registry import Registry
from oodbench.scene import Scene
from oodbench.seeding import generator

if TYPE_CHECKING:
    from oodbench.task import Task

AXES = ("semantic", "visual", "execution", "control")  # controls are for reading the others: they do not count as OOD
MAX_SEVERITY = 5.0
LEVELS = (1.0, 2.0, 3.0, 4.0, 5.0)  # the severities at which results are reported


@dataclass(frozen=True)
class Context:
    """What a shift may know besides the scene.

    rng: the shift's own stream for this episode. It does not depend on the severity, so that the levels of one episode
    differ in size and not in kind: draw the same numbers at every severity. pool: what things and textures are drawn
    from, those of `split`.
    """

    severity: float
    rng: np.random.Generator
    split: Split
    task: Task
    pool: Pool

    @property
    def level(self) -> int:
        """The severity rounded up, for shifts that count things."""
        return math.ceil(self.severity)


Rewrite = Callable[[Scene, Context], Scene]


@dataclass(frozen=True)
class Shift:
    """One named factor of variation.

    name: "<axis>.<factor>". channels: the fields of Scene it may change. unit: what one step of severity means.
    source: the paper or code that the range comes from. star_gen: its code in the STAR-Gen taxonomy. applies: whether
    it makes sense in a task. occludes: whether it may hide what the task is about.
    """

    name: str
    channels: frozenset[str]
    unit: str
    source: str
    star_gen: str
    summary: str
    rewrite: Rewrite
    applies: Callable[[Task], bool] = lambda task: True
    occludes: bool = False

    @property
    def axis(self) -> str:
        return self.name.split(".")[0]

    def __call__(
        self, scene: Scene, severity: float, *, task: Task, split: Split = "test", pool: str = STANDARD
    ) -> Scene:
        """The scene at `severity`; at 0 the very same object. Raises SpecError outside [0, 5]."""
        if not 0.0 <= severity <= MAX_SEVERITY:
            raise SpecError(f"severity {severity:g} of {self.name}: must be in [0, {MAX_SEVERITY:g}]")
        if severity == 0.0:
            return scene
        if not self.applies(task):
            raise SpecError(f"shift {self.name!r} makes no sense in task {task.name!r}")
        rng = generator(scene.key.namespace, scene.key.task, scene.key.seed, "shift", self.name)
        return self.rewrite(scene, Context(severity, rng, split, task, POOLS.get(pool)))

    def __reduce__(self) -> tuple[Callable[[str], Shift], tuple[str]]:
        """Travels between processes by name: the decorated function's name means the Shift, not the function."""
        return _named, (self.name,)


SHIFTS: Registry[Shift] = Registry("shift", of=Shift)


def _named(name: str) -> Shift:
    return SHIFTS.get(name)


def shift(
    name: str,
    *,
    channels: tuple[str, ...],
    unit: str,
    source: str,
    star_gen: str,
    applies: Callable[[Task], bool] = lambda task: True,
    occludes: bool = False,
) -> Callable[[Rewrite], Shift]:
    """Register the decorated function as a shift. Its docstring's first line is the summary."""
    axis = name.split(".")[0]
    if axis not in AXES:
        raise SpecError(f"shift {name!r}: the name must start with one of {', '.join(AXES)}")
    unknown = set(channels) - set(scenes.CHANNELS)
    if unknown:
        raise SpecError(f"shift {name!r}: no such channel: {', '.join(sorted(unknown))}")

    def register(rewrite: Rewrite) -> Shift:
        summary = (rewrite.__doc__ or "").strip().split("\n")[0]
        made = Shift(name, frozenset(channels), unit, source, star_gen, summary, rewrite, applies, occludes)
        return SHIFTS.add(name, made, rewrite.__module__)

    return register


@dataclass(frozen=True)
class ShiftSpec:
    """A composition of shifts, each at its severity, applied from left to right. Empty: in-distribution."""

    parts: tuple[tuple[Shift, float], ...] = ()

    @classmethod
    def parse(cls, text: str, severity: float | None = None) -> ShiftSpec:
        """From text: ``none``, or ``name@severity`` joined with ``+``.

        severity: for the parts that name none. Raises UnknownNameError or SpecError.
        """
        if text.strip() in ("", "none"):
            return cls()
        parts: list[tuple[Shift, float]] = []
        for item in text.split("+"):
            name, at, level = item.strip().partition("@")
            found = SHIFTS.get(name)
            try:
                value = float(level) if at else severity
            except ValueError:
                raise SpecError(f"severity {level!r} of {name}: must be a number in [0, {MAX_SEVERITY:g}]") from None
            if value is None:
                raise SpecError(f"shift {name!r}: say at which severity, e.g. {name}@3")
            if not 0.0 <= value <= MAX_SEVERITY:
                raise SpecError(f"severity {value:g} of {name}: must be in [0, {MAX_SEVERITY:g}]")
            if any(found is earlier for earlier, _ in parts):
                raise SpecError(f"shift {name!r} stands twice in {text!r}")
            parts.append((found, value))
        return cls(tuple(parts))

    @property
    def name(self) -> str:
        """The shift's name; of a composition, with its severities when they differ; "none" when there is no shift."""
        if len({level for _, level in self.parts}) > 1:
            return str(self)
        return "+".join(item.name for item, _ in self.parts) or "none"

    @property
    def severity(self) -> float:
        """The severity; of a composition, the largest one."""
        return max((level for _, level in self.parts), default=0.0)

    @property
    def axis(self) -> str:
        """The axis, "id" when nothing is shifted, "combined" when the parts are of several axes.

        With a control among them it is "control".
        """
        axes = {item.axis for item, _ in self.parts}
        if "control" in axes:
            return "control"
        return "id" if not axes else axes.pop() if len(axes) == 1 else "combined"

    def applies(self, task: Task) -> bool:
        """Whether every part makes sense in `task`."""
        return all(item.applies(task) for item, _ in self.parts)

    @property
    def channels(self) -> frozenset[str]:
        """All channels that any part may change."""
        return frozenset().union(*(item.channels for item, _ in self.parts))

    def apply(self, scene: Scene, *, task: Task, split: Split = "test", pool: str = STANDARD) -> Scene:
        """The shifted scene."""
        for item, level in self.parts:
            scene = item(scene, level, task=task, split=split, pool=pool)
        return scene

    def __str__(self) -> str:
        return "+".join(f"{item.name}@{level:g}" for item, level in self.parts) or "none"


for _module in (  # fills SHIFTS
    "semantic_words",
    "semantic_reference",
    "semantic_things",
    "visual_world",
    "visual_sensors",
    "execution_starts",
    "execution_dynamics",
    "events",
    "control",
):
    importlib.import_module(f"oodbench.shifts.{_module}")
