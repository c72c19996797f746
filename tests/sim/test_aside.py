"""A world plays on in a copy of its present and comes back to it, whatever its scene has in store."""

import numpy as np
import pytest

from oodbench.errors import OodbenchError
from oodbench.scene import Say
from oodbench.seeding import generator
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.task import TASKS

ACTIONS = generator("aside").uniform(-1, 1, (30, 7)) * [1, 1, 1, 0.3, 0.3, 0.3, 1]
SHIFTS = {
    "nothing": "none",
    "actions late, lagging, lost, noisy": (
        "execution.action-latency@4+execution.motor-lag@4+execution.lost-actions@4+execution.action-noise@4"
    ),
    "observations late, lost, noisy": (
        "execution.stale-observations@4+execution.dropped-observations@4+execution.proprioception-noise@4+visual.noise@3"
    ),
    "light and view change": "visual.light-switch@4+visual.camera-knock@4",
    "things move": "execution.object-moved@4+execution.bump@4",
}


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


def _scene(text):
    scene = TASKS.get("put-on").sample(4)
    shifted = scene if text == "none" else ShiftSpec.parse(text).apply(scene, task=TASKS.get("put-on"))
    # what comes comes within the few steps that are played here
    events = tuple(event.but(step=min(event.step, 12)) for event in shifted.events)
    return shifted.but(events=(*events, Say(step=14, text="stop")))


def _known(world):
    """All that can be asked of a world."""
    observation = world.observation(32)
    return (
        *(observation.image.tobytes(), observation.wrist_image.tobytes(), observation.state.tobytes()),
        *(observation.joints.tobytes(), observation.instruction, world.pending_actions.tobytes()),
        *(world.steps, world.status, world.outcome_sha256(), world.touching_gripper("target")),
    )


def _played(world, actions):
    found = []
    for action in actions:
        world.step(action)
        found.append(_known(world))
    return found


@pytest.mark.parametrize("text", SHIFTS.values(), ids=SHIFTS)
def test_what_is_played_aside_leaves_no_trace(world, text):
    scene = _scene(text)
    world.reset(scene)
    expected = _played(world, ACTIONS)
    world.reset(scene)
    for step in range(0, 30, 5):
        assert _played(world, ACTIONS[step : step + 5]) == expected[step : step + 5]
        with world.aside():
            assert _played(world, ACTIONS[step + 5 : step + 12]) == expected[step + 5 : step + 12], "the copy is one"
            with world.aside():
                _played(world, -ACTIONS[:4])
            _played(world, -ACTIONS)
        assert _known(world) == expected[step + 4]


def test_it_comes_back_when_something_goes_wrong(world):
    world.reset(_scene("none"))
    before = world.outcome_sha256()
    with pytest.raises(OodbenchError, match="7 finite numbers"), world.aside():
        _played(world, [ACTIONS[0], ACTIONS[1][:3]])
    assert world.outcome_sha256() == before
    world.reset(_scene("none"))


def test_a_new_episode_cannot_begin_aside(world):
    world.reset(_scene("none"))
    with pytest.raises(OodbenchError, match="cannot be reset within"), world.aside():
        world.reset(_scene("none"))
    world.reset(_scene("none"))


def test_observations_belong_to_the_copy_or_to_the_world(world):
    world.reset(_scene("none"))
    before = world.observation(32)
    with world.aside():
        world.step(np.zeros(7))
        within = world.observation(32)
    assert before.image.shape == (32, 32, 3), "it is still of the present"
    world.step(np.zeros(7))
    with pytest.raises(OodbenchError, match="earlier step"):
        _ = within.image
