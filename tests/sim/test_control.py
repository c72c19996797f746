"""What an action means: how far the hand goes by it, from where, and that it stands still when told nothing."""

import itertools

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from oodbench.demos.record import new_expert
from oodbench.pool import standard
from oodbench.scene import Push
from oodbench.sim.world import World
from oodbench.task import TASKS

DIRECTIONS = [np.array(way) / np.linalg.norm(way) for way in itertools.product((-1, 0, 1), repeat=3) if any(way)]
RATES = (10.0, 20.0, 40.0)  # Hz
REST = np.zeros(7)


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


@pytest.fixture(scope="module")
def scene():
    return TASKS.get("put-on").sample(3)


def _at(scene, rate):
    return scene.but(timing=scene.timing.but(control_hz=rate))


def _motion(translation=(0, 0, 0), rotation=(0, 0, 0), gripper=-1.0):
    return np.array([*translation, *rotation, gripper])


def _play(world, action, steps):
    for _ in range(round(steps)):
        world.step(action)
    return world.grip_position.copy(), world.data.site_xmat[world.built.grip_site].reshape(3, 3).copy()


def _turned(before, after):
    return Rotation.from_matrix(after @ before.T).as_rotvec()


@pytest.mark.parametrize(
    ("rate", "size", "tolerance"),
    [(20.0, 0.02, 0.10), (20.0, 0.1, 0.10), (20.0, 0.3, 0.10), (10.0, 0.1, 0.10), (40.0, 0.1, 0.15)],
)
def test_the_hand_moves_by_its_actions_in_every_direction(world, scene, rate, size, tolerance):
    """5 cm a control step for a component of 1, and straight, once it moves."""
    for way in DIRECTIONS:
        world.reset(_at(scene, rate))
        start, _ = _play(world, _motion(size * way), 0.15 * rate)
        end, _ = _play(world, _motion(size * way), 0.15 * rate)
        moved = (end - start) / (0.05 * size * round(0.15 * rate))
        assert abs(moved @ way - 1) < tolerance, way
        assert np.linalg.norm(moved - (moved @ way) * way) < 0.07, way


@pytest.mark.parametrize("rate", RATES)
def test_the_hand_turns_by_its_actions_in_every_direction(world, scene, rate):
    """0.5 rad a control step for a component of 1, about a fixed axis, once it turns."""
    size = 1.0 / rate
    for axis in DIRECTIONS:
        world.reset(_at(scene, rate))
        _, start = _play(world, _motion(rotation=size * axis), 0.25 * rate)
        _, end = _play(world, _motion(rotation=size * axis), 0.15 * rate)
        turned = _turned(start, end) / (0.5 * size * round(0.15 * rate))
        assert abs(turned @ axis - 1) < 0.15, axis
        assert np.linalg.norm(turned - (turned @ axis) * axis) < 0.15, axis


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [0.1, 0.5, 1.0])
def test_one_action_gets_there(world, scene, rate, size):
    for way in DIRECTIONS[::3]:
        world.reset(_at(scene, rate))
        start = world.grip_position.copy()
        world.step(_motion(size * way))
        end, _ = _play(world, REST, rate)
        assert np.linalg.norm(end - start - 0.05 * size * way) < 0.001


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("size", [0.1, 0.5])
def test_one_rotation_gets_there(world, scene, rate, size):
    for axis in DIRECTIONS[::3]:
        world.reset(_at(scene, rate))
        _, start = _play(world, REST, 1)
        world.step(_motion(rotation=size * axis))
        _, end = _play(world, REST, rate)
        assert np.linalg.norm(_turned(start, end) - 0.5 * size * axis) < 0.03 * 0.5 * size


def test_an_action_counts_from_where_the_hand_is_and_not_from_where_it_was_to_be(world, scene):
    """The hand pushes against the table for two seconds, and then comes up as one that never did."""
    world.reset(scene)
    start = world.grip_position.copy()
    free = _play(world, _motion(translation=(0, 0, 0.5)), 2)[0][2] - start[2]
    pushed, _ = _play(world, _motion(translation=(0, 0, -0.5), gripper=1.0), 40)
    again, _ = _play(world, _motion(translation=(0, 0, -0.5), gripper=1.0), 1)
    assert abs(again[2] - pushed[2]) < 0.001, "it is on the table"
    up = _play(world, _motion(translation=(0, 0, 0.5), gripper=1.0), 2)[0][2] - again[2]
    assert up > 0.8 * free


def test_a_push_is_not_undone_by_what_follows(world, scene):
    """Told to move on, the hand goes on from where the push has left it; told nothing, it goes back."""
    push = Push(step=3, object="hand", impulse=(0.0, 4.0, 0.0))
    ends = {}
    for size in (0.0, 0.1):
        for name, events in (("pushed", (push,)), ("alone", ())):
            world.reset(scene.but(events=events))
            ends[size, name], _ = _play(world, _motion(translation=(size, 0, 0)), 25)
    assert abs(ends[0.0, "pushed"] - ends[0.0, "alone"])[1] < 0.003
    assert (ends[0.1, "pushed"] - ends[0.1, "alone"])[1] > 0.01


@pytest.fixture(scope="module")
def heaviest():
    """The heaviest thing that suites draw, and that is to be lifted."""
    task = TASKS.get("lift")
    things = [asset for split in ("train", "dev", "test") for asset in standard().objects_of("object", split)]
    world, scene, masses = World("fast"), task.sample(0), {}
    for asset in things:
        world.reset(scene.replace_object("target", asset=asset.name))
        masses[asset.name] = world.model.body_mass[world.built.body["target"]]
    return scene.replace_object("target", asset=max(masses, key=masses.__getitem__))


@pytest.mark.parametrize("motion", [0.0, 1e-6])
def test_told_nothing_the_hand_holds_still_with_a_payload(world, heaviest, motion):
    """10 s with the heaviest thing: within 1 mm of where it has come to rest after half a second."""
    world.reset(heaviest)
    expert = new_expert(world, "lift", 0)
    while not world.status.settled and world.steps < 100:
        world.step(expert.action())
    assert world.held("target")
    action = np.array([*[motion] * 6, 0.0])
    start, pose = _play(world, action, 10)
    far = [np.linalg.norm(_play(world, action, 1)[0] - start) for _ in range(200)]
    assert max(far) < 0.001
    assert np.linalg.norm(_turned(pose, _play(world, action, 1)[1])) < 0.005
    assert world.held("target")


def test_small_motions_pass_into_rest_without_a_jump(world, scene):
    """Around where an action begins to count as standing still, a little more of it moves the hand a little more."""
    ends = []
    for size in np.linspace(0.0, 0.1, 21):
        world.reset(scene)
        _play(world, _motion(translation=(0, 0.4, 0)), 3)
        ends.append(_play(world, _motion(translation=(0, size, 0)), 1)[0][1])
    steps = np.diff(ends)
    assert np.abs(np.diff(steps)).max() < 0.001
