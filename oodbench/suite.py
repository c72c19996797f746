"""What a suite is: a named, versioned list of cells, the pool of scenes they are played in, and how they are scored."""

from __future__ import annotations

import fnmatch
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from oodbench import toml
from oodbench.catalogue import Split
from oodbench.design import scenes_of
from oodbench.errors import SpecError, UnknownNameError
from oodbench.paths import data_dir
from oodbench.pool import POOLS, STANDARD
from oodbench.registry import Registry
from oodbench.scene import Scene
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.task import TASKS

SuccessReading = Literal["settled", "final", "ever"]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Protocol(_Data):
    """What must be equal for two runs to be comparable.

    success: which reading counts. "settled": the goal holds, the object is released and has been at rest for 0.25 s
    (the episode ends there); "ever": the goal held at any step (the episode ends there); "final": it holds at the
    horizon (no episode ends early).
    quality: the rendering preset (sim/render.py).
    """

    success: SuccessReading = "settled"
    quality: Literal["fast", "standard", "high"] = "standard"


class Cells(_Data):
    """A block of cells: every task x every shift x every severity. Patterns such as "visual.*" are expanded.

    Pairs of a task and a shift that make no sense together are left out.

    Attributes:
        setting: The name under which the block is reported, for suites that follow a paper's.
        tasks: Names, or patterns.
        shifts: Names, patterns, or specs such as "visual.lighting@3"; "none" is in-distribution.
        severities: Of the shifts that name none.
        controls: Each shift is also played with each of these after it, in the same scenes.
        episodes: Of a cell, in scenes of their own; the suite's scenes are a multiple of it. "none" is played in every
            scene, and needs no number.
    """

    setting: str | None = None
    tasks: tuple[str, ...] = ("*",)
    shifts: tuple[str, ...]
    severities: tuple[float, ...] = ()
    controls: tuple[str, ...] = ()
    episodes: int | None = Field(default=None, gt=0)


@dataclass(frozen=True)
class Episode:
    """One thing to play."""

    task: str
    shift: ShiftSpec
    seed: int

    @property
    def key(self) -> tuple[str, str, float, int]:
        """(task, shift, severity, seed): what names it in records."""
        return (self.task, self.shift.name, self.shift.severity, self.seed)

    def scene(self, suite: Suite) -> Scene:
        """The scene to play: sampled by the task, then shifted."""
        task = TASKS.get(self.task)
        scene = task.sample(self.seed, suite.namespace, suite.pool)
        return self.shift.apply(scene, task=task, split=suite.split, pool=suite.pool)


class Suite(_Data):
    """tasks/suites/<name>.toml.

    Attributes:
        scenes: Of each task: all are played in-distribution, and the shifted cells share them out (design.py), so that
            every shifted episode has its in-distribution twin. By default as many as the largest block has episodes.
        pool: What its scenes are drawn from, and its patterns stand for (pool.py).
        split: The part of the pool that shifts draw unseen things from.
        fresh: Salt of other scenes than the public ones, in the same cells; "" in files. A score that was tuned to the
            public scenes is lower on fresh ones.
    """

    name: str
    version: int
    summary: str
    scenes: int = Field(default=0, ge=0)
    pool: str = STANDARD
    split: Split = "test"
    protocol: Protocol = Protocol()
    cells: tuple[Cells, ...]
    fresh: str = ""

    @model_validator(mode="after")
    def _known(self) -> Suite:
        if not self.cells:
            raise ValueError("cells: a suite needs at least one")
        if not self.scenes and not any(block.episodes for block in self.cells):
            raise ValueError("scenes: say how many a task has")
        for block in self.cells:
            if set(block.shifts) == {"none"} and not block.controls:
                if block.episodes not in (None, self.scene_count):
                    raise ValueError(
                        f"cells: {block.episodes} in-distribution episodes of {self.scene_count} scenes; every scene "
                        "is played in-distribution, so leave `episodes` out"
                    )
            elif block.episodes is None:
                raise ValueError(f"cells: {', '.join(block.shifts[:3])}: say how many episodes a cell has")
            elif self.scene_count % block.episodes:
                raise ValueError(
                    f"scenes: {self.scene_count} is no multiple of {block.episodes} episodes, so that the scenes "
                    "cannot be shared out evenly"
                )
        self.plan()
        return self

    @property
    def scene_count(self) -> int:
        """The scenes that each task has."""
        return self.scenes or max(block.episodes or 1 for block in self.cells)

    @property
    def namespace(self) -> str:
        """Of its random streams. A new version of a suite draws new scenes, and so does a salt."""
        return f"{self.name}-{self.version}" + (f"-fresh-{self.fresh}" if self.fresh else "")

    @property
    def sha256(self) -> str:
        """Hash of everything in the suite's file, and of the salt of its fresh scenes."""
        content = self.model_dump_json(exclude=None if self.fresh else {"fresh"})
        return hashlib.sha256(content.encode()).hexdigest()

    def plan(self, *, limit: int | None = None, seed_offset: int = 0) -> list[Episode]:
        """All episodes in their order: by scene, then task, then cell; a scene's in-distribution episode among them.

        So the cells of one scene follow each other (they share a compiled model), and of any prefix two cells of a
        block have equally many episodes, give or take one.

        Args:
            limit: At most so many episodes a shifted cell: see `first`.
            seed_offset: Added to every seed.
        """
        found: list[tuple[int, str, int, Episode]] = []
        for task, group in self._groups():
            for specs, seeds in group:
                found += [
                    (seed + seed_offset, task, len(found) + place, Episode(task, spec, seed + seed_offset))
                    for seed in seeds
                    for place, spec in enumerate(specs)
                ]
        if not found:
            raise SpecError(f"suite {self.name!r}: none of its shifts makes sense in any of its tasks")
        plan = [episode for *_, episode in sorted(found, key=lambda item: item[:3])]
        return plan if limit is None else first(plan, limit)

    def _groups(self) -> Iterator[tuple[str, list[tuple[list[ShiftSpec], Sequence[int]]]]]:
        """By task: the cells that are played in the same scenes, and those scenes, in the order of the file."""
        pool = POOLS.get(self.pool)
        groups: dict[str, list[tuple[list[ShiftSpec], Sequence[int]]]] = {}
        known: set[tuple[str, str]] = set()
        counts: Counter[tuple[str, int]] = Counter()
        for block in self.cells:
            shifts = _expand("shift", block.shifts, [*pool.names("shifts"), "none"], SHIFTS.names())
            specs = [ShiftSpec.parse(name, level) for name in shifts for level in (block.severities or (None,))]
            for task in sorted(_expand("task", block.tasks, pool.names("tasks"), TASKS.names())):
                for spec in specs:
                    together = [spec, *(_also(spec, control) for control in block.controls)]
                    new = [s for s in together if s.applies(TASKS.get(task)) and (task, str(s)) not in known]
                    if not new or not spec.applies(TASKS.get(task)):
                        continue
                    known.update((task, str(s)) for s in new)
                    if spec.parts:
                        assert block.episodes is not None
                        seeds: Sequence[int] = scenes_of(counts[task, block.episodes], self.scene_count, block.episodes)
                        counts[task, block.episodes] += 1
                    else:
                        seeds = range(self.scene_count)
                    groups.setdefault(task, []).append((new, seeds))
        yield from groups.items()


def _also(spec: ShiftSpec, control: str) -> ShiftSpec:
    return ShiftSpec.parse(f"{spec}+{control}" if spec.parts else control)


def first(plan: Iterable[Episode], limit: int) -> list[Episode]:
    """The first `limit` episodes of each shifted cell, with the in-distribution ones of their scenes.

    Of a task without shifts, the first in-distribution ones.
    """
    plan = list(plan)
    shifted = {e.task for e in plan if e.shift.parts}
    counts: Counter[tuple[str, str]] = Counter()
    kept = []
    for e in plan:
        cell = (e.task, str(e.shift))
        counts[cell] += 1
        if counts[cell] <= limit or (e.task in shifted and not e.shift.parts):
            kept.append(e)
    return twins(kept)


def twins(plan: Sequence[Episode]) -> list[Episode]:
    """The plan without in-distribution episodes of scenes that no shifted one is played in, in tasks that have some."""
    scenes = {(e.task, e.seed) for e in plan if e.shift.parts}
    shifted = {task for task, _ in scenes}
    return [e for e in plan if e.shift.parts or e.task not in shifted or (e.task, e.seed) in scenes]


def _expand(kind: str, patterns: Iterable[str], names: Iterable[str], others: Iterable[str] = ()) -> list[str]:
    """Those of `names` that match the patterns, in the order of the patterns.

    Compositions ("a+b"), paths and the names of `others` stand for themselves.
    """
    names, others = sorted(names), set(others)
    found: dict[str, None] = {}
    for pattern in patterns:
        if any(sign in pattern for sign in "+@") or pattern.endswith(".toml") or pattern in others:
            matches = [pattern]
        else:
            matches = fnmatch.filter(names, pattern)
            if pattern == "*" and kind == "shift":
                matches = [name for name in matches if name != "none"]
        if not matches:
            raise UnknownNameError(kind, pattern, {*names, *others})
        found.update(dict.fromkeys(matches))
    return list(found)


def select(plan: list[Episode], tasks: Iterable[str], shifts: Iterable[str]) -> list[Episode]:
    """The episodes of `plan` whose task and shift match one of the patterns (all of them when there are none).

    The in-distribution episodes of their scenes stay with whatever shifts are asked for, because they are what the
    shifts are compared to. Raises UnknownNameError when a pattern matches nothing in the plan.
    """
    in_plan = {"task": sorted({e.task for e in plan}), "shift": sorted({e.shift.name for e in plan})}
    wanted_tasks = _expand("task", tasks, in_plan["task"]) if tasks else in_plan["task"]
    wanted_shifts = [*_expand("shift", shifts, in_plan["shift"]), "none"] if shifts else in_plan["shift"]
    chosen = [e for e in plan if e.task in wanted_tasks and e.shift.name in wanted_shifts]
    if not chosen:
        raise SpecError("nothing of the suite is left to play: no cell has both the tasks and the shifts asked for")
    return twins(chosen) if shifts else chosen


def _load(path: Path) -> Suite:
    return toml.load(path, Suite)


SUITES: Registry[Suite] = Registry("suite", data_dir("tasks") / "suites", _load, of=Suite)
