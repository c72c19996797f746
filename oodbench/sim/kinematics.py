"""Inverse kinematics of a robot by itself, for postures that are asked for as poses of the hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import mujoco
import numpy as np

from oodbench.errors import SpecError
from oodbench.robots import ROBOTS
from oodbench.sim import rotations
from oodbench.sim.robots import spec

ITERATIONS = 200
DAMPING = 0.02
TOLERANCE = 1e-4  # m and rad


@lru_cache(maxsize=4)
def _model(name: str) -> mujoco.MjModel:
    return spec(name).compile()


def displaced_posture(name: str, qpos: Sequence[float], way: np.ndarray, turn: np.ndarray) -> tuple[float, ...]:
    """The joint positions (rad) that put the grip site `way` (m) and `turn` (rotation vector, rad) from that of `qpos`.

    Both (3,), in the frame of the robot's base. Damped least squares from `qpos`, within the joint limits. Raises
    SpecError when the pose is out of reach.
    """
    model, robot = _model(name), ROBOTS.get(name)
    data = mujoco.MjData(model)
    joints = [model.joint(joint) for joint in robot.joints]
    places, dofs = np.array([j.qposadr[0] for j in joints]), np.array([j.dofadr[0] for j in joints])
    low, high = np.array([j.range for j in joints]).T
    site = model.site(robot.grip_site).id
    data.qpos[places] = qpos
    mujoco.mj_kinematics(model, data)
    goal = data.site_xpos[site] + way
    goal_quat = rotations.product(rotations.of_vector(turn), rotations.of_site(data, site))
    jacobian, error = np.zeros((6, model.nv)), np.zeros(6)
    solver = rotations.LeastSquares(len(dofs), DAMPING)
    for _ in range(ITERATIONS):
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        error[:3] = goal - data.site_xpos[site]
        error[3:] = rotations.difference(goal_quat, rotations.of_site(data, site))
        if np.abs(error).max() < TOLERANCE:
            return tuple(float(x) for x in data.qpos[places])
        mujoco.mj_jacSite(model, data, jacobian[:3], jacobian[3:], site)
        step = solver.solve(np.ascontiguousarray(jacobian[:, dofs]), error)
        data.qpos[places] = np.clip(data.qpos[places] + step, low, high)
    raise SpecError(f"robot {name!r}: no posture has its hand {way.round(3).tolist()} m from the initial one")
