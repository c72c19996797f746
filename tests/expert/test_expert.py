"""The expert is a function of the state, and reaches the goal from wherever something has taken the world."""

import math

import numpy as np
import pytest

from oodbench.demos.record import demo_scene, new_expert, play
from oodbench.demos.store import DemoPlan
from oodbench.expert import SKILLS, Expert
from oodbench.goal import Condition
from oodbench.scene import Move, Push
from oodbench.seeding import generator
from oodbench.sim.world import World
from oodbench.task import TASKS

PLACING = ("put-on", "put-in", "stack", "lift", "place-relative", "two-step", "think-shape")


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


def _solve(world, scene):
    world.reset(scene)
    expert = new_expert(world, scene.key.task, 0)
    while not world.status.settled and world.steps < scene.timing.horizon:
        world.step(expert.action())
    return world.status


def test_there_is_a_skill_for_every_goal():
    wanted = set()
    for task in map(TASKS.get, TASKS.names()):
        scene = task.sample(0)
        wanted |= {Condition.parse(text, [item.id for item in scene.objects]).name for text in scene.goal.success}
    assert wanted - {"untouched"} <= set(SKILLS.names())


@pytest.mark.parametrize("task", PLACING)
def test_it_remembers_nothing(world, task):
    """Under noise and kicks, one who was there all the time does what one does who has just come."""
    world.reset(demo_scene(task, 2, 0.0))
    kept = new_expert(world, task, 2)
    for step in play(world, task, 2, DemoPlan(tasks=(task,)), lambda: kept.action()[None].astype(np.float32)):
        assert np.array_equal(step.chunk[0], new_expert(world, task, 2).action().astype(np.float32))
        assert np.abs(step.chunk).max() <= 1.0
    assert world.status.settled


@pytest.mark.parametrize("step", [8, 16, 24])
def test_it_goes_after_what_is_moved(world, step):
    """Before it is there, as it grips, and as it carries: then it comes back for it."""
    scene = TASKS.get("put-on").sample(5)
    away = Move(step=step, object="target", position=(-0.12, 0.02, 0.0), yaw=0.7)
    assert _solve(world, scene.but(events=(away,))).settled


@pytest.mark.parametrize("seed", range(3))
def test_it_copes_with_pushes(world, seed):
    scene, rng = TASKS.get("put-on").sample(20 + seed), generator("pushes", seed)
    pushes = [Push(step=4 + 7 * i, object="hand", impulse=tuple(rng.uniform(-6, 6, 3) * [1, 1, 0.3])) for i in range(4)]
    assert _solve(world, scene.but(events=tuple(pushes))).settled


def test_when_all_is_done_it_rests(world):
    scene = TASKS.get("put-on").sample(2)
    assert _solve(world, scene).settled
    expert = new_expert(world, "put-on", 2)
    for _ in range(30):
        here = world.grip_position.copy()
        action = expert.action()
        world.step(action)
    assert np.abs(action[:6]).max() < 0.001
    assert action[6] == -1.0
    assert np.linalg.norm(world.grip_position - here) < 0.0005
    assert world.status.settled


def test_what_is_out_of_reach_is_no_end(world):
    """A thing on the floor: it goes on giving actions that can be executed, until the episode is over."""
    scene = TASKS.get("put-on").sample(2)
    world.reset(scene.but(events=(Move(step=6, object="target", position=(0.9, 0.9, -0.4), yaw=0.0),)))
    expert = new_expert(world, "put-on", 2)
    for _ in range(100):
        action = expert.action()
        assert np.isfinite(action).all()
        assert np.abs(action).max() <= 1.0
        world.step(action)
    assert world.grip_position[2] > 0.0


@pytest.mark.parametrize("turn", [-0.1, -0.02, 0.02, 0.1])
def test_equal_turns_are_made_to_the_same_side(world, turn):
    """What lies across may be taken by a quarter to the left or to the right; around there, always to the left."""
    world.reset(TASKS.get("put-on").sample(2))
    expert = Expert()
    expert.bind(world)
    wanted = expert.yaw() + math.pi / 2 + turn
    assert 0 < expert.equal_yaw(wanted) - expert.yaw() < math.pi / 2 + 0.11
    assert math.sin(expert.equal_yaw(wanted) - wanted) == pytest.approx(0.0, abs=1e-9)


def test_neighbouring_states_have_neighbouring_labels(world):
    """The hand is half a millimetre elsewhere, in the midst of everything: the label hardly differs."""
    scene, rng = demo_scene("put-on", 4, 0.0), generator("neighbours")
    world.reset(scene)
    expert, changes = new_expert(world, "put-on", 4), []
    while not world.status.settled and world.steps < scene.timing.horizon:
        action = expert.action()
        labels = []
        for _ in range(2):
            with world.aside():
                world.step(np.clip(action + 0.01 * np.append(rng.uniform(-1, 1, 6), 0.0), -1, 1))
                labels.append(expert.action())
        change = np.abs(labels[1] - labels[0])
        if change[6] < 0.05:
            changes.append(change[:6].max())
        world.step(action)
    assert np.quantile(changes, 0.9) < 0.05
