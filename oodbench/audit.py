"""The fairness proofs: for every cell of a suite, that it is what it says and can be solved.

expert: the scripted expert's success, the solvability certificate. visible: share of first frames in which everything
can be seen that the goal is about, or that the words tell apart from it. hand: the same of the robot's hand and both
fingers, which in distribution must also differ in colour from what is around them; of the hand alone where a shift has
turned it, since it may then hide its own fingers. contract: only declared channels differ. agreement: the words ask for
what is scored, worked out anew from the scene (oodbench/understand.py). clean: in-distribution scenes hold nothing of
the dev and test splits.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from oodbench.exact import norm
from oodbench.goal import objects_of
from oodbench.run.records import EpisodeRecord
from oodbench.run.runner import Listener, evaluate
from oodbench.scene import Scene, changed_channels
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.sim.build import LEFT_FINGER, NOBODY, REST_OF_ROBOT, RIGHT_FINGER
from oodbench.sim.world import World
from oodbench.stats.rates import Rate
from oodbench.suite import SUITES, Episode, Suite
from oodbench.task import TASKS
from oodbench.understand import disagreement, not_of_training

FLOOR = 0.95  # expert success and visibility that a cell must have; it fails when its interval's upper end is below
VIEW, PIXELS = 128, 12  # a thing counts as visible when it has so many pixels in a picture of that size
HAND_PIXELS, FINGER_PIXELS = 50, 4  # of the hand (in training scenes at least 378), and of each finger (at least 10)
CONTRAST = 40.0  # between a part's mean colour and that of what is around it, of 442 (in training scenes at least 77)
RING = 2  # how far around (pixels)
SCENES = 2  # a cell, of which pictures are taken and words are read


@dataclass(frozen=True)
class Finding:
    """What was found out about one scene."""

    key: tuple[str, str, float, int]
    visible: bool | None  # None: the shift may hide it
    hand: bool | None
    contract: str | None  # what is wrong, or None
    agreement: str | None
    unclean: str | None


Watch = Callable[[Iterable[Finding], int], Iterable[Finding]]


@dataclass
class Row:
    """A shift at a severity, or a shift in a task, over all episodes that belong to it."""

    name: str
    expert: Rate
    visible: Rate
    hand: Rate
    wrong: list[str] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        rates = [rate for rate in (self.expert, self.visible, self.hand) if rate.n]
        return not self.wrong and not self.expert.errors and all(r.interval.high >= FLOOR for r in rates)

    @property
    def below(self) -> bool:
        """Whether the expert is observed under the floor, though it may be chance."""
        return self.expert.value is not None and self.expert.value < FLOOR


@dataclass
class Audit:
    suite: str
    episodes: int
    by_severity: list[Row]
    by_task: list[Row]

    @property
    def passes(self) -> bool:
        return all(row.passes for row in (*self.by_severity, *self.by_task))


def audit(
    suite_name: str,
    out: Path,
    *,
    limit: int | None = None,
    listener: Listener | None = None,
    watch: Watch = lambda findings, total: findings,
) -> Audit:
    """Audit a suite; the expert's episodes are kept in the run folder `out`, and taken up again from there.

    watch: is given the findings as they come, and their number, and passes them on (rich's `track` does).
    """
    suite = SUITES.get(suite_name)
    folder = evaluate("expert", suite, out=out, limit=limit, listener=listener)
    records = folder.records()
    scenes = [episode for episode in suite.plan(limit=min(limit or SCENES, SCENES)) if episode.shift.axis != "control"]
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        findings = list(watch(pool.map(partial(examine, suite), scenes, chunksize=16), len(scenes)))
    return summarise(suite.name, records, findings)


def examine(suite: Suite, episode: Episode) -> Finding:
    """Look at one scene of a suite."""
    plain, scene = Episode(episode.task, ShiftSpec(), episode.seed).scene(suite), episode.scene(suite)
    undeclared = changed_channels(plain, scene) - episode.shift.channels
    wrong = f"changes {', '.join(sorted(undeclared))} undeclared" if undeclared else None
    if episode.shift.parts and scene == plain:
        wrong = "changes nothing"
    hides = any(item.occludes for item, _ in episode.shift.parts)
    return Finding(
        key=episode.key,
        visible=None if hides else sees_all(scene),
        hand=None if hides else sees_hand(scene, plain),
        contract=wrong,
        agreement=disagreement(scene),
        unclean=None if episode.shift.parts else ", ".join(not_of_training(scene)) or None,
    )


def sees_all(scene: Scene) -> bool:
    """Whether everything that the goal is about is in the third-person camera's first picture."""
    world = _world()
    world.reset(scene)
    segments = world.segmentation("image", VIEW)
    ids = [item.id for item in scene.objects]
    about = {*scene.goal.manipulated, *(id for id in ids if id.startswith("other"))}
    about |= objects_of(scene.goal.success, ids)
    return all(np.count_nonzero(segments == ids.index(id)) >= PIXELS for id in about)


def sees_hand(scene: Scene, plain: Scene) -> bool:
    """Whether the robot's hand and both fingers are in the third-person camera's first picture.

    Args:
        scene: What the picture is of.
        plain: Its in-distribution twin. Where the arm starts otherwise the hand is enough, for it may hide its fingers;
            in the twin itself hand and fingers must also stand out in colour from what is around them.
    """
    world = _world()
    world.reset(scene)
    built, geoms = world.built, world.render("image", VIEW, "segmentation")
    picture = world.render("image", VIEW).astype(float)
    owner = np.where(geoms >= 0, built.owner[geoms], NOBODY)
    gripper = built.model.body("robot/" + built.robot.gripper_body).id
    parts = {
        "hand": ((geoms >= 0) & (built.model.geom_bodyid[geoms] == gripper), HAND_PIXELS),
        "left finger": (owner == LEFT_FINGER, FINGER_PIXELS),
        "right finger": (owner == RIGHT_FINGER, FINGER_PIXELS),
    }
    if scene.robot.qpos != plain.robot.qpos:
        parts = {"hand": parts["hand"]}
    robot = np.isin(owner, (LEFT_FINGER, RIGHT_FINGER, REST_OF_ROBOT))
    for part, least in parts.values():
        if np.count_nonzero(part) < least:
            return False
        around = _grown(part, RING) & ~robot
        if scene == plain and norm(picture[part].mean(axis=0) - picture[around].mean(axis=0)) < CONTRAST:
            return False
    return True


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    """A mask (n, n) with all that is within so many steps of it, up, down or to a side."""
    for _ in range(pixels):
        wide = np.pad(mask, 1)
        mask = wide[1:-1, 1:-1] | wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    return mask


@lru_cache(maxsize=1)
def _world() -> World:
    """One World a process."""
    return World("fast")


def summarise(suite: str, records: Sequence[EpisodeRecord], findings: Sequence[Finding]) -> Audit:
    """Pool episodes and findings into rows."""

    def rows(name: Callable[[tuple[str, str, float, int]], str]) -> list[Row]:
        played: dict[str, list[EpisodeRecord]] = defaultdict(list)
        seen: dict[str, list[Finding]] = defaultdict(list)
        for record in records:
            if record.axis != "control":
                played[name(record.key)].append(record)
        for finding in findings:
            seen[name(finding.key)].append(finding)
        return [
            Row(
                key,
                Rate.of(r.success for r in played[key]),
                Rate.of(f.visible for f in seen[key] if f.visible is not None),
                Rate.of(f.hand for f in seen[key] if f.hand is not None),
                [_wrong(f) for f in seen[key] if _wrong(f)],
            )
            for key in sorted(played, key=_order)
        ]

    return Audit(
        suite,
        len(records),
        rows(lambda key: key[1] if key[1] == "none" else f"{key[1]}@{key[2]:g}"),
        rows(lambda key: f"{key[0]} / {key[1]}"),
    )


def _wrong(finding: Finding) -> str:
    task, shift, severity, seed = finding.key
    said = [text for text in (finding.contract, finding.agreement, finding.unclean) if text]
    return f"{task} / {shift}@{severity:g} / seed {seed}: {'; '.join(said)}" if said else ""


def _order(name: str) -> tuple[int, str]:
    axes = ("none", "semantic", "visual", "execution")
    shift = name.rpartition(" / ")[2]
    return (next((i for i, axis in enumerate(axes) if shift.startswith(axis)), len(axes)), name)


def markdown(found: Audit) -> str:
    """The table, for the docs."""
    shifts = {name: SHIFTS.get(name) for name in SHIFTS.names()}
    lines = [
        f"# Audit of {found.suite}",
        "",
        f"Regenerate with `make audit` (`oodbench audit --suite {found.suite}`). {found.episodes} episodes of the "
        "expert; rates over all tasks with 95 % Wilson intervals. A row fails when an interval's upper end is below "
        "95 %, or when any scene breaks its contract or any instruction does not ask for what is scored.",
        "",
        "| shift | severity | expert | n | visible | hand | contract and agreement | verdict |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |",
    ]
    for row in found.by_severity:
        name, _, level = row.name.partition("@")
        hides = name in shifts and shifts[name].occludes
        seen, hand = ("may be hidden" if hides else _percent(rate) for rate in (row.visible, row.hand))
        wrong = f"{len(row.wrong)} wrong" if row.wrong else "hold"
        verdict = "passes" if row.passes else "FAILS"
        lines.append(
            f"| {name} | {level or 0} | {_interval(row.expert)} | {row.expert.n} | {seen} | {hand} | {wrong} "
            f"| {verdict} |"
        )
    lines += ["", "## Cells under 95 %", "", "Of a task and a shift, over all severities:", ""]
    low = [row for row in found.by_task if row.below]
    lines += [f"- {row.name}: {_interval(row.expert)} of {row.expert.n}{'' if row.passes else ' FAILS'}" for row in low]
    lines += [] if low else ["None."]
    left_out = [f"- {shift.name}: {', '.join(none)}" for shift in SHIFTS if (none := _without(shift.applies))]
    lines += ["", "## Pairs that make no sense and are not played", "", *left_out]
    faults = [text for row in found.by_severity for text in row.wrong]
    if faults:
        lines += ["", "## What is wrong", "", *(f"- {text}" for text in faults)]
    return "\n".join(lines) + "\n"


def _without(applies: Callable[..., bool]) -> list[str]:
    return [task.name for task in TASKS if task.concept is None and not applies(task)]


def _percent(rate: Rate) -> str:
    return "-" if rate.value is None else f"{100 * rate.value:.0f} %"


def _interval(rate: Rate) -> str:
    if rate.value is None:
        return "-"
    return f"{100 * rate.value:.1f} % ({100 * rate.interval.low:.0f}-{100 * rate.interval.high:.0f})"
