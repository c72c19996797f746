"""A world plays one scene at a time: reset, step, look. It also judges: stages, success, and why not."""

from __future__ import annotations

import hashlib
import weakref
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import mujoco
import numpy as np

from oodbench.catalogue import ObjectAsset
from oodbench.errors import OodbenchError
from oodbench.scene import Event, Scene
from oodbench.seeding import generator
from oodbench.sim import build, render
from oodbench.sim.build import LEFT_FINGER, NOBODY, RIGHT_FINGER, SUBSTEPS, Built
from oodbench.sim.control import Controller, site_quat
from oodbench.sim.predicates import Condition

SETTLE_STEPS = 5  # control steps of rest before a goal counts as settled (0.25 s)
REST_SPEED = 0.03  # m/s; a drawer's opening speed likewise
DROP_HEIGHT = 0.04  # losing an object from higher than this is dropping it (m)
MODELS = 24  # compiled models that a world keeps
CLEARANCE = 0.0005  # objects start this far above the table (m)


@dataclass(frozen=True)
class Status:
    """How the episode stands.

    final: the goal holds now. ever: it held at some step. settled: it holds, released and at rest for 0.25 s.
    stages: the step at which each was first reached. failure: why the episode would be a failure if it ended now.
    """

    final: bool
    ever: bool
    settled: bool
    stages: dict[str, int | None]
    failure: str | None


class Observation(Mapping[str, object]):
    """What a policy sees. Pictures are rendered when they are first asked for.

    image, wrist_image: (size, size, 3) uint8, upright. state: (8,) float32: position of the point between the
    fingertips (m, world frame), its orientation as a rotation vector (rad, angle in [0, 2 pi) as robosuite's
    quat2axisangle gives it), and the two finger positions (m, about +0.04 and -0.04 when open). instruction: str.
    depth(camera) and segmentation(camera) on request.
    """

    _KEYS = ("image", "wrist_image", "state", "instruction")

    def __init__(self, world: World, size: int) -> None:
        self._world = weakref.proxy(world)
        self._moment = world.moment
        self.size = size

    @cached_property
    def image(self) -> np.ndarray:
        return self._look("image")

    @cached_property
    def wrist_image(self) -> np.ndarray:
        return self._look("wrist_image")

    @cached_property
    def state(self) -> np.ndarray:
        self._check()
        return self._world.proprioception()

    @cached_property
    def instruction(self) -> str:
        self._check()
        return self._world.scene.instruction.text

    def depth(self, camera: str = "image") -> np.ndarray:
        """(size, size) float32, metres along the optical axis."""
        self._check()
        return self._world.render(camera, self.size, "depth")

    def segmentation(self, camera: str = "image") -> np.ndarray:
        """(size, size) int32: index into the scene's objects, -1 for everything else."""
        self._check()
        return self._world.segmentation(camera, self.size)

    def _look(self, camera: str) -> np.ndarray:
        self._check()
        return self._world.see(camera, self.size)

    def _check(self) -> None:
        if self._world.moment != self._moment:
            raise OodbenchError(
                "this observation is of an earlier step and was not looked at then; read what you need of an "
                "observation before the next action is executed"
            )

    def __getitem__(self, key: str) -> object:
        if key not in self._KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)


class World:
    """Plays scenes. One instance can play any number of them, one after the other; compiled models are reused.

    quality: rendering preset, a key of sim.render.QUALITIES.
    """

    def __init__(self, quality: str = "standard") -> None:
        self._renderer = render.Renderer(quality)
        self._scene: Scene | None = None
        self._models: OrderedDict[build.Topology, tuple[Built, mujoco.MjData]] = OrderedDict()
        self.moment = 0  # counts every change of state; observations belong to one

    # --- playing -----------------------------------------------------------------------------------------------

    def reset(self, scene: Scene) -> None:
        """Set the world to the start of `scene`."""
        self._scene = scene
        self.built, self.data = self._model(build.topology(scene))
        self.model = self.built.model
        build.write(self.built, scene)
        mujoco.mj_setConst(self.model, self.data)
        mujoco.mj_resetData(self.model, self.data)
        self._set_state(scene)
        mujoco.mj_forward(self.model, self.data)
        self._controller = Controller(self.built, self.data)
        self._controller.reset(scene.robot.opening)
        self.steps = 0
        self._advance_moment()
        self._noise = generator(scene.key.namespace, scene.key.task, scene.key.seed, "actuation")
        self._pending = deque(np.zeros((scene.timing.action_delay, 7)))
        self._digest = hashlib.sha256(scene.sha256.encode())
        ids = list(self.built.assets)
        self._success = [Condition.parse(text, ids) for text in scene.goal.success]
        self._stage_conditions = {stage.name: Condition.parse(stage.condition, ids) for stage in scene.goal.stages}
        self._stages: dict[str, int | None] = dict.fromkeys(self._stage_conditions)
        self._initial = {id: self.position(id).copy() for id in ids}
        self._held_height = 0.0
        self._dropped = self._wrong_object = self._ever = self._holds = False
        self._rest = 0
        self._judge()

    def step(self, action: np.ndarray) -> None:
        """Play one control step (1/20 s) with `action`, 7 numbers in [-1, 1] (see oodbench.policies.Policy)."""
        scene = self.scene
        for event in scene.events:
            if event.step == self.steps:
                self._happen(event)
        self._pending.append(np.array(action, dtype=np.float64))
        executed = self._actuate(self._pending.popleft())
        self._digest.update(executed.tobytes())
        self._controller.apply(executed)
        mujoco.mj_step(self.model, self.data, SUBSTEPS)
        self.steps += 1
        self._advance_moment()
        self._judge()

    def observation(self, image_size: int = 256) -> Observation:
        """What a policy sees now."""
        return Observation(self, image_size)

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            raise OodbenchError("the world was not reset: call reset(scene) first")
        return self._scene

    @property
    def status(self) -> Status:
        settled = self._rest >= SETTLE_STEPS
        return Status(self._holds, self._ever, settled, dict(self._stages), None if settled else self._failure())

    def outcome_sha256(self) -> str:
        """Hash of the scene, of every executed action and of the present state of the simulator."""
        digest = self._digest.copy()
        digest.update(self.data.qpos.tobytes() + self.data.qvel.tobytes())
        return digest.hexdigest()

    def _model(self, key: build.Topology) -> tuple[Built, mujoco.MjData]:
        """The compiled model of a topology and its state; the last few are kept."""
        if key not in self._models:
            built = build.build(key)
            self._models[key] = (built, mujoco.MjData(built.model))
            while len(self._models) > MODELS:
                self._models.popitem(last=False)
        self._models.move_to_end(key)
        return self._models[key]

    def forget(self) -> None:
        """Drop the compiled models (for measuring what compiling costs)."""
        self._models.clear()

    def _set_state(self, scene: Scene) -> None:
        qpos = self.data.qpos
        qpos[self.built.arm_qpos] = scene.robot.qpos
        qpos[self.built.finger_qpos] = (scene.robot.opening / 2, -scene.robot.opening / 2)
        for item in scene.objects:
            if item.id in self.built.free:
                self._place(item.id, item.position, item.yaw)
            if item.id in self.built.drawer:
                qpos[self.model.jnt_qposadr[self.built.drawer[item.id]]] = item.opening

    def _place(self, id: str, position: tuple[float, float, float], yaw: float) -> None:
        start = self.built.free[id]
        self.data.qpos[start : start + 3] = position
        self.data.qpos[start + 2] += CLEARANCE
        self.data.qpos[start + 3 : start + 7] = build.yaw_quat(yaw)

    def _happen(self, event: Event) -> None:
        self._place(event.object, event.position, event.yaw)
        velocity = self.model.jnt_dofadr[self.model.body_jntadr[self.built.body[event.object]]]
        self.data.qvel[velocity : velocity + 6] = 0.0
        mujoco.mj_forward(self.model, self.data)

    def _actuate(self, action: np.ndarray) -> np.ndarray:
        """The action that reaches the controller."""
        actuation = self.scene.actuation
        motion = actuation.gain * action[:6] + actuation.bias
        if actuation.noise:
            motion = motion + actuation.noise * self._noise.standard_normal(6)
        return np.concatenate([motion.clip(-1.0, 1.0), action[6:]])

    def _advance_moment(self) -> None:
        self.moment += 1
        self._pairs: set[tuple[int, int]] | None = None

    # --- looking -----------------------------------------------------------------------------------------------

    def render(self, camera: str = "image", size: int = 256, kind: render.Kind = "rgb") -> np.ndarray:
        """The picture of a camera without sensor effects; see sim.render.Renderer.render."""
        return self._renderer.render(self.built, self.data, self.scene, camera, size, kind)

    def see(self, camera: str, size: int) -> np.ndarray:
        """The picture as the policy gets it, (size, size, 3) uint8."""
        image = self.render(camera, size)
        noise = self.scene.sensors.image_noise
        if noise:
            grain = self._frame_stream(camera).standard_normal(image.shape, np.float32)
            image = np.clip(np.rint(image + noise * grain), 0, 255).astype(np.uint8)
        return image

    def segmentation(self, camera: str, size: int) -> np.ndarray:
        """(size, size) int32: index into the scene's objects, -1 for everything else."""
        geoms = self.render(camera, size, "segmentation")
        owner = np.append(self.built.owner, NOBODY)[geoms]
        return np.where(owner >= 0, owner, -1)

    def proprioception(self) -> np.ndarray:
        """The `state` of an observation, (8,) float32."""
        quat = site_quat(self.data, self.built.grip_site)
        angle = 2.0 * np.arccos(np.clip(quat[0], -1.0, 1.0))
        sine = np.sqrt(max(1.0 - quat[0] ** 2, 0.0))
        turn = quat[1:] * (angle / sine) if sine > 1e-9 else np.zeros(3)
        state = np.concatenate([self.grip_position, turn, self.data.qpos[self.built.finger_qpos]])
        noise = self.scene.sensors.state_noise
        if noise:
            state = state + noise * self._frame_stream("state").standard_normal(8)
        return state.astype(np.float32)

    def _frame_stream(self, name: str) -> np.random.Generator:
        key = self.scene.key
        return generator(key.namespace, key.task, key.seed, "sensor", name, self.steps)

    @staticmethod
    def gl_info() -> dict[str, str]:
        return render.gl_info()

    # --- knowing (for predicates and for privileged policies) ----------------------------------------------------

    @property
    def grip_position(self) -> np.ndarray:
        """The point between the fingertips (m, world frame), (3,)."""
        return self.data.site_xpos[self.built.grip_site]

    @property
    def target_position(self) -> np.ndarray:
        """Where the controller is taking that point (m, world frame), (3,)."""
        return self._controller.position

    @property
    def target_quat(self) -> np.ndarray:
        """The orientation that the controller is taking the hand to (w, x, y, z)."""
        return self._controller.quat

    @property
    def pending_actions(self) -> np.ndarray:
        """Actions accepted but not yet executed, oldest first, (n, 7)."""
        return np.array(self._pending).reshape(-1, 7)

    def asset(self, id: str) -> ObjectAsset:
        return self.built.assets[id]

    def position(self, id: str) -> np.ndarray:
        """The origin of the object's frame (the centre of its base when upright), (3,)."""
        return self.data.xpos[self.built.body[id]]

    def rotation(self, id: str) -> np.ndarray:
        """From the object's frame to the world, (3, 3)."""
        return self.data.xmat[self.built.body[id]].reshape(3, 3)

    def initial_position(self, id: str) -> np.ndarray:
        return self._initial[id]

    def center(self, id: str) -> np.ndarray:
        """The object's centre of mass, (3,)."""
        return self.data.xipos[self.built.body[id]]

    def in_frame(self, id: str, point: np.ndarray) -> np.ndarray:
        """A world point in the frame of object `id`."""
        return self.rotation(id).T @ (point - self.position(id))

    def lowest_point(self, id: str) -> float:
        """The least height of the object's collision shape (m)."""
        return float(self.position(id)[2] + (self.built.corners[id] @ self.rotation(id)[2]).min())

    def grasp_point(self, id: str) -> np.ndarray:
        """Where the object is to be held (world frame); of a cabinet, its drawer's handle as far out as it is."""
        asset = self.asset(id)
        if asset.drawer:
            handle = np.array(asset.drawer.handle) - (self.opening(id) * asset.drawer.travel, 0.0, 0.0)
            return self.position(id) + self.rotation(id) @ handle
        local = asset.grasp.position if asset.grasp else (0.0, 0.0, asset.height / 2)
        return self.position(id) + self.rotation(id) @ np.array(local)

    def opening(self, id: str) -> float:
        """Share of a drawer's travel that it is open."""
        asset = self.asset(id)
        if not asset.drawer:
            return 0.0
        return float(self.data.qpos[self.model.jnt_qposadr[self.built.drawer[id]]] / asset.drawer.travel)

    def speed(self, id: str) -> float:
        """Speed of a free object, or of a drawer (m/s)."""
        joint = self.built.drawer.get(id)
        if joint is not None:
            return abs(float(self.data.qvel[self.model.jnt_dofadr[joint]]))
        if id not in self.built.free:
            return 0.0
        start = self.model.jnt_dofadr[self.model.body_jntadr[self.built.body[id]]]
        return float(np.linalg.norm(self.data.qvel[start : start + 3]))

    def touching(self, a: str, b: str) -> bool:
        """Whether two objects touch."""
        return self._in_contact(self._index(a), self._index(b))

    def touching_gripper(self, id: str) -> bool:
        """Whether a finger touches the object."""
        index = self._index(id)
        return self._in_contact(index, LEFT_FINGER) or self._in_contact(index, RIGHT_FINGER)

    def held(self, id: str) -> bool:
        """Whether both fingers touch the object."""
        index = self._index(id)
        return self._in_contact(index, LEFT_FINGER) and self._in_contact(index, RIGHT_FINGER)

    def _index(self, id: str) -> int:
        return list(self.built.assets).index(id)

    def _in_contact(self, a: int, b: int) -> bool:
        if self._pairs is None:
            owners = self.built.owner[self.data.contact.geom]
            self._pairs = {(int(x), int(y)) for x, y in owners}
        return (a, b) in self._pairs or (b, a) in self._pairs

    # --- judging -----------------------------------------------------------------------------------------------

    def _judge(self) -> None:
        for name, condition in self._stage_conditions.items():
            if self._stages[name] is None and condition.holds(self):
                self._stages[name] = self.steps
        self._holds = all(condition.holds(self) for condition in self._success)
        self._ever = self._ever or self._holds
        target = self.scene.goal.manipulated
        released = not self.touching_gripper(target)
        self._rest = self._rest + 1 if self._holds and released and self.speed(target) < REST_SPEED else 0
        self._note_mishaps(target)

    def _note_mishaps(self, target: str) -> None:
        if self.held(target):
            self._held_height = self.lowest_point(target)
        elif self._held_height:
            self._dropped = self._held_height > DROP_HEIGHT and not self._holds
            self._held_height = 0.0
        if not self._wrong_object:
            self._wrong_object = any(
                self.held(id) and self.lowest_point(id) > 0.02 for id in self.built.free if id != target
            )

    def _failure(self) -> str:
        """The first of these that applies; "stage names" are those of the task."""
        reached = [name for name, step in self._stages.items() if step is not None]
        if self._wrong_object and "moved" not in reached:
            return "wrong-object"
        if self._holds:
            return "not-released"
        if "moved" in reached:
            if self.touching_gripper(self.scene.goal.manipulated):
                return "timeout"
            return "dropped" if self._dropped else "wrong-place"
        if "grasped" in reached:
            return "not-moved"
        return "not-grasped" if "reached" in reached else "never-reached"
