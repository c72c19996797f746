"""oodbench as a benchmark of AllenAI's vla-evaluation-harness, so that all of its model servers can be evaluated.

In a vla-eval config: ``benchmark: "oodbench.interop.vla_eval:OODBenchmark"``. Every cell of the suite is one of its
tasks, and episode i of it is scene i: the same scenes that `oodbench run` plays, with the same hashes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from vla_eval.benchmarks.base import StepBenchmark, StepResult
from vla_eval.specs import (
    GRIPPER_CLOSE_POS,
    IMAGE_RGB,
    LANGUAGE,
    POSITION_DELTA,
    ROTATION_AA,
    STATE_EEF_POS_AA_GRIP,
    DimSpec,
)

from oodbench.errors import SpecError
from oodbench.observation import Seen
from oodbench.policies.conventions import observe, to_actions
from oodbench.policies.spec import preset as preset_spec
from oodbench.remote.vla_eval import CAMERAS
from oodbench.run.runner import choose
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import SUITES, Episode
from oodbench.task import TASKS


class OODBenchmark(StepBenchmark):
    """A suite of oodbench.

    suite: its name. tasks, shifts: patterns that choose among its cells. preset: of pictures and state (see
    oodbench.policies.spec); its servers for LIBERO expect "libero". image_size: pixels. send_wrist_image, send_state:
    whether they are sent (servers ask for them). quat_no_antipodal: whether rotation vectors go up to 2 pi, as
    robosuite's do; by default up to pi, as vla-eval's own LIBERO does.
    """

    render_backends: ClassVar[frozenset[str]] = frozenset({"gpu", "cpu"})

    @classmethod
    def configure_render(cls, mode: str) -> dict[str, str]:
        """MuJoCo takes whichever OpenGL there is; nothing to set."""
        return {}

    def __init__(
        self,
        suite: str = "quick",
        tasks: tuple[str, ...] | list[str] = (),
        shifts: tuple[str, ...] | list[str] = (),
        preset: str = "libero",
        image_size: int = 256,
        send_wrist_image: bool = True,
        send_state: bool = True,
        quat_no_antipodal: bool = False,
    ) -> None:
        super().__init__()
        self._suite = SUITES.get(suite)
        plan = choose(self._suite, limit=None, tasks=tasks, shifts=shifts, seed_offset=0)
        self._cells: dict[tuple[str, str], list[int]] = {}
        for episode in plan:
            self._cells.setdefault((episode.task, str(episode.shift)), []).append(episode.seed)
        layout = "pose-fingers" if quat_no_antipodal else "pose-fingers-folded"
        cameras = ("image", "wrist_image") if send_wrist_image else ("image",)
        self._spec = preset_spec(preset, image_size=image_size, state=layout, cameras=cameras)
        self._spec.check("vla-eval")
        self._send_state = send_state
        self._world = World(self._suite.protocol.quality)

    def get_tasks(self) -> list[dict[str, Any]]:
        return [
            {"name": f"{task}/{shift}", "suite": self._suite.name, "task": task, "shift": shift}
            for task, shift in self._cells
        ]

    def reset(self, task: dict[str, Any]) -> Seen:
        seeds = self._cells.get((task["task"], task["shift"]))
        if seeds is None:
            raise SpecError(f"suite {self._suite.name!r} has no cell {task['name']!r}")
        seed = seeds[int(task.get("episode_idx", 0)) % len(seeds)]
        scene = Episode(task["task"], ShiftSpec.parse(task["shift"]), seed).scene(self._suite)
        self._world.reset(scene)
        self._record_frame()
        return observe(self._world, self._spec)

    def step(self, action: dict[str, Any]) -> StepResult:
        raw = np.asarray(action.get("actions", action.get("action")), dtype=np.float64)
        for one in to_actions(raw, self._spec, "vla-eval"):
            self._world.step(one)
        self._record_frame()
        done = self._success or self._world.steps >= self._world.scene.timing.horizon
        info = {"success": self._success, "closure_sha256": self._world.closure_sha256}
        return StepResult(observe(self._world, self._spec), float(self._success), done, info)

    def make_obs(self, raw_obs: Seen, task: dict[str, Any]) -> dict[str, Any]:
        observation: dict[str, Any] = {
            "images": {CAMERAS[camera]: raw_obs[camera] for camera in raw_obs.cameras},
            "task_description": raw_obs["instruction"],
        }
        if self._send_state:
            observation["states"] = raw_obs["state"]
        return observation

    def get_step_result(self, step_result: StepResult) -> dict[str, Any]:
        return {"success": bool(step_result.info.get("success", False))}

    def get_metadata(self) -> dict[str, Any]:
        horizons = [TASKS.get(task).horizon for task, _ in self._cells]
        episodes = min(len(seeds) for seeds in self._cells.values())
        return {"max_steps": 2 * max(horizons), "max_episodes_per_task": episodes, "suite": self._suite.name}

    def get_action_spec(self) -> dict[str, DimSpec]:
        return {"position": POSITION_DELTA, "rotation": ROTATION_AA, "gripper": GRIPPER_CLOSE_POS}

    def get_observation_spec(self) -> dict[str, DimSpec]:
        spec = {CAMERAS[camera]: IMAGE_RGB for camera in self._spec.cameras} | {"language": LANGUAGE}
        return spec | ({"state": STATE_EEF_POS_AA_GRIP} if self._send_state else {})

    def get_hold_action(self, last_action: dict[str, Any] | None) -> dict[str, Any]:
        """Stay, and hold what is held."""
        hold = np.zeros(7, np.float32)
        if last_action is not None:
            hold[6] = np.ravel(last_action["actions"])[6]
        return {"actions": hold}

    def render(self) -> np.ndarray:
        return self._world.render("image", 256)

    @property
    def _success(self) -> bool:
        status = self._world.status
        reading = self._suite.protocol.success
        over = self._world.steps >= self._world.scene.timing.horizon
        return bool(getattr(status, reading)) and (reading != "final" or over)

    def _record_frame(self) -> None:
        recorder = getattr(self, "_recorder", None)
        if recorder is not None and type(recorder).__name__ != "NullEpisodeRecorder":
            recorder.record_video(self.render())
