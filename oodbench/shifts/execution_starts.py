"""Execution shifts of the start: where things and the robot are when the episode begins."""

from __future__ import annotations

import math

import numpy as np

from oodbench.scene import Camera, Object, Scene
from oodbench.shift import Context, shift
from oodbench.shifts import placing
from oodbench.task import PANDA_HOME

BEYOND = 0.012  # m a level
TURN = 6.0  # degrees a level
RADIUS = 0.1  # rad a level
RISE = 0.012  # m a level
HAND, HAND_TURN = 0.02, 4.0  # m and degrees a level


def _started_outside(scene: Scene, id: str, context: Context) -> Object:
    item = scene.object(id)
    region = context.task.named(id).region
    return placing.outside(scene, item, region, BEYOND, math.radians(TURN), context, scene.objects)


@shift(
    "execution.object-pose",
    channels=("objects",),
    unit="distance of the handled object from the border of its training region: 1.2 cm and up to 6 degrees a level "
    "(put-on: a quarter of the training deviation of 5 cm)",
    source="RL4VLA Position-v1 (a ring outside the training square, unseen yaw); REALM VB-POSE",
    star_gen="VB-POSE",
)
def object_pose(scene: Scene, context: Context) -> Scene:
    """The object to be handled starts outside the region that training drew from, and turned further."""
    there = _started_outside(scene, scene.goal.manipulated[0], context)
    return scene.replace_object(there.id, position=there.position, yaw=there.yaw)


@shift(
    "execution.receptacle-pose",
    channels=("objects",),
    unit="distance of what the object goes to from the border of its training region: 1.2 cm and up to 6 degrees "
    "a level",
    source="RL4VLA Position-v1 (which moves both); LIBERO-plus (layout)",
    star_gen="VB-POSE",
    applies=lambda task: task.place is not None,
)
def receptacle_pose(scene: Scene, context: Context) -> Scene:
    """What the object goes to stands outside the region that training drew from, and turned further."""
    assert context.task.place is not None
    there = _started_outside(scene, context.task.place.id, context)
    return scene.replace_object(there.id, position=there.position, yaw=there.yaw)


@shift(
    "execution.table-height",
    channels=("robot", "cameras"),
    unit="height of the table and all on it against the robot, the third-person camera and the room: 1.2 cm up or down "
    "(one sign a seed) a level",
    source="RoboTwin 2.0 (table height +-3 cm); REALM (z +-15 cm)",
    star_gen="VB-ISC",
)
def table_height(scene: Scene, context: Context) -> Scene:
    """The table is higher or lower; as the table is the origin, everything else moves the other way."""
    rise = math.copysign(RISE * context.severity, context.rng.random() - 0.5)

    def stays(camera: Camera) -> Camera:
        (x, y, z), (tx, ty, tz) = camera.position, camera.target
        return camera.but(position=(x, y, z - rise), target=(tx, ty, tz - rise))

    cameras = tuple(stays(camera) if camera.mount == "world" else camera for camera in scene.cameras)
    x, y, z = scene.robot.mount
    return scene.but(robot=scene.robot.but(mount=(x, y, z - rise)), cameras=cameras)


@shift(
    "execution.robot-init",
    channels=("robot",),
    unit="distance of the initial joint positions from the training posture: 0.1 rad a level, in a random direction "
    "(5 training deviations of a joint)",
    source="LIBERO-plus (MountedPanda classes: a random direction, radius 0.1 to 0.5 rad)",
    star_gen="VB-ISC",
)
def robot_init(scene: Scene, context: Context) -> Scene:
    """The arm starts in another posture."""
    direction = context.rng.standard_normal(len(PANDA_HOME))
    offset = RADIUS * context.severity * direction / np.linalg.norm(direction)
    return scene.but(robot=scene.robot.but(qpos=tuple(np.asarray(scene.robot.qpos) + offset)))


@shift(
    "execution.ee-pose",
    channels=("robot",),
    unit="displacement of the hand from its training pose: 2 cm and 4 degrees a level, each in a random direction "
    "(1.8 training deviations of 1.1 cm)",
    source="LIBERO-CTRL (end-effector pose by IK: 50 to 200 mm); RL4VLA EEPose-v1",
    star_gen="VB-ISC",
)
def ee_pose(scene: Scene, context: Context) -> Scene:
    """The hand starts elsewhere and turned, by inverse kinematics; never lower than 10 cm over the table."""
    from oodbench.sim.kinematics import displaced_posture  # the only shift that needs the simulator

    way, axis = (v / np.linalg.norm(v) for v in context.rng.standard_normal((2, 3)))
    way[2] = abs(way[2]) if way[2] < -0.4 else way[2]
    turn = math.radians(HAND_TURN) * context.severity * axis
    posture = displaced_posture(scene.robot.name, scene.robot.qpos, HAND * context.severity * way, turn)
    return scene.but(robot=scene.robot.but(qpos=posture))
