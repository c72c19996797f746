"""The expert in training scenes, with noise on what is executed and clean labels: played, and recorded."""

from __future__ import annotations

import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from oodbench import closure
from oodbench.demos.labels import label
from oodbench.demos.store import NAMESPACE, Demo, DemoPlan, DemoStore
from oodbench.errors import RunFolderError
from oodbench.exact import norm, unit
from oodbench.expert import Expert
from oodbench.policies.base import EpisodeInfo
from oodbench.progress import Meter
from oodbench.scene import Lamp, Scene
from oodbench.seeding import generator, normal
from oodbench.sim.world import World
from oodbench.task import TASKS

NEAR = 0.07  # within this distance of a thing of the task, the noise is the small one (m)
LAMP_TURN = 0.15  # how far the lamps may turn for light 0.25, as a share of a vector's length
TURN_NOISE = 0.3  # noise of rotations, as a share of that of translations
KICK = 0.45  # mean length of a kick (share of the action range, at each of its steps)
KICK_STEPS = 2


def demo_scene(task: str, seed: int, light: float) -> Scene:
    """The training scene of a demonstration: in-distribution, under light that varies by `light` (share)."""
    scene = TASKS.get(task).sample(seed, NAMESPACE)
    if light == 0.0:
        return scene
    rng = generator(NAMESPACE, task, seed, "light")

    def vary(lamp: Lamp) -> Lamp:
        turned = np.add(lamp.direction, LAMP_TURN * (light / 0.25) * rng.uniform(-1, 1, 3) * np.array([1, 1, 0]))
        return lamp.but(direction=tuple(turned), diffuse=_scaled(lamp.diffuse, 1 + light * rng.uniform(-1, 1)))

    lights = scene.lights
    ambient = _scaled(lights.ambient, 1 + light * rng.uniform(-1, 1))
    return scene.but(lights=lights.but(ambient=ambient, lamps=tuple(vary(lamp) for lamp in lights.lamps)))


@dataclass(frozen=True)
class Step:
    """One control step of a demonstration, before it is executed.

    chunk: (k, 7) float32, what the expert would do from here on; its first row is the label. executed: (7,) float32,
    that row and what was added to it.
    """

    chunk: np.ndarray
    executed: np.ndarray


def play(world: World, task: str, seed: int, plan: DemoPlan, ask: Callable[[], np.ndarray]) -> Iterator[Step]:
    """Play a training scene under the noise and the kicks of `plan`, until it is settled or its time is over.

    Args:
        world: Reset to the scene.
        task: Its task.
        seed: Its seed; with the task, that of the noise.
        plan: How much noise.
        ask: Gives the chunk, (k, 7), for the present state.

    Yields:
        Each step, before the world plays it.
    """
    rng = generator(NAMESPACE, task, seed, "noise")
    kick, kicked = np.zeros(3), 0
    while world.steps < world.scene.timing.horizon and not world.status.settled:
        chunk = ask()
        sigma = plan.noise_near if _near(world) else plan.noise
        noise = sigma * normal(rng, 6) * np.array([1, 1, 1, TURN_NOISE, TURN_NOISE, TURN_NOISE])
        action = chunk[0].copy()
        if not kicked and rng.random() < plan.kick:
            kick, kicked = _kick(rng), KICK_STEPS
        if kicked:
            noise[:3], kicked = kick, kicked - 1
        action[:6] = np.clip(action[:6] + noise, -1.0, 1.0)
        yield Step(chunk, action)
        world.step(action)


def new_expert(world: World, task: str, seed: int) -> Expert:
    """An expert that has been told what `world` plays."""
    scene, expert = world.scene, Expert()
    expert.bind(world)
    expert.reset(EpisodeInfo(task, scene.instruction.text, seed, scene.timing.horizon, scene.timing.control_hz))
    return expert


def record(task: str, seed: int, plan: DemoPlan, world: World) -> Demo:
    """The expert in one training scene; it sees what its noisy actions led to, and says what it would have done."""
    scene = demo_scene(task, seed, plan.light)
    world.reset(scene)
    expert = new_expert(world, task, seed)
    executed, chunks, states = [], [], []
    for step in play(world, task, seed, plan, lambda: label(expert, world, plan.chunk)):
        states.append(world.proprioception())
        chunks.append(step.chunk)
        executed.append(step.executed)
    if not world.status.settled:
        return Demo(task, seed, False, closure.sha256(scene), world.outcome_sha256())
    arrays = (np.array(executed), np.array(chunks), np.array(states))
    return Demo(task, seed, True, closure.sha256(scene), world.outcome_sha256(), scene, *arrays)


def record_all(path: Path, plan: DemoPlan, workers: int = 2) -> DemoStore:
    """Record what `plan` asks for and the folder `path` does not hold yet."""
    for task in plan.tasks:
        TASKS.get(task)  # a misspelt one is named before the folder is made
    store = DemoStore(path)
    there = store.adopt(plan)
    for (task, seed), recorded in there.items():
        if closure.sha256(demo_scene(task, seed, plan.light)) != recorded:
            raise RunFolderError(
                f"{path}: {task}/{seed} is another scene now (its task or an asset was changed); give another folder"
            )
    wanted = [(task, seed) for seed in range(plan.episodes) for task in plan.tasks]
    todo = [key for key in wanted if key not in there]
    if not todo:
        return store
    kept = failed = 0
    with Meter("recording", len(wanted), len(wanted) - len(todo)) as meter, store.file.open("a") as file:
        for demo in _records(todo, plan, workers):
            store.append(demo, file)
            kept, failed = kept + demo.success, failed + (not demo.success)
            meter.advance(note=f"{kept} kept, {failed} failed")
    return store


def _records(todo: Sequence[tuple[str, int]], plan: DemoPlan, workers: int) -> Iterator[Demo]:
    if workers == 0:
        world = World("fast")
        yield from (record(task, seed, plan, world) for task, seed in todo)
        return
    context = multiprocessing.get_context("spawn")
    chunk = max(1, min(16, math.ceil(len(todo) / workers / 4)))
    with ProcessPoolExecutor(workers, context) as pool:
        yield from pool.map(_record_here, [(task, seed, plan) for task, seed in todo], chunksize=chunk)


_WORLD: list[World] = []


def _record_here(job: tuple[str, int, DemoPlan]) -> Demo:
    if not _WORLD:
        _WORLD.append(World("fast"))
    return record(*job, _WORLD[0])


def _kick(rng: np.random.Generator) -> np.ndarray:
    """A random way, (3,): mostly aside, never far down."""
    way = unit(normal(rng, 3) * np.array([1.0, 1.0, 0.5]))
    return np.maximum(KICK * rng.uniform(0.5, 1.5) * way, [-1.0, -1.0, -0.1])


def _near(world: World) -> bool:
    """Whether the hand is close to a thing of the task, holding one aside."""
    manipulated = world.scene.goal.manipulated
    for id in world.built.assets:
        if id in manipulated and world.touching_gripper(id):
            continue
        if id in manipulated and world.grip_distance(id) < NEAR:
            return True
        if id not in manipulated:
            away = world.grip_position - world.position(id)
            if norm(away[:2]) < NEAR and away[2] < world.asset(id).height + 2 * NEAR:
                return True
    return any(world.touching_gripper(id) and world.lowest_point(id) < 0.02 for id in manipulated)


def _scaled(colour: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    return tuple(float(np.clip(c * by, 0.0, 1.0)) for c in colour)  # type: ignore[return-value]
