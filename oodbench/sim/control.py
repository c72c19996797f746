"""From a 7-number action to joint targets: the robosuite / LIBERO convention over differential inverse kinematics."""

from __future__ import annotations

import math

import mujoco
import numpy as np

from oodbench.convention import POSITION_SCALE, ROTATION_SCALE
from oodbench.sim import rotations
from oodbench.sim.build import Built

GRIPPER_RATE = 0.5  # share of the full opening that the gripper's target moves in a control step at +-1
DAMPING = 0.05  # of the least squares
POSTURE_GAIN = 0.1  # share of the way to the home posture, in the null space, a control step
SETTLING = 0.5  # share of what is left of the last goal that is gone in a control step: all of it would swing
_SCALE = np.repeat((POSITION_SCALE, ROTATION_SCALE), 3)  # of an action's first six components, (6,)
STILL = 0.05  # share of the action range below which a motion begins to count as standing still


class Controller:
    """Holds the goal pose of the grip site: an action sets it relative to the pose that the hand has now.

    As in robosuite's OSC_POSE, and LIBERO's, the goal starts from the *achieved* pose at every step, so that what an
    action means can be seen in a picture and in proprioception. There, a hand that is told to do nothing sinks under
    what it carries; here, the less is asked for, the more of the last goal is kept: all of it by a zero action, none
    from 5 % of the range on. Translation and rotation do so each by itself.

    One damped least-squares step a control step, from the kinematics that the last physics step left behind. The
    set-points of the joints lead by as much as a massless joint needs to go the whole way in one control step, so that
    the hand moves by what its actions say, equally fast in all directions.
    """

    def __init__(self, built: Built, data: mujoco.MjData, control_hz: float) -> None:
        self._built = built
        self._data = data
        self._jacobian = np.zeros((6, built.model.nv))
        self._of_arm = np.zeros((6, len(built.arm_dof)))
        self._solver = rotations.LeastSquares(len(built.arm_dof), DAMPING)
        robot = built.robot
        self._lead = np.array(
            [-1 / math.expm1(-k / (d * control_hz)) for k, d in zip(robot.stiffness, robot.damping, strict=True)]
        )
        self._position = np.zeros(3)  # goal, world frame (m)
        self._quat = np.zeros(4)  # goal, world frame (w, x, y, z)
        self._opening = 0.0  # target distance between the fingers (m)
        self._home = np.zeros(len(built.arm_qpos))

    def reset(self, opening: float) -> None:
        """Take the present pose as goal and the present joints as the home posture."""
        self._position = self._data.site_xpos[self._built.grip_site].copy()
        self._quat = rotations.of_site(self._data, self._built.grip_site)
        self._opening = opening
        self._home = self._data.qpos[self._built.arm_qpos].copy()
        self._write(self._home)

    def apply(self, action: np.ndarray) -> None:
        """Set the goal by `action` (7 numbers in [-1, 1]), and the actuators' set-points."""
        data, site, robot = self._data, self._built.grip_site, self._built.robot
        here = data.site_xpos[site]
        asked, rest = _SCALE * action[:6], np.zeros(6)  # the pose's change (m, rad), and what is left of the last one
        if kept := _kept(action[:3]):
            rest[:3] = kept * (self._position - here)
        if kept := _kept(action[3:6]):
            rest[3:] = kept * rotations.difference(self._quat, rotations.of_site(data, site))
        change = asked + rest
        self._position = here + change[:3]
        self._quat = rotations.of_turned_site(data, site, change[3:])
        self._opening = min(max(self._opening - GRIPPER_RATE * float(action[6]) * robot.opening, 0.0), robot.opening)
        self._write(self._joint_targets(asked + SETTLING * rest))

    def _joint_targets(self, error: np.ndarray) -> np.ndarray:
        """Joint positions that take the grip site along `error` (metres, rad), with the arm near its home posture."""
        built, data = self._built, self._data
        mujoco.mj_jacSite(built.model, data, self._jacobian[:3], self._jacobian[3:], built.grip_site)
        jacobian = self._jacobian.take(built.arm_dof, 1, self._of_arm, "clip")  # "clip" avoids a buffer
        joints = data.qpos[built.arm_qpos]
        posture = POSTURE_GAIN * (self._home - joints)
        motion = posture + self._solver.solve(jacobian, error - rotations.applied(jacobian, posture))
        return joints + self._lead * motion

    def _write(self, joints: np.ndarray) -> None:
        count = len(joints)
        self._data.ctrl[:count] = joints
        half = self._opening / 2
        self._data.ctrl[count : count + 2] = (half, -half)


def _kept(motion: np.ndarray) -> float:
    """Which share of the way to the last goal is kept by an action with this translation or rotation, (3,)."""
    return max(0.0, 1.0 - mujoco.mju_norm3(motion) / STILL)
