"""A golden episode: does this machine give the bits that oodbench's reference gives?

assets/golden.json holds a scene, actions, and what comes of them: the expert puts an object on a plate. Physics only,
nothing is drawn. `oodbench doctor` plays it. When the physics was changed on purpose, or what the scene is made of,
write it anew, on an x86-64 machine of 2013 or later with glibc, and say so in the commit:

    python -m oodbench.golden
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from oodbench import paths
from oodbench.errors import AssetError
from oodbench.exact import norm
from oodbench.scene import Scene

FILE = "golden.json"
TASK, SEED = "put-on", 3
UNIT = 1000  # actions are whole numbers, in thousandths
PREFIX = 4  # hexadecimal digits of a step's hash that are kept


class Golden(BaseModel):
    """What the file holds.

    Attributes:
        scene: the start.
        actions: thousandths of the action range, (steps, 7).
        sha256: hash of qpos and qvel after every step.
        steps: the first PREFIX digits of that hash as it was after each step.
        positions: where the hand ("hand") and every object are at the end (m, world frame).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scene: Scene
    actions: tuple[tuple[int, ...], ...]
    sha256: str
    steps: tuple[str, ...]
    positions: dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class Comparison:
    """How this machine plays the golden episode.

    Attributes:
        sha256: of the states here.
        same: whether they are the reference's, bit for bit.
        since: the first control step with another state, from 1; None when there is none.
        apart: how far the hand or an object ends from where the reference has it, at most (m).
    """

    sha256: str
    same: bool
    since: int | None
    apart: float


def read() -> Golden:
    """The golden episode. Raises AssetError when its file is missing or damaged."""
    path = paths.data_dir("assets") / FILE
    try:
        return Golden.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AssetError(f"{path}: cannot be read ({error}); write it with `python -m oodbench.golden`") from error


def compare(golden: Golden | None = None) -> Comparison:
    """Play the golden episode and compare."""
    golden = golden or read()
    here = _play(golden.scene, golden.actions)
    differ = [step for step, (a, b) in enumerate(zip(golden.steps, here.steps, strict=True), start=1) if a != b]
    apart = max(norm(np.subtract(golden.positions[id], place)) for id, place in here.positions.items())
    return Comparison(here.sha256, here.sha256 == golden.sha256, differ[0] if differ else None, apart)


def _play(scene: Scene, actions: tuple[tuple[int, ...], ...]) -> Golden:
    from oodbench.sim.world import World

    world, digest, steps = World("fast"), hashlib.sha256(), []
    world.reset(scene)
    for action in actions:
        world.step(np.array(action) / UNIT)
        digest.update(world.data.qpos.tobytes() + world.data.qvel.tobytes())
        steps.append(digest.hexdigest()[:PREFIX])
    places = {"hand": world.grip_position} | {item.id: world.position(item.id) for item in scene.objects}
    positions = {id: (float(x), float(y), float(z)) for id, (x, y, z) in places.items()}
    return Golden(scene=scene, actions=actions, sha256=digest.hexdigest(), steps=tuple(steps), positions=positions)


def main() -> None:
    """Write the file anew: the expert's actions, to thousandths, until the goal is settled."""
    from oodbench.expert import Expert
    from oodbench.policies.base import EpisodeInfo
    from oodbench.sim.world import World
    from oodbench.task import TASKS

    scene = TASKS.get(TASK).sample(SEED)
    world, expert = World("fast"), Expert()
    world.reset(scene)
    expert.bind(world)
    expert.reset(EpisodeInfo(TASK, scene.instruction.text, SEED, scene.timing.horizon, scene.timing.control_hz))
    actions: list[tuple[int, ...]] = []
    while not world.status.settled and world.steps < scene.timing.horizon:
        actions.append(tuple(round(UNIT * float(x)) for x in expert.act(world.observation())[0]))
        world.step(np.array(actions[-1]) / UNIT)
    golden = _play(scene, tuple(actions))
    path = paths.data_dir("assets") / FILE
    path.write_text(json.dumps(golden.model_dump(mode="json"), separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path}: {len(actions)} steps, settled: {world.status.settled}, {golden.sha256}")


if __name__ == "__main__":
    main()
