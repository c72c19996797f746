"""Execution shifts: where things start and how commands turn into motion."""

from __future__ import annotations

import math

import numpy as np

from oodbench.errors import SpecError
from oodbench.scene import Object, Scene
from oodbench.shift import LEVELS, Context, shift
from oodbench.task import PANDA_HOME, is_clear

BEYOND = 0.012  # m a level
TURN = 6.0  # degrees a level
RADIUS = 0.1  # rad a level


@shift(
    "execution.object-pose",
    channels=("objects",),
    unit="distance of the handled object from the border of its training region: 1.2 cm and up to 6 degrees a level",
    source="RL4VLA Position-v1 (a ring outside the training square, unseen yaw); REALM VB-POSE",
    star_gen="VB-POSE",
)
def object_pose(scene: Scene, context: Context) -> Scene:
    """The object to be handled starts outside the region that training drew from, and turned further."""
    item = scene.object(scene.goal.manipulated[0])
    region = context.task.region(item.id)

    def moved(severity: float, along: np.ndarray, turn: float) -> Object:
        beyond = BEYOND * severity
        x, y = (
            c + math.copysign(h + beyond, u) if abs(u) == 1.0 else c + h * u
            for c, h, u in zip(region.center, region.half, along, strict=True)
        )
        yaw = item.yaw + math.copysign(math.radians(TURN * severity), turn)
        return item.but(position=(x, y, item.position[2]), yaw=yaw)

    for _ in range(500):
        *along, turn = context.rng.uniform(-1, 1, 3)
        along = np.asarray(along) / np.abs(along).max()  # onto the border of a square
        # A direction that is free at every level, so that the levels of one episode lie on one line.
        if all(is_clear(moved(level, along, turn), scene.objects) for level in LEVELS):
            there = moved(context.severity, along, turn)
            return scene.replace_object(item.id, position=there.position, yaw=there.yaw)
    raise SpecError(f"{scene.key}: no free place for {item.asset} outside its region")


@shift(
    "execution.robot-init",
    channels=("robot",),
    unit="distance of the initial joint positions from the training posture: 0.1 rad a level, in a random direction",
    source="LIBERO-plus (MountedPanda classes: a random direction, radius 0.1 to 0.5 rad)",
    star_gen="VB-ISC",
)
def robot_init(scene: Scene, context: Context) -> Scene:
    """The arm starts in another posture."""
    direction = context.rng.standard_normal(len(PANDA_HOME))
    offset = RADIUS * context.severity * direction / np.linalg.norm(direction)
    return scene.but(robot=scene.robot.but(qpos=tuple(np.asarray(scene.robot.qpos) + offset)))


@shift(
    "execution.action-latency",
    channels=("timing",),
    unit="control steps (50 ms) between an action and its effect",
    source="vla-evaluation-harness (Kinetix under 0 to 500 ms); LIBERO-LQ; here in simulated time",
    star_gen="-",
)
def action_latency(scene: Scene, context: Context) -> Scene:
    """Every action takes effect later; fractional severities round up to whole control steps."""
    return scene.but(timing=scene.timing.but(action_delay=math.ceil(context.severity)))
