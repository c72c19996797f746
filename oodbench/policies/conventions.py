"""Between oodbench's conventions and a policy's: what it sees, and what its actions mean."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from oodbench.convention import CONTROL_HZ, POSITION_SCALE, ROTATION_SCALE
from oodbench.observation import Observation, Seen
from oodbench.policies.base import numbers, within
from oodbench.policies.spec import PolicySpec

if TYPE_CHECKING:
    from oodbench.sim.world import World

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR, "lanczos": Image.Resampling.LANCZOS, "area": Image.Resampling.BOX,
}  # fmt: skip
OPENING = 0.08  # m between the fingers when they are open


def observe(world: World, spec: PolicySpec, session: int = 0) -> Seen:
    """What a policy with this spec sees of the world now; rendered and converted when it looks."""
    observation = world.observation(spec.render_size or spec.image_size, spec.cameras, session)
    return observation if sees_plainly(spec) else Converted(observation, spec)


def sees_plainly(spec: PolicySpec) -> bool:
    """Whether a policy sees just what oodbench renders."""
    return (
        spec.render_size in (None, spec.image_size)
        and spec.orientation == "upright"
        and spec.center_crop == 1.0
        and spec.state == "pose-fingers"
        and spec.hand == "grip-site"
        and not any(spec.state_origin)
    )


class Converted(Seen):
    """An observation in the conventions of a policy's spec."""

    def __init__(self, observation: Observation, spec: PolicySpec) -> None:
        self._plain, self._spec = observation, spec
        self.cameras, self.session = observation.cameras, observation.session

    @cached_property
    def image(self) -> np.ndarray:
        return picture(self._plain.image, self._spec)

    @cached_property
    def wrist_image(self) -> np.ndarray:
        return picture(self._plain.wrist_image, self._spec)

    @cached_property
    def state(self) -> np.ndarray:
        joints = self._plain.joints if self._spec.state == "joints-gripper" else None
        return state(self._plain.state, joints, self._spec)

    @cached_property
    def instruction(self) -> str:
        return self._plain.instruction


def picture(image: np.ndarray, spec: PolicySpec) -> np.ndarray:
    """An upright (s, s, 3) uint8 picture as the policy wants it, (image_size, image_size, 3)."""
    if spec.orientation in ("flipped", "rotated"):
        image = image[::-1]
    if spec.orientation in ("mirrored", "rotated"):
        image = image[:, ::-1]
    size = (spec.image_size, spec.image_size)
    if image.shape[0] != spec.image_size:
        image = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, FILTERS[spec.resize]))
    if spec.center_crop < 1.0:
        margin = (1 - spec.center_crop**0.5) / 2 * spec.image_size
        box = (margin, margin, spec.image_size - margin, spec.image_size - margin)
        image = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize(size, FILTERS["bilinear"], box=box))
    return np.ascontiguousarray(image)


def state(plain: np.ndarray, joints: np.ndarray | None, spec: PolicySpec) -> np.ndarray:
    """The (8,) float32 state of an observation in the layout and frame of `spec`.

    plain: as Observation.state; joints: (7,) rad, needed for "joints-gripper" only.
    """
    position = plain[:3].astype(np.float64) + spec.state_origin
    rotation, fingers = plain[3:6].astype(np.float64), plain[6:8].astype(np.float64)
    if spec.hand == "right-hand":
        rotation = _right_hand(rotation)
    turn = Rotation.from_rotvec(rotation)
    opening = float(np.clip((fingers[0] - fingers[1]) / OPENING, 0.0, 1.0))
    match spec.state:
        case "pose-fingers":
            parts = [position, rotation, fingers]
        case "pose-fingers-folded":
            parts = [position, turn.as_rotvec(), fingers]
        case "pose-euler-fingers":
            parts = [position, turn.as_euler("xyz"), fingers]
        case "pose-euler-pad-gripper":
            parts = [position, turn.as_euler("xyz"), np.array([0.0, opening])]
        case "pose-quat-gripper":
            parts = [position, turn.as_quat(), np.array([opening])]
        case "joints-gripper":
            assert joints is not None
            parts = [joints, np.array([1.0 - opening])]
    return np.concatenate(parts).astype(np.float32)


def _right_hand(rotation: np.ndarray) -> np.ndarray:
    """The orientation of robosuite's body right_hand from that of the grip site: a quarter turn about z before it.

    Both are rotation vectors with angles in [0, 2 pi); the quaternion's sign is kept, as robosuite's is, since near the
    usual pose of the hand, half a turn about x, another sign is a jump.
    """
    angle = float(np.linalg.norm(rotation))
    axis = rotation / angle if angle > 1e-9 else np.zeros(3)
    w, (x, y, z) = np.cos(angle / 2), np.sin(angle / 2) * axis
    h = np.sqrt(0.5)
    turned = h * np.array([w - z, x + y, y - x, z + w])  # times (h, 0, 0, h)
    half = float(np.arccos(np.clip(turned[0], -1.0, 1.0)))
    return turned[1:] * (2 * half / np.sin(half)) if np.sin(half) > 1e-9 else np.zeros(3)


def to_actions(raw: object, spec: PolicySpec, name: str) -> np.ndarray:
    """What oodbench executes for a policy's answer: (steps, 7) float64 in [-1, 1], one a control step.

    Raises PolicyError: not numbers, wrong shape, not finite, out of range, or a chunk that lasts no whole steps.
    """
    actions = numbers(raw, name)[: spec.execute]
    if spec.statistics:
        actions = spec.statistics.undo(actions)
    if spec.gripper != "signed-close" or spec.binary_gripper:
        actions = np.concatenate([actions[:, :6], _closing(actions[:, 6:], spec)], 1)
    if spec.rotation == "euler" and actions[:, 3:6].any():
        turns = Rotation.from_euler("xyz", spec.rotation_scale * actions[:, 3:6]).as_rotvec()
        actions = np.concatenate([actions[:, :3], turns / spec.rotation_scale, actions[:, 6:]], 1)
    scale = np.array([spec.position_scale / POSITION_SCALE] * 3 + [spec.rotation_scale / ROTATION_SCALE] * 3 + [1.0])
    if (scale != 1.0).any():
        actions = actions * scale
    if spec.control_hz != CONTROL_HZ:
        actions = _spread(actions, spec.steps(len(actions), name))
    return within(actions, name, spec.clip)


def _closing(gripper: np.ndarray, spec: PolicySpec) -> np.ndarray:
    """A policy's gripper commands as oodbench's: -1 open, +1 close."""
    match spec.gripper:
        case "signed-open":
            gripper = -gripper
        case "unit-open":
            gripper = 1.0 - 2.0 * gripper
        case "unit-close":
            gripper = 2.0 * gripper - 1.0
    return np.where(gripper >= 0.0, 1.0, -1.0) if spec.binary_gripper else gripper


def _spread(actions: np.ndarray, steps: int) -> np.ndarray:
    """The same motion in another number of steps: each takes its share of the way, and the gripper as it is then."""
    ends = np.linspace(0.0, len(actions), steps + 1)
    way = np.concatenate([np.zeros((1, 6)), actions[:, :6].cumsum(0)])
    at = np.stack([np.interp(ends, np.arange(len(actions) + 1), column) for column in way.T], 1)
    now = np.minimum(ends[:-1].astype(int), len(actions) - 1)
    return np.concatenate([np.diff(at, axis=0), actions[now, 6:]], 1)
