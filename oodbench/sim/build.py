"""A scene's topology compiled to an MjModel. Which things exist is compiled; everything else is written in place.

Two scenes with the same robot and the same assets in the same roles share one compiled model. `write` then sets every
number of a scene into it, always all of them, so that nothing of the scene before can stay behind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import mujoco
import numpy as np

from oodbench import robots
from oodbench.catalogue import OBJECTS, TEXTURES, ObjectAsset
from oodbench.convention import CONTROL_HZ
from oodbench.exact import unit
from oodbench.robots import ROBOTS, RobotAsset
from oodbench.scene import Camera, Lights, Scene, Surface
from oodbench.sim import glyphs, shapes, textures
from oodbench.sim.fixtures import FACE_SIZE
from oodbench.sim.robots import spec as robot_spec

TIMESTEP = 0.002  # s
SUBSTEPS = round(1 / (CONTROL_HZ * TIMESTEP))
TABLE_HALF = (0.45, 0.65, 0.02)  # m
FLOOR = -0.75  # height of the floor (m)
PEDESTAL = 0.1  # height of the robot's base (m)
TEXTURE_SIZE = 512
REPEAT = 2.0  # MuJoCo's texrepeat for one tile a metre on a uniform texture (it counts half extents)
LAMPS = 4
SURFACES = ("table", "floor", "wall")

Topology = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Built:
    """A compiled model and where things are in it. All arrays are as compiled; `write` starts from them."""

    model: mujoco.MjModel
    robot: RobotAsset
    assets: dict[str, ObjectAsset]  # by object id
    index: dict[str, int]  # of an object among `assets`, by its id
    body: dict[str, int]  # by object id
    free: dict[str, int]  # first qpos of the free joint, by object id
    joint: dict[str, int]  # of drawers, buttons and knobs, by object id
    owner: np.ndarray  # by geom: index of the object, or one of the codes below
    grasp: dict[str, np.ndarray]  # by object id: where it is to be held, in its frame; a handle's place at 0, (3,)
    corners: dict[str, np.ndarray]  # by object id: (n, 3) points that bound its collision shape, in its frame
    arm_qpos: np.ndarray
    arm_dof: np.ndarray
    finger_qpos: np.ndarray
    hand: int  # body
    grip_site: int
    pristine: dict[str, np.ndarray]


NOBODY, TABLE, LEFT_FINGER, RIGHT_FINGER, REST_OF_ROBOT = -1, -2, -3, -4, -5
_WRITTEN = (
    "body_mass",
    "body_inertia",
    "body_pos",
    "body_quat",
    "geom_friction",
    "geom_priority",
    "geom_rgba",
    "dof_damping",
    "actuator_gainprm",
    "actuator_biasprm",
    "actuator_forcerange",
)


def topology(scene: Scene) -> Topology:
    """What must be compiled anew when it changes."""
    return (scene.robot.name, tuple((item.id, item.asset) for item in scene.objects))


def build(key: Topology) -> Built:
    """Compile the model of a topology. It belongs to the caller, who may write to it."""
    robot_name, roles = key
    assets = {id: OBJECTS.get(name) for id, name in roles}
    spec = _room_with(robot_name).copy()
    for id, asset in assets.items():
        shapes.add_object(spec, asset, id)
    return _index(spec.compile(), ROBOTS.get(robot_name), assets)


@lru_cache(maxsize=8)
def _room_with(robot_name: str) -> mujoco.MjSpec:
    """The room with a robot in it, to be copied."""
    robot = ROBOTS.get(robot_name)
    spec = _room()
    mount = spec.worldbody.add_frame(pos=robot.base)
    spec.assets = robots.files(robot_name)
    mount.attach_body(robot_spec(robot_name).worldbody.first_body(), "robot/", "")
    spec.body("robot/" + robot.hand_body).add_camera(name="hand")
    return spec


def _room() -> mujoco.MjSpec:
    """Table, floor, walls, the robot's pedestal, lamps and the world camera."""
    spec = mujoco.MjSpec()
    spec.modelname = "oodbench"
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.disableflags |= mujoco.mjtDisableBit.mjDSBL_SENSOR  # the hand's force sensors: 3 % of a step, and not read
    spec.stat.extent = 1.0
    spec.stat.center = (0, 0, 0)
    visual = spec.visual
    visual.map.znear, visual.map.zfar = 0.01, 20.0
    visual.map.shadowclip, visual.map.shadowscale = 0.45, 0.9
    visual.headlight.active = 1
    world = spec.worldbody
    for name in SURFACES:
        spec.add_texture(
            name=name,
            type=mujoco.mjtTexture.mjTEXTURE_2D,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
            width=TEXTURE_SIZE,
            height=TEXTURE_SIZE,
            nchannel=3,
        )
        material = spec.add_material(name=name, texuniform=True, specular=0.2, shininess=0.3)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    box, plane = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_PLANE
    world.add_geom(
        name="table",
        type=box,
        size=TABLE_HALF,
        pos=(0, 0, -TABLE_HALF[2]),
        material="table",
        friction=(1.0, 0.005, 0.0001),
    )
    inert = {"contype": 0, "conaffinity": 0, "group": 2}
    for i, (side_x, side_y) in enumerate(((1, 1), (1, -1), (-1, 1), (-1, -1))):
        leg = (side_x * (TABLE_HALF[0] - 0.04), side_y * (TABLE_HALF[1] - 0.04), FLOOR / 2 - 0.02)
        world.add_geom(
            name=f"leg-{i}", type=box, size=(0.03, 0.03, -FLOOR / 2 - 0.02), pos=leg, rgba=(0.3, 0.3, 0.32, 1), **inert
        )
    world.add_geom(
        name="pedestal",
        type=box,
        size=(0.15, 0.22, (PEDESTAL - FLOOR) / 2),
        pos=(-0.605, 0, (PEDESTAL + FLOOR) / 2),
        rgba=(0.25, 0.26, 0.28, 1),
        **inert,
    )
    world.add_geom(name="floor", type=plane, size=(4, 4, 1), pos=(0, 0, FLOOR), material="floor", **inert)
    walls = {
        "back": (-1.7, 0, math.pi / 2),
        "left": (0, 2.0, 0.0),
        "right": (0, -2.0, math.pi),
        "front": (2.5, 0, -math.pi / 2),
    }
    for name, (x, y, turn) in walls.items():
        world.add_geom(
            name=f"wall-{name}",
            type=plane,
            size=(3, 2, 1),
            pos=(x, y, FLOOR + 2),
            quat=_wall_quat(turn),
            material="wall",
            **inert,
        )
    for i in range(LAMPS):
        world.add_light(name=f"lamp-{i}", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=(0, 0, 2), dir=(0, 0, -1))
    world.add_camera(name="world")
    return spec


def _wall_quat(turn: float) -> np.ndarray:
    """A plane standing upright, facing along -y turned by `turn` about z."""
    upright, about_z, quat = np.zeros(4), np.zeros(4), np.zeros(4)
    mujoco.mju_axisAngle2Quat(upright, np.array([1.0, 0, 0]), math.pi / 2)
    mujoco.mju_axisAngle2Quat(about_z, np.array([0, 0, 1.0]), turn)
    mujoco.mju_mulQuat(quat, about_z, upright)
    return quat


def _index(model: mujoco.MjModel, robot: RobotAsset, assets: dict[str, ObjectAsset]) -> Built:
    body = {id: model.body(id).id for id in assets}
    of_body = np.full(model.nbody, NOBODY)
    for i in range(model.nbody):
        name = model.body(i).name
        if name.startswith("robot/"):
            part = name.removeprefix("robot/")
            left, right = robot.finger_bodies
            of_body[i] = LEFT_FINGER if part in left else RIGHT_FINGER if part in right else REST_OF_ROBOT
    for index, id in enumerate(assets):
        of_body[np.asarray([model.body_rootid[i] == body[id] for i in range(model.nbody)])] = index
    owner = of_body[model.geom_bodyid]
    owner[model.geom("table").id] = TABLE
    arm = [model.joint("robot/" + name) for name in robot.joints]
    return Built(
        model=model,
        robot=robot,
        assets=assets,
        index={id: index for index, id in enumerate(assets)},
        body=body,
        free={id: model.joint(id).qposadr[0] for id, asset in assets.items() if not asset.fixed},
        joint={id: model.joint(f"{id}/joint").id for id, asset in assets.items() if asset.joint},
        owner=owner,
        grasp={id: np.array(_grasp(asset)) for id, asset in assets.items()},
        corners={id: _corners(model, body[id]) for id in assets},
        arm_qpos=np.array([joint.qposadr[0] for joint in arm]),
        arm_dof=np.array([joint.dofadr[0] for joint in arm]),
        finger_qpos=np.array([model.joint("robot/" + name).qposadr[0] for name in robot.fingers]),
        hand=model.body("robot/" + robot.hand_body).id,
        grip_site=model.site("robot/" + robot.grip_site).id,
        pristine={name: getattr(model, name).copy() for name in _WRITTEN},
    )


def _grasp(asset: ObjectAsset) -> tuple[float, float, float]:
    """Where an object is to be held, in its frame (m): at its handle, else as its file says, else in the middle."""
    if asset.joint:
        return asset.joint.handle
    return asset.grasp.position if asset.grasp else (0.0, 0.0, asset.height / 2)


def _corners(model: mujoco.MjModel, body: int) -> np.ndarray:
    """The corners of the bounding boxes of a body's collision geoms, in the body's frame, (n, 3)."""
    found = []
    for geom in np.flatnonzero((model.geom_bodyid == body) & (model.geom_contype > 0)):
        center, half = model.geom_aabb[geom][:3], model.geom_aabb[geom][3:]
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        corners, rotation = np.zeros((len(signs), 3)), np.zeros(9)
        mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
        mujoco.mju_mulMatMatT(corners, center + signs * half, rotation.reshape(3, 3))
        found.append(corners + model.geom_pos[geom])
    return np.concatenate(found) if found else np.zeros((1, 3))


def write(built: Built, scene: Scene) -> None:
    """Set every number of `scene` that lives in the model. The initial state is set by World.reset."""
    model = built.model
    for name, value in built.pristine.items():
        getattr(model, name)[:] = value
    for index, item in enumerate(scene.objects):
        mine = built.owner == index
        model.geom_rgba[mine, :3] *= item.tint
        if scene.dynamics.object_friction != 1.0:  # then it counts, not the larger one of the two that touch
            model.geom_friction[mine] *= scene.dynamics.object_friction
            model.geom_priority[mine] = 1
        bodies = np.unique(model.geom_bodyid[mine])
        model.body_mass[bodies] *= scene.dynamics.object_mass
        model.body_inertia[bodies] *= scene.dynamics.object_mass
        if item.id not in built.free:
            model.body_pos[built.body[item.id]] = item.position
            model.body_quat[built.body[item.id]] = yaw_quat(item.yaw)
    _write_robot(built, scene)
    write_stage(model, scene)


def write_stage(model: mujoco.MjModel, scene: Scene) -> None:
    """Set what can change in mid-episode without touching physics: lamps, cameras, and how textures repeat."""
    _write_lights(model, scene.lights)
    for camera in scene.cameras:
        id = model.camera(camera.mount).id
        model.cam_pos[id] = camera.position
        model.cam_quat[id] = camera_quat(camera)
        model.cam_fovy[id] = camera.fovy
    for name in SURFACES:
        surface: Surface = getattr(scene.surfaces, name)
        model.mat_texrepeat[model.material(name).id] = REPEAT * TEXTURES.get(surface.texture).repeat


def _write_robot(built: Built, scene: Scene) -> None:
    model, robot, dynamics = built.model, scene.robot, scene.dynamics
    model.body_pos[model.body_rootid[built.hand]] += robot.mount
    mine = np.isin(built.owner, (LEFT_FINGER, RIGHT_FINGER, REST_OF_ROBOT))
    model.geom_rgba[mine, :3] = np.clip(model.geom_rgba[mine, :3] * robot.tint, 0, 1)
    model.dof_damping[built.arm_dof] += dynamics.joint_damping
    arm = slice(0, len(built.arm_qpos))  # the actuators' order: joints, then fingers
    fingers = slice(arm.stop, arm.stop + len(built.finger_qpos))
    for which, factor in ((arm, dynamics.joint_stiffness), (fingers, dynamics.grip_force)):
        model.actuator_gainprm[which, 0] *= factor
        model.actuator_biasprm[which, 1] *= factor
    model.actuator_forcerange[fingers] *= dynamics.grip_force


def _write_lights(model: mujoco.MjModel, lights: Lights) -> None:
    model.vis.headlight.ambient[:] = lights.ambient
    model.vis.headlight.diffuse[:] = 0.0
    model.vis.headlight.specular[:] = 0.0
    model.light_active[:] = 0
    model.light_ambient[:] = 0.0
    for i, lamp in enumerate(lights.lamps):
        direction = unit(np.asarray(lamp.direction))
        model.light_active[i] = 1
        model.light_dir[i] = direction
        model.light_pos[i] = np.array([-0.1, 0.0, 0.1]) - 2.0 * direction  # where the shadow is computed from
        model.light_diffuse[i] = lamp.diffuse
        model.light_specular[i] = lamp.specular
        model.light_castshadow[i] = lamp.shadow


def surface_image(surface: Surface) -> np.ndarray:
    """The picture of a surface, TEXTURE_SIZE x TEXTURE_SIZE x 3 uint8."""
    return textures.render(TEXTURES.get(surface.texture), TEXTURE_SIZE)


def face_image(face: str) -> np.ndarray:
    """The picture of a board's texture, upright for who looks from +x (as the camera does)."""
    return np.ascontiguousarray(np.rot90(glyphs.render(face, FACE_SIZE), 1))


def yaw_quat(yaw: float) -> np.ndarray:
    """Rotation by `yaw` (rad) about z as a unit quaternion (w, x, y, z)."""
    return np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])


def camera_quat(camera: Camera) -> np.ndarray:
    """Orientation (w, x, y, z) of a camera that looks at its target; MuJoCo cameras look along -z, y up."""
    forward = unit(np.asarray(camera.target) - camera.position)
    right = unit(np.cross(forward, camera.up))
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(right, forward), -forward], axis=1).ravel())
    return quat
