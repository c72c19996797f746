"""A world plays one scene at a time: reset, step, look."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np

from oodbench import closure
from oodbench.catalogue import ObjectAsset
from oodbench.errors import OodbenchError
from oodbench.observation import CAMERAS, Observation
from oodbench.scene import Event, Move, Push, Restage, Say, Scene
from oodbench.seeding import generator, normal
from oodbench.sim import build, render, rotations, sensors
from oodbench.sim.actuation import Actuators
from oodbench.sim.aside import Memory
from oodbench.sim.build import LEFT_FINGER, NOBODY, RIGHT_FINGER, TABLE, Built
from oodbench.sim.control import Controller
from oodbench.sim.judge import Judge, Status
from oodbench.sim.render import Kind, Quality

NEAR_GRASP = 0.09  # how close the gripper triggers what waits for it (m), as in LIBERO-PRO
MODELS = 24  # compiled models that a world keeps by default
CLEARANCE = 0.0005  # objects start this far above the table (m)


@dataclass(frozen=True)
class _Moment:
    """What is kept of a past moment to show it late. staged: the scene with its light, view and surfaces of then."""

    step: int
    qpos: np.ndarray
    staged: Scene


def _pose(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    """Bring all that is seen, read and steered by to data.qpos; mj_step leaves it where its last physics step began."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_camlight(model, data)


class World:
    """Plays scenes. One instance can play any number of them, one after the other; compiled models are reused.

    quality: rendering preset, a key of sim.render.QUALITIES, or settings of one's own.
    models: compiled models that are kept.
    draw: calls what it is given in the thread that has OpenGL, where another one may look.
    """

    def __init__(
        self,
        quality: str | Quality = "standard",
        models: int = MODELS,
        draw: Callable[[Callable[[], Any]], Any] | None = None,
    ) -> None:
        self._renderer = render.Renderer(quality)
        self._kept = models
        self._draw = draw or (lambda work: work())
        self._scene: Scene | None = None
        self._models: OrderedDict[build.Topology, tuple[Built, mujoco.MjData]] = OrderedDict()
        self._moments = itertools.count(1)
        self.moment = 0  # another number for every state that there was; observations belong to one
        self._is_aside = False

    # --- playing -----------------------------------------------------------------------------------------------

    def reset(self, scene: Scene) -> None:
        """Set the world to the start of `scene`."""
        if self._is_aside:
            raise OodbenchError("the world cannot be reset within `with world.aside()`")
        self._scene = self._staged = scene
        self.built, self.data = self._model(build.topology(scene))
        self.model = self.built.model
        build.write(self.built, scene)
        mujoco.mj_setConst(self.model, self.data)
        mujoco.mj_resetData(self.model, self.data)
        self._set_state(scene)
        mujoco.mj_forward(self.model, self.data)
        self._spares: list[mujoco.MjData] = []
        self._controller = Controller(self.built, self.data, scene.timing.control_hz)
        self._controller.reset(scene.robot.opening)
        self.steps = 0
        self.instruction = scene.instruction.text
        self._substeps = round(1 / (scene.timing.control_hz * build.TIMESTEP))
        self._coming: list[Event] = list(scene.events)
        self._actuators = Actuators(scene.actuation, self._stream("actuation"), self._stream("action-loss"))
        self._pending = deque(np.zeros((scene.timing.action_delay, 7)))
        self._past: deque[_Moment] = deque(maxlen=scene.sensors.delay + 1)
        self._arrivals = self._stream("observation-loss")
        self._shown: _Moment | None = None
        self._shown_data: mujoco.MjData | None = None  # to show a past moment in, made when there is one
        self._advance_moment()
        self.closure_sha256 = closure.sha256(scene)
        self._digest = hashlib.sha256(self.closure_sha256.encode())
        self._initial = {id: self.position(id).copy() for id in self.built.assets}
        self._judge = Judge(self)

    def step(self, action: np.ndarray) -> None:
        """Play one control step with `action`.

        It lasts 1 / scene.timing.control_hz seconds, rounded to whole physics steps of 2 ms.

        Args:
            action: (7,), see oodbench.policies.Policy; what is outside [-1, 1] counts as the bound.

        Raises:
            OodbenchError: `action` is not finite, or not of that shape.
        """
        _ = self.scene  # refuses what was never reset
        command = np.array(action, dtype=np.float64)
        if command.shape != (7,) or not np.isfinite(command).all():
            raise OodbenchError(f"an action is 7 finite numbers, not {command.tolist()!r:.80}")
        for event in [event for event in self._coming if self._is_due(event)]:
            self._coming.remove(event)
            self._happen(event)
        self._pending.append(command.clip(-1.0, 1.0))
        executed = self._actuators.execute(self._pending.popleft())
        self._digest.update(executed.tobytes())
        self._controller.apply(executed)
        mujoco.mj_step(self.model, self.data, self._substeps)
        _pose(self.model, self.data)
        self.data.xfrc_applied[self.built.hand] = 0.0
        self.steps += 1
        self._advance_moment()
        self._judge.update()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Play on in a copy: what is stepped within the block is undone at its end, to the bit.

        The state of the simulator is put back, and all that goes with it: controller, actuators and their streams,
        actions on their way, events to come, what the sensors have shown, the judge, the instruction, the stage and
        `outcome_sha256`. What an event of another package does to the compiled model is not. It takes some hundredth
        of a millisecond; blocks may be nested.

        Raises:
            OodbenchError: The world is reset within the block.
        """
        staged = self.scene and self._staged
        kept = self._spares.pop() if self._spares else mujoco.MjData(self.model)
        mujoco.mj_copyData(kept, self.model, self.data)
        memories = [Memory(part) for part in (self, self._controller, self._actuators, self._judge)]
        self._is_aside = True
        try:
            yield
        finally:
            if self._staged is not staged:
                build.write_stage(self.model, staged)
            for memory in memories:
                memory.restore()
            mujoco.mj_copyData(self.data, self.model, kept)
            self._spares.append(kept)

    def observation(self, image_size: int = 256, cameras: Sequence[str] = CAMERAS, session: int = 0) -> Observation:
        """What a policy sees now."""
        return Observation(self, image_size, cameras, session)

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            raise OodbenchError("the world was not reset: call reset(scene) first")
        return self._scene

    @property
    def status(self) -> Status:
        return self._judge.status()

    def outcome_sha256(self) -> str:
        """Hash of the scene's closure, of every executed action and of the present state of the simulator."""
        digest = self._digest.copy()
        digest.update(self.data.qpos.tobytes() + self.data.qvel.tobytes())
        return digest.hexdigest()

    def _model(self, key: build.Topology) -> tuple[Built, mujoco.MjData]:
        """The compiled model of a topology, and its state; the last few are kept."""
        if key not in self._models:
            built = build.build(key)
            self._models[key] = (built, mujoco.MjData(built.model))
            while len(self._models) > self._kept:
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
            if item.id in self.built.joint:
                joint = self.built.joint[item.id]
                qpos[self.model.jnt_qposadr[joint]] = item.joint * self.model.jnt_range[joint][1]

    def _place(self, id: str, position: tuple[float, float, float], yaw: float) -> None:
        start = self.built.free[id]
        self.data.qpos[start : start + 3] = position
        self.data.qpos[start + 2] += CLEARANCE
        self.data.qpos[start + 3 : start + 7] = build.yaw_quat(yaw)

    def _is_due(self, event: Event) -> bool:
        near = event.near is not None and self.grip_distance(event.near) < NEAR_GRASP
        return near or self.steps >= event.step

    def _happen(self, event: Event) -> None:
        match event:
            case Move():
                self._place(event.object, event.position, event.yaw)
                self.data.qvel[self._velocity(event.object)] = 0.0
                mujoco.mj_forward(self.model, self.data)
            case Push(object="hand"):  # a force over the coming control step
                duration = self._substeps * build.TIMESTEP
                self.data.xfrc_applied[self.built.hand, :3] = np.asarray(event.impulse) / duration
            case Push():
                mass = self.model.body_mass[self.built.body[event.object]]
                self.data.qvel[self._velocity(event.object)][:3] += np.asarray(event.impulse) / mass
            case Say():
                self.instruction = event.text
            case Restage():
                new = {name: getattr(event, name) for name in ("lights", "cameras", "surfaces")}
                self._staged = self._staged.but(**{name: value for name, value in new.items() if value is not None})
                build.write_stage(self.model, self._staged)
            case _:
                event.happen(self)

    def _velocity(self, id: str) -> slice:
        """Of a free object: the six velocities in qvel."""
        start = self.model.jnt_dofadr[self.model.body_jntadr[self.built.body[id]]]
        return slice(start, start + 6)

    def _advance_moment(self) -> None:
        self.moment = next(self._moments)
        self._pairs: set[tuple[int, int]] | None = None
        sensors = self.scene.sensors
        if sensors.delay or sensors.loss:
            self._past.append(_Moment(self.steps, self.data.qpos.copy(), self._staged))
            arrives = self._shown is None or self._arrivals.random() >= sensors.loss
            if arrives:
                self._shown = self._past[0]

    def _stream(self, *name: str | int) -> np.random.Generator:
        key = self.scene.key
        return generator(key.namespace, key.task, key.seed, *name)

    # --- looking -----------------------------------------------------------------------------------------------

    def render(
        self, camera: str = "image", size: int = 256, kind: Kind = "rgb", *, as_seen: bool = False
    ) -> np.ndarray:
        """The picture of a camera without sensor effects; see sim.render.Renderer.render.

        as_seen: of the moment that the policy is shown, where the scene delays or drops observations.
        """
        return self._draw(lambda: self._render(camera, size, kind, as_seen))

    def _render(self, camera: str, size: int, kind: Kind, as_seen: bool) -> np.ndarray:
        staged = self._shown.staged if as_seen and self._shown else self._staged
        if staged is self._staged:
            data = self._seen_data() if as_seen else self.data
            return self._renderer.render(self.built, data, staged, camera, size, kind)
        build.write_stage(self.model, staged)  # as it was then: light and view are late as well
        try:
            return self._renderer.render(self.built, self._seen_data(), staged, camera, size, kind)
        finally:
            build.write_stage(self.model, self._staged)

    def see(self, camera: str, size: int) -> np.ndarray:
        """The picture as the policy gets it, (size, size, 3) uint8."""
        image = self.render(camera, size, as_seen=True)
        step = self._seen_step
        view = sensors.View(
            frame=lambda name: self._stream("sensor", name, camera, step),
            episode=lambda name: self._stream("sensor", name, camera),
            depth=lambda: self.render(camera, size, "depth", as_seen=True),
            things=lambda: self._owners(camera, size) != NOBODY,
        )
        for corruption in self.scene.sensors.corruptions:
            if camera in corruption.cameras and step >= corruption.since:
                image = sensors.corrupt(image, corruption, view)
        return image

    def segmentation(self, camera: str, size: int) -> np.ndarray:
        """(size, size) int32: index into the scene's objects, -1 for everything else."""
        owner = self._owners(camera, size)
        return np.where(owner >= 0, owner, -1)

    def _owners(self, camera: str, size: int) -> np.ndarray:
        """(size, size) int: whose each pixel is, as Built.owner has it; the table counts as nobody's."""
        geoms = self.render(camera, size, "segmentation", as_seen=True)
        owner = np.append(self.built.owner, NOBODY)[geoms]
        return np.where(owner == TABLE, NOBODY, owner)

    def proprioception(self) -> np.ndarray:
        """The `state` of an observation, (8,) float32."""
        data = self._seen_data()
        quat = rotations.of_site(data, self.built.grip_site)
        angle = 2.0 * math.acos(min(max(quat[0], -1.0), 1.0))
        sine = math.sqrt(max(1.0 - quat[0] * quat[0], 0.0))
        turn = quat[1:] * (angle / sine) if sine > 1e-9 else np.zeros(3)
        state = np.concatenate([data.site_xpos[self.built.grip_site], turn, data.qpos[self.built.finger_qpos]])
        noise = self.scene.sensors.state_noise
        if noise:
            state = state + noise * normal(self._stream("sensor", "state", self._seen_step), 8)
        return state.astype(np.float32)

    def joint_positions(self) -> np.ndarray:
        """The `joints` of an observation, (7,) float32."""
        joints = self._seen_data().qpos[self.built.arm_qpos]
        noise = self.scene.sensors.state_noise
        if noise:
            joints = joints + noise * normal(self._stream("sensor", "joints", self._seen_step), len(joints))
        return joints.astype(np.float32)

    @property
    def _seen_step(self) -> int:
        return self._shown.step if self._shown else self.steps

    def _seen_data(self) -> mujoco.MjData:
        """The state that the policy is shown: the present one, unless observations are late or lost."""
        if self._shown is None or self._shown.step == self.steps:
            return self.data
        if self._shown_data is None:
            self._shown_data = mujoco.MjData(self.model)
        self._shown_data.qpos[:] = self._shown.qpos
        _pose(self.model, self._shown_data)
        return self._shown_data

    @staticmethod
    def gl_info() -> dict[str, str]:
        return render.gl_info()

    # --- knowing (for predicates and for privileged policies) ----------------------------------------------------

    @property
    def grip_position(self) -> np.ndarray:
        """The point between the fingertips (m, world frame), (3,)."""
        return self.data.site_xpos[self.built.grip_site]

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
        found = np.zeros(3)
        mujoco.mju_mulMatTVec3(found, self.data.xmat[self.built.body[id]], point - self.position(id))
        return found

    def lowest_point(self, id: str) -> float:
        """The least height of the object's collision shape (m)."""
        heights = rotations.applied(self.built.corners[id], self.rotation(id)[2])
        return float(self.position(id)[2] + heights.min())

    def grasp_point(self, id: str) -> np.ndarray:
        """Where the object is to be held (world frame); of drawers, buttons and knobs, their handle where it is now."""
        local, joint = self.built.grasp[id], self.asset(id).joint
        if joint and joint.kind != "knob":  # whose handle is on its axis
            way = self.joint(id) * joint.range
            local = local + way * np.array((-1.0, 0.0, 0.0) if joint.kind == "drawer" else (0.0, 0.0, -1.0))
        offset = np.zeros(3)
        mujoco.mju_mulMatVec3(offset, self.data.xmat[self.built.body[id]], local)
        return self.position(id) + offset

    def grip_distance(self, id: str) -> float:
        """From the point between the fingertips to where the object is to be held (m)."""
        return mujoco.mju_norm3(self.grip_position - self.grasp_point(id))

    def joint(self, id: str) -> float:
        """Position of a drawer, a button or a knob, as a share of its range; 0 for other things."""
        joint = self.built.joint.get(id)
        if joint is None:
            return 0.0
        return float(self.data.qpos[self.model.jnt_qposadr[joint]] / self.model.jnt_range[joint][1])

    def speed(self, id: str) -> float:
        """Speed of a free object (m/s), or of a drawer, a button (m/s) or a knob (rad/s)."""
        joint = self.built.joint.get(id)
        if joint is not None:
            return abs(float(self.data.qvel[self.model.jnt_dofadr[joint]]))
        return mujoco.mju_norm3(self.data.qvel[self._velocity(id)][:3]) if id in self.built.free else 0.0

    def velocity(self, id: str) -> np.ndarray:
        """Of a free object's origin (m/s, world frame), (3,); 0 for other things."""
        return self.data.qvel[self._velocity(id)][:3] if id in self.built.free else np.zeros(3)

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
        return self.built.index[id]

    def _in_contact(self, a: int, b: int) -> bool:
        if self._pairs is None:
            self._pairs = {(x, y) for x, y in self.built.owner[self.data.contact.geom].tolist()}
        return (a, b) in self._pairs or (b, a) in self._pairs
