"""The probe set: put-on scenes with two candidates each, per concept split, and what a policy sees in them.

Fixed: scene i of a concept is the same for every policy. Every scene gives two frames: `start`, where the thing named
is to be looked for, and `carry`, where the expert has lifted it and the place to put it is to be looked for.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.catalogue import OBJECTS, ObjectAsset
from oodbench.concepts import CONCEPTS, Concept, things
from oodbench.errors import SpecError
from oodbench.expert import Expert
from oodbench.policies.base import EpisodeInfo
from oodbench.pool import standard
from oodbench.progress import Meter
from oodbench.scene import Scene
from oodbench.seeding import generator
from oodbench.shift import Context
from oodbench.shifts import placing
from oodbench.sim.world import World
from oodbench.task import TASKS

NAMESPACE = "probe-1"
TASK = "put-on"
WORDING = "put the {target} on the {receptacle}"
PHASES = ("start", "carry")
MASK = 64  # pixels of the masks


@dataclass
class ProbeSet:
    """n frames, two of each scene.

    image, wrist_image: (n, size, size, 3) uint8. state: (n, 8). instruction, swapped: n texts; the second names the
    other candidate. target, other, place: (n, 64, 64) booleans, the masks of the thing that is named, the other
    candidate and the receptacle. label: n asset names. where: (n, 2), the thing's place on the table (m). concept,
    phase: n names. scene: (n,) numbers.
    """

    image: np.ndarray
    wrist_image: np.ndarray
    state: np.ndarray
    target: np.ndarray
    other: np.ndarray
    place: np.ndarray
    where: np.ndarray
    scene: np.ndarray
    instruction: list[str]
    swapped: list[str]
    label: list[str]
    concept: list[str]
    phase: list[str]

    def __len__(self) -> int:
        return len(self.image)

    def chosen(self, concept: str | None = None, phase: str | None = None) -> np.ndarray:
        """Indices of the frames of a concept and a phase."""
        wanted = [
            (concept is None or c == concept) and (phase is None or p == phase)
            for c, p in zip(self.concept, self.phase, strict=True)
        ]
        return np.flatnonzero(wanted)

    def attribute(self, name: str) -> np.ndarray:
        """An attribute of what is named, for each frame: "name", "colour" or "category"."""
        return np.array([getattr(OBJECTS.get(label), name) for label in self.label])


def probe_scene(concept: Concept, index: int) -> tuple[Scene, str]:
    """Scene `index` of a concept: two candidates of it and a training receptacle; and the swapped instruction."""
    task = TASKS.get(TASK)
    scene = task.sample(index, NAMESPACE)
    rng = generator(NAMESPACE, concept, index)
    pool = things("object", concept)
    first = pool[index % len(pool)]  # every thing in turn, so that labels are balanced
    others = [a for a in pool if a.colour != first.colour and a.category != first.category]
    scene = scene.replace_object("target", asset=first.name)
    context = Context(0.0, rng, "test", task, standard())
    region = task.handled.region

    def reachable(item: Any) -> bool:
        return all(abs(p - c) < h + 0.06 for p, c, h in zip(item.position[:2], region.center, region.half, strict=True))

    shuffled: list[ObjectAsset] = [others[i] for i in rng.permutation(len(others))]
    scene = placing.make_room(scene, "target", context)
    try:
        scene = placing.add(scene, context, shuffled, 1, "distractor", reachable)
    except SpecError:
        scene = placing.add(scene, context, shuffled, 1, "distractor")
    distractor = OBJECTS.get(scene.object("distractor-1").asset)
    return (
        scene.but(instruction=task.instruct(scene, WORDING)),
        task.instruct(scene, WORDING, target=distractor.label).text,
    )


def render(per_concept: int, image_size: int = 256, workers: int = 2) -> ProbeSet:
    """The probe set with so many scenes of each concept, in pictures of `image_size` pixels (a multiple of 64)."""
    if image_size % MASK:
        raise SpecError(f"probe set: pictures of {image_size} pixels; give a multiple of {MASK}")
    jobs = [(concept, index, image_size) for concept in CONCEPTS for index in range(per_concept)]
    rows: list[dict[str, Any]] = []
    with Meter("probe set", len(jobs)) as meter:
        for pair in _frames(jobs, workers):
            rows.extend(pair)
            meter.advance()
    for number, row in enumerate(rows):
        row["scene"] = number // len(PHASES)
    fields: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
    lists = ("instruction", "swapped", "label", "concept", "phase")
    columns: dict[str, Any] = {name: c if name in lists else np.array(c) for name, c in fields.items()}
    return ProbeSet(**columns)


def save(probes: ProbeSet, path: Path) -> None:
    arrays = {k: (np.array(v) if isinstance(v, list) else v) for k, v in vars(probes).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)


def load(path: Path) -> ProbeSet:
    with np.load(path, allow_pickle=False) as file:
        return ProbeSet(**{k: (v.tolist() if v.dtype.kind == "U" else v) for k, v in file.items()})


Job = tuple[Concept, int, int]


def _frames(jobs: list[Job], workers: int) -> Iterator[list[dict[str, Any]]]:
    if workers == 0:
        yield from map(_frames_of, jobs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_frames_of, jobs, chunksize=8)


_WORLD: list[World] = []


def _frames_of(job: Job) -> list[dict[str, Any]]:
    if not _WORLD:
        _WORLD.append(World("standard"))
    world, (concept, index, size) = _WORLD[0], job
    scene, swapped = probe_scene(concept, index)
    world.reset(scene)
    rows = [_frame(world, concept, "start", swapped, size)]
    expert = Expert()
    expert.bind(world)
    expert.reset(EpisodeInfo(TASK, scene.instruction.text, index, scene.timing.horizon, 20.0))
    while world.steps < scene.timing.horizon and not (world.held("target") and world.lowest_point("target") > 0.05):
        world.step(expert.act(world.observation())[0])
    return [*rows, _frame(world, concept, "carry", swapped, size)]


def _frame(world: World, concept: str, phase: str, swapped: str, size: int) -> dict[str, Any]:
    observation = world.observation(size)
    step = size // MASK
    masks = observation.segmentation("image")[step // 2 :: step, step // 2 :: step]
    ids = list(world.built.assets)
    return {
        "image": observation.image,
        "wrist_image": observation.wrist_image,
        "state": observation.state,
        "instruction": world.instruction,
        "swapped": swapped,
        "target": masks == ids.index("target"),
        "other": masks == ids.index("distractor-1"),
        "place": masks == ids.index("receptacle"),
        "where": world.position("target")[:2].copy(),
        "label": world.scene.object("target").asset,
        "concept": concept,
        "phase": phase,
    }
