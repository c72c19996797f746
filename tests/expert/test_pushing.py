"""Pushing from any state that a learner or a push may bring about."""

import mujoco
import numpy as np
import pytest

from oodbench.expert import Expert
from oodbench.policies.base import EpisodeInfo
from oodbench.sim.world import World
from oodbench.task import TASKS

SEEDS = range(4)


def settles(world: World, scene, prelude: list[np.ndarray], puck: tuple[float, float] | None = None) -> bool:
    """Whether an expert that is made anew at every step solves the scene after these actions, in 180 further steps."""
    world.reset(scene)
    for action in prelude:
        world.step(action)
    if puck is not None:
        start = world.built.free["target"]
        world.data.qpos[start : start + 2] = puck
        mujoco.mj_forward(world.model, world.data)
    for _ in range(180):
        if world.status.settled:
            return True
        expert = Expert()
        expert.bind(world)
        expert.reset(EpisodeInfo("push-to", scene.instruction.text, scene.key.seed, 180, 20))
        world.step(expert.action())
    return world.status.settled


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast", models=2)


def scene(seed: int):
    return TASKS.get("push-to").sample(seed, "demo")


@pytest.mark.parametrize("seed", SEEDS)
def test_from_where_random_actions_have_led(world, seed):
    rng = np.random.default_rng(seed)
    actions = np.repeat(rng.uniform(-1, 1, (5, 7)) * [0.4, 0.4, 0.3, 0.4, 0.4, 0.4, 1.0], 6, axis=0)
    assert settles(world, scene(seed), list(actions))


@pytest.mark.parametrize("seed", SEEDS)
def test_with_closed_fingers(world, seed):
    assert settles(world, scene(seed), [np.array([0, 0, 0, 0, 0, 0, 1.0])] * 4)


@pytest.mark.parametrize("aside", [-0.05, 0.0, 0.05])
@pytest.mark.parametrize("ahead", [-0.03, 0.0, 0.03, 0.08])
def test_with_the_hand_on_the_puck_or_in_front_of_it(world, ahead, aside):
    first = scene(0)
    world.reset(first)
    over = world.center("target") + np.array([aside, ahead, 0.0]) - world.grip_position
    steps = 30
    actions = [np.array([*(over / 0.05 / steps), 0, 0, 0, 0])] * steps
    assert settles(world, first, actions)


@pytest.mark.parametrize("puck", [(-0.06, 0.30), (0.04, 0.15), (-0.02, 0.0), (-0.15, 0.05)])
def test_from_beyond_and_beside_the_zone(world, puck):
    assert settles(world, scene(1), [], puck)


@pytest.mark.parametrize("delay", [1, 5])
def test_with_actions_that_come_late(world, delay):
    late = scene(1)
    assert settles(world, late.but(timing=late.timing.but(action_delay=delay)), [])
