"""How sure the scores of a suite are: simulated before it is released, and of runs that were recorded.

`python -m oodbench.report.precision > docs/suites.md` simulates every released suite, in a few minutes on one core;
`python -m oodbench.report.precision core-2` one of them; with run folders or entries, what they came to.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from oodbench.report.summary import RunSummary, load
from oodbench.seeding import generator
from oodbench.stats import blocks
from oodbench.stats.clustered import ClusteredMean, scene_codes, scene_task
from oodbench.suite import SUITES, Episode, Suite

RUNS = 200
ALTERNATIVES = (  # scenes a task and episodes a cell
    (7, 7), (42, 7), (84, 7), (168, 7), (180, 6), (216, 6), (104, 8),
)  # fmt: skip
AXES = ("id", "semantic", "visual", "execution")
ALL = "all shifts"


@dataclass(frozen=True)
class Model:
    """A policy as its outcomes vary: probit(success) = level of the axis + task + cell + scene + chance.

    Attributes:
        rates: Success in-distribution and on the semantic, visual and execution axis.
        task: Standard deviation between tasks, where that of scene and chance together is 1.
        cell: Between a task's cells.
        scene: The scene's share of the variance of scene and chance: the (tetrachoric) correlation of two episodes in
            one scene under different shifts.
    """

    rates: tuple[float, float, float, float]
    task: float
    cell: float
    scene: float


# Fitted to the records of core-1 (7 scenes a task, each with all cells): correlations of outcomes of one cell, of one
# scene under different shifts, and of one task. The reference VLAs (no alignment, frozen, aligned) played put-on only:
# their spread between tasks is set to that of expert-noisy. `middling` is not recorded: the worst rate, their spread.
POLICIES = {
    "middling": Model((0.5, 0.5, 0.5, 0.5), task=0.41, cell=0.4, scene=0.36),
    "vla-default": Model((0.500, 0.179, 0.268, 0.220), task=0.41, cell=0.48, scene=0.34),
    "vla-freeze": Model((0.367, 0.089, 0.256, 0.208), task=0.41, cell=0.0, scene=0.47),
    "vla-align": Model((0.567, 0.143, 0.268, 0.202), task=0.41, cell=0.34, scene=0.28),
    "expert-noisy": Model((0.952, 0.931, 0.943, 0.941), task=0.41, cell=0.23, scene=0.11),
    "expert-blind": Model((0.852, 0.628, 0.804, 0.845), task=1.35, cell=1.21, scene=0.95),
    "replay": Model((0.097, 0.069, 0.122, 0.085), task=1.16, cell=0.47, scene=0.91),
    "random": Model((0.015, 0.007, 0.012, 0.013), task=0.20, cell=0.0, scene=0.89),
}


@dataclass(frozen=True)
class Precision:
    """Of one score of one policy. half: of the 95 % interval, as a share. effect: the design effect; None of a gap.
    covered: the share of simulated runs whose interval held the truth; None of a recorded run."""

    rate: float
    half: float
    effect: float | None
    covered: float | None = None

    @property
    def text(self) -> str:
        """Rate and half width in points, and the design effect."""
        half = "" if math.isnan(self.half) else f" ± {100 * self.half:.1f}"
        return f"{100 * self.rate:.1f}{half}" + ("" if self.effect is None else f", {self.effect:.2f}")


@dataclass(frozen=True)
class Layout:
    """The episodes of a plan as arrays. axis: names, "id" where nothing is shifted."""

    scene: np.ndarray
    cell: np.ndarray
    axis: np.ndarray

    @classmethod
    def of(cls, plan: Sequence[Episode]) -> Layout:
        tasks = {name: i for i, name in enumerate(sorted({e.task for e in plan}))}
        cells = {name: i for i, name in enumerate(sorted({str(e.shift) for e in plan}))}
        task, seed, cell = (
            np.array(column, np.int64)
            for column in zip(*((tasks[e.task], e.seed, cells[str(e.shift)]) for e in plan), strict=True)
        )
        return cls(scene_codes(task, seed), cell, np.array([e.shift.axis for e in plan]))

    @property
    def groups(self) -> dict[str, np.ndarray]:
        """Axis -> mask, of those that are there; and all shifts together."""
        shifted = ~np.isin(self.axis, ("id", "control"))
        found = {axis: self.axis == axis for axis in (*AXES, "combined")} | {ALL: shifted}
        return {name: mask for name, mask in found.items() if mask.any()}


def chances(layout: Layout, model: Model, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(chance of success of each episode over scenes, its outcome), (episodes,), of one simulated run."""
    wide = math.sqrt(1 + model.task**2 + model.cell**2)
    rates = dict(zip(AXES, model.rates, strict=True))
    rates["combined"] = rates["control"] = sum(model.rates[1:]) / 3
    level = {axis: float(stats.norm.ppf(rate)) * wide for axis, rate in rates.items()}
    task = scene_task(layout.scene)
    _, cell = np.unique(task * (int(layout.cell.max()) + 1) + layout.cell, return_inverse=True)
    _, scene = np.unique(layout.scene, return_inverse=True)
    middle = np.array([level[axis] for axis in layout.axis.tolist()])
    middle += model.task * rng.standard_normal(int(task.max()) + 1)[task]
    middle += model.cell * rng.standard_normal(int(cell.max()) + 1)[cell]
    luck = math.sqrt(model.scene) * rng.standard_normal(int(scene.max()) + 1)[scene]
    luck += math.sqrt(1 - model.scene) * rng.standard_normal(len(scene))
    return stats.norm.cdf(middle), (middle + luck > 0).astype(np.int64)


def simulated(suite: Suite, model: Model, runs: int = RUNS) -> dict[str, Precision]:
    """Of each axis that the suite has, of all shifts together and of the gap: what to expect of a policy."""
    layout = Layout.of(suite.plan())
    rng = generator("precision", suite.name, *map(str, model.rates))
    drawn = [chances(layout, model, rng) for _ in range(runs)]
    found = {}
    for name, rows in layout.groups.items():
        scene, cell = layout.scene[rows], layout.cell[rows]
        rated = [(_mean(scene, p[rows]), blocks.rate(scene, cell, won[rows])) for p, won in drawn]
        found[name] = _summed([(truth, *both) for truth, both in rated if both])
    if ALL in found and "id" in found:
        groups = layout.groups
        weights = blocks.gap_weights(layout.scene, groups["id"], groups[ALL])
        rows = weights != 0
        scene, cell, weights = layout.scene[rows], layout.cell[rows], weights[rows]
        gaps = []
        for p, won in drawn:
            tasks = blocks.by_scene(scene, cell, p[rows], weights)
            truth = float(np.mean([numbers.mean() for numbers in tasks.values()]))
            mean = blocks.gap(scene, cell, won[rows], weights)
            assert mean is not None
            gaps.append((truth, mean, None))
        found["gap"] = _summed(gaps)
    return found


def _mean(scene: np.ndarray, values: np.ndarray) -> float:
    """Over tasks, of the mean over their episodes."""
    _, task = np.unique(scene_task(scene), return_inverse=True)
    return float((np.bincount(task, values) / np.bincount(task)).mean())


def _summed(drawn: Sequence[tuple[float, ClusteredMean, float | None]]) -> Precision:
    sure = [(truth, mean, mean.interval) for truth, mean, _ in drawn if mean.interval]
    halves = [(i.high - i.low) / 2 for _, _, i in sure]
    held = [i.low <= truth <= i.high for truth, _, i in sure]
    effects = [effect for *_, effect in drawn if effect is not None]
    rate = float(np.mean([mean.value for _, mean, _ in drawn]))
    effect = float(np.mean(effects)) if effects else None
    if not sure:
        return Precision(rate, math.nan, effect)
    return Precision(rate, float(np.mean(halves)), effect, float(np.mean(held)))


def recorded(run: RunSummary) -> dict[str, Precision]:
    """What the scores of a run came to."""
    found = {}
    for name, score in {**run.axes, ALL: run.ood}.items():
        if score.value is not None and name != "control":
            i = score.interval
            found[name] = Precision(score.value, (i.high - i.low) / 2 if i else math.nan, score.design_effect)
    if run.gap:
        i = run.gap.interval
        found["gap"] = Precision(run.gap.value, (i.high - i.low) / 2 if i else math.nan, None)
    return found


def table(policies: Mapping[str, Mapping[str, Precision]]) -> Iterator[str]:
    """A row a policy: rate, half width in points and design effect of each score."""
    names = list(dict.fromkeys(name for found in policies.values() for name in found))
    titles = ["in-distribution" if name == "id" else name for name in names]
    yield "| policy | " + " | ".join(titles) + " |"
    yield "| --- |" + " ---: |" * len(names)
    for policy, found in policies.items():
        yield f"| {policy} | " + " | ".join(found[name].text if name in found else "-" for name in names) + " |"


def design(suite: Suite) -> str:
    """The design of a suite in a line."""
    plan = suite.plan()
    shifted = [e for e in plan if e.shift.parts]
    cells = len({(e.task, str(e.shift)) for e in shifted})
    tasks = len({e.task for e in plan})
    said = f"{tasks} task{'s' * (tasks > 1)} of {suite.scene_count} scenes, all played in-distribution"
    if not shifted:
        return f"{said}: {len(plan)} episodes."
    episodes = sorted({block.episodes for block in suite.cells if block.episodes and block.shifts != ("none",)})
    number = " or ".join(map(str, episodes))
    share = len(shifted) / len({(e.task, e.seed) for e in shifted})
    return (
        f"{said}, and {cells} shifted cells of {number} episodes: {len(plan)} episodes; a scene serves {share:.1f} "
        "shifted episodes on average."
    )


def main() -> None:
    args = sys.argv[1:]
    folders = [Path(arg) for arg in args if arg not in SUITES.names()]
    if folders:
        print("\n".join(table({run.label: recorded(run) for run in load(folders)})))
        return
    if not args:
        print(PAGE)
        print("\n".join(alternatives()) + "\n", flush=True)
    for name in args or SUITES.shipped_names():
        suite = SUITES.get(name)
        print(f"## {name}\n\n{design(suite)}\n", flush=True)
        found = {policy: simulated(suite, model) for policy, model in POLICIES.items()}
        print("\n".join(table(found)), flush=True)
        held = {
            f"{policy}, {score}": p.covered
            for policy, scores in found.items()
            for score, p in scores.items()
            if p.covered is not None
        }
        if held:
            share, worst = float(np.mean(list(held.values()))), min(held, key=lambda name: held[name])
            print(f"\nThe intervals held the truth in {_percent(share)} of the runs; at worst ({worst}) in "
                  f"{_percent(held[worst])}.\n")  # fmt: skip


def alternatives() -> Iterator[str]:
    """What core-2 would be with other numbers of scenes and episodes."""
    yield "| scenes | episodes a cell | in all | half of the semantic interval | of the gap's | design effects |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: |"
    core = SUITES.get("core-2")
    for scenes, episodes in ALTERNATIVES:
        plain, *shifted = core.cells
        cells = (plain, *(block.model_copy(update={"episodes": episodes}) for block in shifted))
        suite = core.model_copy(update={"scenes": scenes, "cells": cells})
        found = {name: simulated(suite, POLICIES[name], runs=RUNS // 4) for name in ("middling", "random")}
        middling = found["middling"]
        effects = [scores[ALL].effect or math.nan for scores in found.values()]
        said = (scenes, episodes, len(suite.plan()), f"± {100 * middling['semantic'].half:.1f}",
                f"± {100 * middling['gap'].half:.1f}", " and ".join(f"{effect:.1f}" for effect in effects))  # fmt: skip
        yield "| " + " | ".join(map(str, said)) + " |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


PAGE = f"""# What the suites measure, and how surely

Made by `python -m oodbench.report.precision > docs/suites.md` ({RUNS} simulated runs a suite and policy);
`python -m oodbench.report.precision RUN ...` prints the same figures of recorded runs.

A suite has a pool of scenes a task. All of them are played in-distribution, and the shifted cells share them out by a
balanced incomplete design ([oodbench/design.py](../oodbench/design.py)): each scene serves few cells, the severities of
a shift never meet in a scene, other cells rarely do, and any prefix of the plan is balanced over cells. So a shifted
episode always has its in-distribution twin, from which the gap is taken.

```toml
scenes = 168           # of each task; a multiple of the episodes of every block

[[cells]]
shifts = ["none"]      # in-distribution: played in all of them

[[cells]]
shifts = ["visual.*"]
severities = [1, 3, 5]
episodes = 7           # of a cell, each in another scene
```

`--limit 2` plays the first two episodes of each shifted cell, and the in-distribution ones of their scenes; `--shift`
likewise only these. `controls = ["control.blank@1"]` in a block plays each of its shifts with that behind it as well,
in the same scenes.

Each number below is a rate in percent ± half of its 95 % interval, and the design effect: how many episodes are worth
one independent one, below 1 where a policy's tasks and cells differ more than its scenes. The policies are simulated
from what was recorded in version 1: probit models of the spread between tasks, cells and scenes, fitted to the controls
and to three reference VLAs on core-1 (`POLICIES`); `middling` succeeds in half of everything. How often the simulated
intervals held the truth stands below each table.

`core-2` was to know each axis of a middling policy within 3 points and its gap within 4, at a design effect of 2 at
most between 10 and 90 % success, and of 3 elsewhere, with no more than 6,500 episodes. What other numbers give, for
`middling`; the design effects are of all shifts, of `middling` and of `random`:
"""

if __name__ == "__main__":
    main()
