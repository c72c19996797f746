"""What a suite is: a named, versioned list of cells with episodes a cell, and the protocol they are scored by."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from oodbench import toml
from oodbench.catalogue import Split
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

    Pairs of a task and a shift that make no sense together are left out; naming both without a pattern is an error.
    setting: the name under which the block is reported, for suites that follow a paper's.
    """

    setting: str | None = None
    tasks: tuple[str, ...] = ("*",)
    shifts: tuple[str, ...]
    severities: tuple[float, ...] = ()
    episodes: int = Field(gt=0)


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

    pool: what its scenes are drawn from, and its patterns stand for (pool.py). fresh: salt of other scenes than the
    public ones, in the same cells; "" in files. A score that was tuned to the public scenes is lower on fresh ones.
    """

    name: str
    version: int
    summary: str
    pool: str = STANDARD
    split: Split = "test"  # the part of the pool that shifts draw unseen things from
    protocol: Protocol = Protocol()
    cells: tuple[Cells, ...]
    fresh: str = ""

    @model_validator(mode="after")
    def _known(self) -> Suite:
        if not self.cells:
            raise ValueError("cells: a suite needs at least one")
        self.plan()
        return self

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
        """All episodes in their order: by seed, then task, then cell.

        So the cells of one seed follow each other (they share a compiled model), and any prefix is balanced over cells.
        limit: at most so many episodes a cell. seed_offset: added to every seed.
        """
        blocks, pool = [], POOLS.get(self.pool)
        for block in self.cells:
            specs = [
                ShiftSpec.parse(name, severity)
                for name in _expand("shift", block.shifts, [*pool.names("shifts"), "none"], SHIFTS.names())
                for severity in (block.severities or (None,))
            ]
            tasks = _expand("task", block.tasks, pool.names("tasks"), TASKS.names())
            blocks.append((tasks, specs, block.episodes if limit is None else min(limit, block.episodes)))
        most = max((episodes for _, _, episodes in blocks), default=0)
        plan: dict[tuple[str, str, float, int], Episode] = {}
        for seed in range(seed_offset, seed_offset + most):
            for task in sorted({task for tasks, _, _ in blocks for task in tasks}):
                for tasks, specs, episodes in blocks:
                    if task in tasks and seed < seed_offset + episodes:
                        for spec in specs:
                            if spec.applies(TASKS.get(task)):
                                episode = Episode(task, spec, seed)
                                plan.setdefault(episode.key, episode)
        if not plan:
            raise SpecError(f"suite {self.name!r}: none of its shifts makes sense in any of its tasks")
        return list(plan.values())


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

    In-distribution episodes stay with whatever shifts are asked for, because they are what the shifts are compared to.
    Raises UnknownNameError when a pattern matches nothing in the plan.
    """
    in_plan = {"task": sorted({e.task for e in plan}), "shift": sorted({e.shift.name for e in plan})}
    wanted_tasks = _expand("task", tasks, in_plan["task"]) if tasks else in_plan["task"]
    wanted_shifts = [*_expand("shift", shifts, in_plan["shift"]), "none"] if shifts else in_plan["shift"]
    chosen = [e for e in plan if e.task in wanted_tasks and e.shift.name in wanted_shifts]
    if not chosen:
        raise SpecError("nothing of the suite is left to play: no cell has both the tasks and the shifts asked for")
    return chosen


def _load(path: Path) -> Suite:
    return toml.load(path, Suite)


SUITES: Registry[Suite] = Registry("suite", data_dir("tasks") / "suites", _load, of=Suite)
