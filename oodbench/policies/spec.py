"""What a policy declares about itself: the pictures and the state that it wants, and what its actions mean."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from oodbench import toml
from oodbench.convention import CONTROL_HZ, POSITION_SCALE, ROTATION_SCALE
from oodbench.errors import PolicyError, nearest
from oodbench.registry import Registry

Camera = Literal["image", "wrist_image"]
Orientation = Literal["upright", "flipped", "mirrored", "rotated"]
StateLayout = Literal[
    "pose-fingers", "pose-fingers-folded", "pose-euler-fingers", "pose-euler-pad-gripper", "pose-quat-gripper",
    "joints-gripper",
]  # fmt: skip
ActionSpace = Literal["delta-pose", "absolute-pose", "joint-position", "delta-joint-position", "joint-velocity"]
Gripper = Literal["signed-close", "signed-open", "unit-open", "unit-close"]
Seven = tuple[float, float, float, float, float, float, float]


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Statistics(_Data):
    """Undo the normalisation of a data set: a number x in [-1, 1] becomes low + (x + 1) / 2 (high - low).

    mask: which of the seven are normalised (OpenVLA leaves the gripper alone).
    """

    low: Seven
    high: Seven
    mask: tuple[bool, bool, bool, bool, bool, bool, bool] = (True,) * 6 + (False,)

    @classmethod
    def read(cls, path: str | Path, key: str | None = None) -> Statistics:
        """From OpenVLA's dataset_statistics.json: {key: {"action": {"q01", "q99", "mask"}}}. Raises PolicyError."""
        try:
            tables = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise PolicyError(f"statistics {path}: cannot be read ({error})") from None
        if not isinstance(tables, dict):
            raise PolicyError(f"statistics {path}: not a table of data sets")
        if key is None and len(tables) == 1:
            key = next(iter(tables))
        if key not in tables:
            near = nearest(key or "", tables)
            advice = f"did you mean {near!r}?" if near else f"choose one of: {', '.join(tables)}"
            raise PolicyError(f"statistics {path}: no data set {key!r} (unnorm_key); {advice}")
        try:
            action = tables[key]["action"]
            return cls(low=action["q01"], high=action["q99"], mask=action.get("mask", (True,) * 6 + (False,)))
        except (KeyError, TypeError, ValidationError) as error:
            raise PolicyError(f"statistics {path}: {key}: no action.q01 and q99 of 7 numbers ({error!r})") from None

    def undo(self, actions: np.ndarray) -> np.ndarray:
        """(n, 7) normalised -> (n, 7) in the data set's units."""
        low, high = np.array(self.low), np.array(self.high)
        return np.where(self.mask, low + (actions + 1) / 2 * (high - low), actions)


class PolicySpec(_Data):
    """A policy's attribute `spec`. What is left out is oodbench's own convention; presets hold those of others.

    execute: how many actions of each chunk are executed before it is asked again; None: all of them.
    privileged: it is handed the World (method `bind`); such policies are controls and are marked as such everywhere.

    Pictures. cameras: those that it looks at (no others can be looked at). image_size: pixels, square. render_size:
    pixels at which the simulator draws, where the policy was trained on pictures that were resized from there with
    `resize`. orientation: of what it was trained on; "mirrored" (left and right exchanged) is what models trained on
    LIBERO expect, whose pictures are robosuite's turned by 180 degrees. center_crop: share of the area that is kept
    and enlarged again (OpenVLA: 0.9).

    State. "pose-fingers": position (m), rotation vector (rad, angle in [0, 2 pi), as robosuite's quat2axisangle),
    positions of the two fingers (m): 8 numbers; "-folded" has angles up to pi; "pose-euler-fingers" roll, pitch, yaw
    (rad) instead; "pose-euler-pad-gripper" these, a zero, and how far open the gripper is (0 closed, 1 open): 8;
    "pose-quat-gripper" a quaternion (x, y, z, w) and the gripper: 8; "joints-gripper" the arm's joints (rad) and how
    far closed the gripper is (DROID): 8. hand: whose orientation it is: the "grip-site" between the fingertips, or
    robosuite's body "right-hand", a quarter turn about the hand's axis beside it, which LIBERO's data sets record as
    robot0_eef_quat. state_origin: where the centre of oodbench's table top lies in the frame that
    the policy knows (m).

    Actions: 7 numbers. position_scale (m) and rotation_scale (rad): what a 1 means. rotation: "axis-angle", or "euler"
    (roll, pitch, yaw about fixed axes). gripper: "signed-close" -1 open, +1 close; "signed-open" the other way round;
    "unit-open" 0 closed, 1 open (RLDS, OpenVLA, GR00T); "unit-close" 0 open, 1 closed (DROID). binary_gripper: it is
    rounded to open or closed. control_hz: how many of its actions make a second; they are spread over the control
    steps of oodbench (20 a second). clip: how far outside the range a number may lie, to be clipped as robosuite
    clips it; beyond that it is refused. statistics: undone before anything else.
    """

    execute: int | None = Field(default=None, ge=1)
    privileged: bool = False

    cameras: tuple[Camera, ...] = ("image", "wrist_image")
    image_size: int = Field(default=256, ge=16, le=2048)
    render_size: int | None = Field(default=None, ge=16, le=2048)
    resize: Literal["bilinear", "lanczos", "area"] = "bilinear"
    orientation: Orientation = "upright"
    center_crop: float = Field(default=1.0, gt=0.25, le=1.0)

    state: StateLayout = "pose-fingers"
    hand: Literal["grip-site", "right-hand"] = "grip-site"
    state_origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    action: ActionSpace = "delta-pose"
    position_scale: float = Field(default=POSITION_SCALE, gt=0)
    rotation_scale: float = Field(default=ROTATION_SCALE, gt=0)
    rotation: Literal["axis-angle", "euler"] = "axis-angle"
    gripper: Gripper = "signed-close"
    binary_gripper: bool = False
    control_hz: float = Field(default=CONTROL_HZ, gt=0, le=200)
    clip: float = Field(default=1e-3, ge=0)
    statistics: Statistics | None = None

    def __init__(self, **fields: Any) -> None:
        """Raises PolicyError, naming the field and the nearest one that there is."""
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise PolicyError(f"PolicySpec: {explain(error)}") from None

    @model_validator(mode="after")
    def _cameras_once(self) -> PolicySpec:
        if len(set(self.cameras)) != len(self.cameras):
            raise ValueError(f"cameras {self.cameras} names one twice")
        return self

    def but(self, **fields: Any) -> PolicySpec:
        """The same with some fields changed. Raises PolicyError."""
        return PolicySpec(**(dict(self) | fields))

    def check(self, name: str) -> None:
        """Raises PolicyError, naming both sides, when oodbench cannot execute what the policy's actions mean."""
        if self.action != "delta-pose":
            raise PolicyError(
                f"policy {name} declares actions of kind {self.action!r}; oodbench executes 'delta-pose' only: changes "
                "of the hand's pose in the frame of the robot's base, and the gripper"
            )
        if self.execute is not None:
            self.steps(self.execute, name)

    def steps(self, actions: int, name: str) -> int:
        """Control steps of oodbench that so many actions of the policy last. Raises PolicyError when not whole."""
        steps = actions * CONTROL_HZ / self.control_hz
        if abs(steps - round(steps)) > 1e-9 or steps < 1:
            whole = next((n for n in range(1, 201) if (n * CONTROL_HZ / self.control_hz) % 1 < 1e-9), None)
            advice = f"execute a multiple of {whole} (execute=)" if whole else "no chunk of it lasts whole steps"
            raise PolicyError(
                f"policy {name} acts at {self.control_hz:g} Hz, oodbench at {CONTROL_HZ} Hz: {actions} of its actions "
                f"last {steps:.3g} control steps; {advice}"
            )
        return round(steps)

    def differences(self) -> dict[str, Any]:
        """The fields that are not oodbench's own convention."""
        plain = PolicySpec()
        return {key: value for key, value in dict(self).items() if value != getattr(plain, key)}


class Preset(_Data):
    """presets/<name>.toml: the conventions of an ecosystem."""

    name: str
    summary: str
    source: str
    spec: PolicySpec


PRESETS: Registry[Preset] = Registry(
    "preset", Path(__file__).parent / "presets", lambda path: toml.load(path, Preset), of=Preset
)


def preset(name: str, **changes: Any) -> PolicySpec:
    """The spec of a preset, with some fields changed. Raises UnknownNameError or PolicyError.

    >>> preset("libero", execute=8).orientation
    'mirrored'
    """
    return PRESETS.get(name).spec.but(**changes)


def explain(error: ValidationError) -> str:
    """The first thing that is wrong, in a line."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = nearest(str(first["loc"][-1]), PolicySpec.model_fields)
        return f"there is no {field!r}" + (f"; did you mean {near!r}?" if near else "")
    return f"{field}: {first['msg'].removeprefix('Value error, ')} (is {first['input']!r})"
