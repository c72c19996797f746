"""Looking at the interface of a policy: one observation and one answer, in its conventions and in oodbench's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from rich.table import Table

from oodbench.convention import CONTROL_HZ, POSITION_SCALE, ROTATION_SCALE
from oodbench.policies.base import EpisodeInfo, ask, numbers
from oodbench.policies.conventions import observe, to_actions
from oodbench.policies.loading import load_policy, spec_of
from oodbench.policies.spec import PolicySpec
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.task import TASKS

_POSE = ("x (m)", "y (m)", "z (m)")
_ROTATION = ("rotation x (rad)", "rotation y (rad)", "rotation z (rad)")
_EULER = ("roll (rad)", "pitch (rad)", "yaw (rad)")
_FINGERS = ("left finger (m)", "right finger (m)")
STATE_NAMES = {
    "pose-fingers": (*_POSE, *_ROTATION, *_FINGERS),
    "pose-fingers-folded": (*_POSE, *_ROTATION, *_FINGERS),
    "pose-euler-fingers": (*_POSE, *_EULER, *_FINGERS),
    "pose-euler-pad-gripper": (*_POSE, *_EULER, "padding", "gripper, 1 open"),
    "pose-quat-gripper": (*_POSE, "quaternion x", "y", "z", "w", "gripper, 1 open"),
    "joints-gripper": (*(f"joint {i} (rad)" for i in range(1, 8)), "gripper, 1 closed"),
}
SATURATED = 0.5  # share of motion at the limits that deserves a remark


@dataclass(frozen=True)
class Inspection:
    """pictures: as the policy got them. raw: (n, 7) its answer; executed: (m, 7) what oodbench does with it."""

    uri: str
    spec: PolicySpec
    instruction: str
    pictures: dict[str, np.ndarray]
    state: np.ndarray
    raw: np.ndarray
    executed: np.ndarray

    def sheet(self) -> Image.Image:
        """The pictures side by side, pixel for pixel."""
        return Image.fromarray(np.concatenate(list(self.pictures.values()), 1))

    def remarks(self) -> list[str]:
        """What looks as if it was not meant."""
        found = []
        motion = self.executed[:, :6]
        at_limit = float((np.abs(motion) >= 1.0).mean())
        if at_limit > SATURATED:
            found.append(f"{at_limit:.0%} of the motion is at the limit of what can be executed; is the scale right?")
        if not motion.any():
            found.append("the answer does not move the hand at all")
        if self.spec.gripper.startswith("unit") and self.raw[:, 6].min() < -0.5:
            found.append(f"the gripper goes down to {self.raw[:, 6].min():.2f}, but the spec says it is from 0 to 1")
        if self.spec.gripper.startswith("signed") and not self.spec.binary_gripper and (self.raw[:, 6] >= 0).all():
            found.append(
                "the gripper is never negative; if 0 and 1 are meant, declare gripper='unit-open' or 'unit-close'"
            )
        return found


def inspect_policy(uri: str, task: str = "put-on", shift: str = "none", seed: int = 0) -> Inspection:
    """Ask a policy once, in the first moment of a scene. Raises OodbenchError: no such thing, or a bad answer."""
    loaded = load_policy(uri)
    kind = TASKS.get(task)
    scene = ShiftSpec.parse(shift).apply(kind.sample(seed), task=kind, split="test")
    policy = loaded.make()
    try:
        spec = spec_of(policy)
        world = World()
        world.reset(scene)
        if spec.privileged:
            policy.bind(world)
        policy.reset(EpisodeInfo(task, scene.instruction.text, 0, scene.timing.horizon, float(CONTROL_HZ)))
        seen = observe(world, spec)
        seen.look()
        raw = ask(policy, seen)
        pictures = {camera: np.asarray(seen[camera]) for camera in seen.cameras}
        return Inspection(
            uri, spec, scene.instruction.text, pictures, np.asarray(seen["state"]), numbers(raw, loaded.name),
            to_actions(raw, spec, loaded.name),
        )  # fmt: skip
    finally:
        getattr(policy, "close", lambda: None)()


def tables(found: Inspection) -> list[Table]:
    """Declared, given, answered."""
    declared = Table(title=f"what {found.uri} declares", title_justify="left")
    declared.add_column("field")
    declared.add_column("value")
    declared.add_column("oodbench's own", style="dim")
    plain, differences = PolicySpec(), found.spec.differences()
    for field, value in dict(found.spec).items():
        changed = field in differences
        declared.add_row(
            field, str(value), str(getattr(plain, field)) if changed else "", style="bold" if changed else ""
        )
    given = Table(title="what it is given", title_justify="left")
    given.add_column("")
    given.add_column("")
    given.add_row("instruction", found.instruction)
    for camera, picture in found.pictures.items():
        given.add_row(camera, f"{picture.dtype} {picture.shape}, mean {picture.mean():.0f}")
    for name, number in zip(STATE_NAMES[found.spec.state], found.state, strict=True):
        given.add_row(name, f"{number:+.4f}")
    return [declared, given, _answer(found)]


def _answer(found: Inspection) -> Table:
    lasts = len(found.executed) / CONTROL_HZ
    made = f"{len(found.executed)} control steps are made ({lasts:g} s)"
    title = f"what it answers: {len(found.raw)} actions, of which {made}"
    table = Table(title=title, title_justify="left")
    for name in ("", "its number", "first step", "all of it"):
        table.add_column(name, justify="left" if not name else "right")
    first, whole = found.executed[0], found.executed.sum(0)
    names = ("along x", "along y", "along z", "about x", "about y", "about z")
    for i, name in enumerate(names):
        unit, scale = ("cm", 100 * POSITION_SCALE) if i < 3 else ("deg", np.degrees(ROTATION_SCALE))
        table.add_row(
            name, f"{found.raw[0, i]:+.4f}", f"{scale * first[i]:+.2f} {unit}", f"{scale * whole[i]:+.2f} {unit}"
        )
    last = found.executed[-1, 6]
    table.add_row("gripper", f"{found.raw[0, 6]:+.4f}", _gripper(first[6]), f"{_gripper(last)} at the end")
    return table


def _gripper(command: float) -> str:
    return "stays" if command == 0 else "closes" if command > 0 else "opens"
