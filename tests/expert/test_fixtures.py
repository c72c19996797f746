"""The expert with drawers, buttons and knobs: from the state alone, disturbed, and from states that may be traps."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from oodbench.expert import Expert
from oodbench.policies.base import EpisodeInfo
from oodbench.scene import Scene
from oodbench.seeding import generator, normal
from oodbench.sim.world import World
from oodbench.task import TASKS

FIXTURES = ("open-drawer", "close-drawer", "press-button", "turn-knob")


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast", models=2)


def _expert(world: World, scene: Scene, task: str) -> Expert:
    """A new expert, which knows nothing but the state."""
    expert = Expert()
    expert.bind(world)
    expert.reset(EpisodeInfo(task, scene.instruction.text, 0, scene.timing.horizon, 20))
    return expert


def _play(world: World, scene: Scene, task: str, noise: float = 0.0) -> np.ndarray:
    """The actions, (n, 7), of experts that are made anew at every step, until the goal is settled or time is out."""
    rng = generator("disturbed", task, scene.key.seed)
    actions = []
    start = world.steps
    while world.steps - start < scene.timing.horizon and not world.status.settled:
        actions.append(_expert(world, scene, task).action())
        disturbed = actions[-1].copy()
        disturbed[:6] += noise * normal(rng, 6) * np.array([1, 1, 1, 0.3, 0.3, 0.3])
        world.step(disturbed)
    return np.array(actions)


@pytest.mark.parametrize("task", FIXTURES)
@pytest.mark.parametrize("seed", range(3))
def test_memory_is_not_needed_and_noise_does_no_harm(world: World, task: str, seed: int) -> None:
    scene = TASKS.get(task).sample(seed, "test-fixtures")
    world.reset(scene)
    _play(world, scene, task, noise=0.08)
    assert world.status.settled


@pytest.mark.parametrize("task", FIXTURES)
def test_actions_change_gently(world: World, task: str) -> None:
    scene = TASKS.get(task).sample(1, "test-fixtures")
    world.reset(scene)
    actions = _play(world, scene, task)
    changes = np.abs(np.diff(actions, axis=0))
    moving = changes[changes[:, 6] < 0.05][:, :6].max(axis=1)
    assert world.status.settled
    assert np.mean(moving > 0.25) < 0.1


@pytest.mark.parametrize("task", FIXTURES)
def test_actions_on_their_way_count_as_done(world: World, task: str) -> None:
    scene = TASKS.get(task).sample(2, "test-fixtures")
    scene = scene.but(timing=scene.timing.but(action_delay=4))
    world.reset(scene)
    _play(world, scene, task)
    assert world.status.settled


def test_the_other_button_is_not_touched(world: World) -> None:
    for seed in range(4):
        scene = TASKS.get("press-button").sample(seed, "test-fixtures")
        world.reset(scene)
        while not world.status.settled and world.steps < scene.timing.horizon:
            world.step(_expert(world, scene, "press-button").action())
            assert not world.touching_gripper("other")
        assert world.status.settled


@pytest.mark.parametrize("task", FIXTURES)
@pytest.mark.parametrize("seed", range(4))
def test_no_state_is_a_trap(world: World, task: str, seed: int) -> None:
    """The hand was led low beside the handle, over it or behind it, and closed there; the joint is partly moved."""
    scene = TASKS.get(task).sample(seed, "test-fixtures")
    world.reset(scene)
    rng = generator("trap", task, seed)
    item = scene.goal.manipulated[0]
    expert = _expert(world, scene, task)
    there = world.grasp_point(item) + rng.uniform(-1, 1, 3) * np.array([0.07, 0.07, 0.04]) + np.array([0, 0, 0.02])
    yaw = expert.yaw() + rng.uniform(-0.8, 0.8)
    for step in range(25):
        world.step(expert.toward(there, yaw, -1.0 if step < 20 else 1.0))
    if seed % 2 and task != "press-button":
        joint = world.built.joint[item]
        world.data.qpos[world.model.jnt_qposadr[joint]] = rng.uniform(0.2, 0.6) * world.model.jnt_range[joint][1]
        mujoco.mj_forward(world.model, world.data)
    _play(world, scene, task)
    assert world.status.settled


@pytest.mark.parametrize("task", FIXTURES)
def test_when_it_is_done_the_hand_leaves_and_rests(world: World, task: str) -> None:
    scene = TASKS.get(task).sample(3, "test-fixtures")
    world.reset(scene)
    _play(world, scene, task)
    assert world.status.settled
    for _ in range(40):
        action = _expert(world, scene, task).action()
        world.step(action)
    assert world.status.settled
    assert np.abs(action[:6]).max() < 0.02
    assert world.grip_distance(scene.goal.manipulated[0]) > 0.09
