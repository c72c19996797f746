"""From a 7-number action to joint targets: the robosuite / LIBERO convention over differential inverse kinematics."""

from __future__ import annotations

import mujoco
import numpy as np

from oodbench.convention import POSITION_SCALE, ROTATION_SCALE
from oodbench.sim import rotations
from oodbench.sim.build import Built

GRIPPER_RATE = 0.5  # share of the full opening that the gripper's target moves in a control step at +-1
POSITION_LEASH = 0.08  # how far the target may run ahead of the hand (m) and
ROTATION_LEASH = 0.6  # (rad): pushing against a wall must not wind up
DAMPING = 0.05  # of the least squares
POSTURE_GAIN = 0.1  # share of the way to the home posture, in the null space, a control step


class Controller:
    """Holds the target pose of the grip site; an action moves the target, and the joints follow it.

    The target is what was asked for, not where the hand got to, so that a zero action holds still and errors do not
    add up. One damped least-squares step a control step, from the kinematics that the last physics step left behind.
    """

    def __init__(self, built: Built, data: mujoco.MjData) -> None:
        self._built = built
        self._data = data
        self._jacobian = np.zeros((6, built.model.nv))
        self._of_arm = np.zeros((6, len(built.arm_dof)))
        self._solver = rotations.LeastSquares(len(built.arm_dof), DAMPING)
        self.position = np.zeros(3)  # target, world frame (m)
        self.quat = np.zeros(4)  # target, world frame (w, x, y, z)
        self.opening = 0.0  # target distance between the fingers (m)
        self._home = np.zeros(len(built.arm_qpos))

    def reset(self, opening: float) -> None:
        """Take the present pose as target and the present joints as the home posture."""
        self.position = self._data.site_xpos[self._built.grip_site].copy()
        self.quat = rotations.of_site(self._data, self._built.grip_site)
        self.opening = opening
        self._home = self._data.qpos[self._built.arm_qpos].copy()
        self._write(self._home)

    def apply(self, action: np.ndarray) -> None:
        """Move the target by `action` (7 numbers in [-1, 1]) and set the actuators' set-points."""
        site = self._built.grip_site
        achieved = self._data.site_xpos[site]
        lead = self.position + POSITION_SCALE * action[:3] - achieved
        self.position = achieved + lead * min(1.0, POSITION_LEASH / max(mujoco.mju_norm3(lead), 1e-9))
        turned = rotations.product(rotations.of_vector(ROTATION_SCALE * action[3:6]), self.quat)
        here = rotations.of_site(self._data, site)
        error = rotations.difference(turned, here)
        angle = mujoco.mju_norm3(error)
        if angle > ROTATION_LEASH:
            error *= ROTATION_LEASH / angle
            turned = rotations.product(rotations.of_vector(error), here)
        mujoco.mju_normalize4(turned)
        self.quat = turned
        self.opening = min(
            max(self.opening - GRIPPER_RATE * action[6] * self._built.robot.opening, 0.0), self._built.robot.opening
        )
        self._write(self._joint_targets(np.concatenate([self.position - achieved, error])))

    def _joint_targets(self, error: np.ndarray) -> np.ndarray:
        """Joint positions that take the grip site along `error` (metres, rad), with the arm near its home posture."""
        built, data = self._built, self._data
        mujoco.mj_jacSite(built.model, data, self._jacobian[:3], self._jacobian[3:], built.grip_site)
        jacobian = self._of_arm
        jacobian[:] = self._jacobian[:, built.arm_dof]
        joints = data.qpos[built.arm_qpos]
        posture = POSTURE_GAIN * (self._home - joints)
        return joints + posture + self._solver.solve(jacobian, error - rotations.applied(jacobian, posture))

    def _write(self, joints: np.ndarray) -> None:
        count = len(joints)
        self._data.ctrl[:count] = joints
        half = self.opening / 2
        self._data.ctrl[count : count + 2] = (half, -half)
