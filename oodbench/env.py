"""The gymnasium environment: any task under any shift.

``import oodbench``, then ``gymnasium.make("oodbench/put-on-v1", shift="visual.lighting@3")``; or, without the import,
``gymnasium.make("oodbench:oodbench/put-on-v1", ...)``. Tasks of other packages have such ids, too; a task in a file of
one's own is ``gymnasium.make("oodbench/task-v0", task="my-task.toml")``.

The runner does not use it (it drives the World, which renders only what a policy looks at); it is for people who train
or evaluate in loops of their own.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from oodbench.catalogue import Split
from oodbench.convention import CONTROL_HZ
from oodbench.errors import SpecError
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.task import NAMESPACE, TASKS

SEEDS = 2**31
# Position (m), rotation vector (rad), fingers (m).
STATE_BOUND = np.array([2.0, 2.0, 2.0, 7.0, 7.0, 7.0, 0.1, 0.1], np.float32)
TEXT = "".join(map(chr, range(32, 127)))


class OodbenchEnv(gymnasium.Env[dict[str, Any], np.ndarray]):
    """One task under one shift.

    task: its name, or its file's path. shift: e.g. "visual.lighting@3", or "none". split: the pool that shifts draw
    from. size: pixels of the square images. The observation is what policies get (see
    oodbench.sim.world.Observation); the action is theirs too (see oodbench.policies.Policy). The
    reward is 1 in the step in which the episode succeeds, else 0.

    ``reset(seed=n)`` gives scene n: the same one that the benchmark plays under that seed with the default namespace.
    Without a seed, the next scene is drawn from the environment's own generator. ``info`` has the status.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}

    def __init__(
        self,
        task: str,
        shift: str = "none",
        split: Split = "test",
        size: int = 256,
        quality: str = "standard",
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, "rgb_array"):
            raise SpecError(f"render_mode {render_mode!r}: only 'rgb_array' and None exist")
        self.task = TASKS.get(task)
        self.shift = ShiftSpec.parse(shift)
        self.split = split
        self.size = size
        self.render_mode = render_mode
        self._world = World(quality)
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.observation_space = spaces.Dict(
            {
                "image": image,
                "wrist_image": image,
                "state": spaces.Box(-STATE_BOUND, STATE_BOUND, dtype=np.float32),
                "instruction": spaces.Text(max_length=512, min_length=0, charset=TEXT),
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (7,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(SEEDS))
        scene = self.shift.apply(self.task.sample(seed, NAMESPACE), task=self.task, split=self.split)
        self._world.reset(scene)
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        self._world.step(np.clip(np.asarray(action, np.float64), -1.0, 1.0))
        settled = self._world.status.settled
        out_of_time = self._world.steps >= self._world.scene.timing.horizon
        return self._observe(), float(settled), settled, out_of_time and not settled, self._info()

    def render(self) -> np.ndarray | None:
        return self._world.render("image", self.size) if self.render_mode else None

    def _observe(self) -> dict[str, Any]:
        return dict(self._world.observation(self.size))

    def _info(self) -> dict[str, Any]:
        status = self._world.status
        return {
            "success": status.settled,
            "final": status.final,
            "ever": status.ever,
            "stages": status.stages,
            "closure_sha256": self._world.closure_sha256,
        }
