"""A robot's editable model, of its files (robots.py)."""

from __future__ import annotations

import mujoco

from oodbench import robots


def spec(name: str) -> mujoco.MjSpec:
    """A fresh, editable MjSpec of the robot: arm, gripper, position actuators in the order of joints, then fingers.

    The gains are the TOML file's, so that no version of MuJoCo computes them.

    Raises:
        AssetError: A file of the robot cannot be read.
    """
    robot = robots.ROBOTS.get(name)
    found = mujoco.MjSpec.from_string(robots.model(name), assets=robots.files(name))
    for joint, armature in zip(robot.joints, robot.armature, strict=True):
        found.joint(joint).armature = armature
    for gains in zip(robot.joints, robot.stiffness, robot.damping, robot.force, strict=True):
        _position_actuator(found, *gains)
    for finger in robot.fingers:
        _position_actuator(found, finger, robot.finger_stiffness, robot.finger_damping, robot.finger_force)
    return found


def _position_actuator(spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, force: float) -> None:
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=stiffness, kv=damping)
    actuator.ctrlrange = spec.joint(joint).range
    actuator.ctrllimited = True
    actuator.forcerange = (-force, force)
    actuator.forcelimited = True
