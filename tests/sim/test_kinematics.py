"""Inverse kinematics puts the hand where it is asked to, or says that it cannot."""

import numpy as np
import pytest

from oodbench.errors import SpecError
from oodbench.shift import SHIFTS
from oodbench.sim import rotations
from oodbench.sim.kinematics import displaced_posture
from oodbench.sim.world import World
from oodbench.task import PANDA_HOME, TASKS


def test_the_hand_is_displaced_and_turned_as_asked():
    task = TASKS.get("put-on")
    plain, world = task.sample(0), World("fast")
    world.reset(plain)
    start, before = world.grip_position.copy(), rotations.of_site(world.data, world.built.grip_site)
    way, turn = np.array([0.05, -0.08, 0.03]), np.array([0.1, 0.0, 0.3])
    posture = displaced_posture("panda", plain.robot.qpos, way, turn)
    world.reset(plain.but(robot=plain.robot.but(qpos=posture)))
    assert np.allclose(world.grip_position - start, way, atol=5e-4)
    turned = rotations.difference(rotations.of_site(world.data, world.built.grip_site), before)
    assert np.allclose(turned, turn, atol=2e-3)


def test_out_of_reach_is_said():
    with pytest.raises(SpecError, match="no posture"):
        displaced_posture("panda", PANDA_HOME, np.array([1.5, 0.0, 0.0]), np.zeros(3))


def test_levels_of_ee_pose_lie_on_one_line():
    task, world = TASKS.get("stack"), World("fast")
    plain = task.sample(2)
    world.reset(plain)
    start, ways = world.grip_position.copy(), []
    for severity in (1.0, 3.0, 5.0):
        world.reset(SHIFTS.get("execution.ee-pose")(plain, severity, task=task))
        ways.append(world.grip_position - start)
    lengths = [float(np.linalg.norm(way)) for way in ways]
    assert np.allclose(lengths, [0.02, 0.06, 0.10], atol=1e-3)
    assert all(
        np.allclose(way / length, ways[0] / lengths[0], atol=0.02) for way, length in zip(ways, lengths, strict=True)
    )
