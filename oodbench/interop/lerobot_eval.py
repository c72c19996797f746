"""`lerobot-eval --env.type=oodbench`: oodbench's tasks and shifts in LeRobot's own evaluation.

Runs where lerobot is installed (`oodbench lerobot-env`). lerobot gives episode i of a run the seed `--seed` + i, and
seed n is scene n, as it is everywhere in oodbench with its default namespace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

from oodbench.convention import CONTROL_HZ
from oodbench.env import STATE_BOUND, OodbenchEnv
from oodbench.policies.conventions import picture, state, to_actions
from oodbench.policies.spec import preset

GYM_ID = "oodbench/lerobot-v1"


class LeRobotEnv(gymnasium.Env[dict[str, Any], np.ndarray]):
    """One task under one shift, with observations as lerobot's evaluation reads them.

    pixels: {image, wrist_image}, (size, size, 3) uint8; agent_pos: (8,) float32. conventions: a preset of
    oodbench.policies.spec, for pictures, state and actions. task_description: the instruction of the moment.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}

    def __init__(
        self,
        task: str,
        shift: str = "none",
        split: str = "test",
        size: int = 256,
        conventions: str = "oodbench",
        render_mode: str | None = "rgb_array",
    ) -> None:
        self._spec = preset(conventions, image_size=size)
        self._spec.steps(1, "the preset " + conventions)
        drawn = self._spec.render_size or size
        self._env = OodbenchEnv(task, shift, split, drawn, render_mode=render_mode)  # type: ignore[arg-type]
        self.task, self.render_mode = task, render_mode
        self._max_episode_steps = self._env.task.horizon
        self.task_description = ""
        image = spaces.Box(0, 255, (size, size, 3), np.uint8)
        self.observation_space = spaces.Dict(
            {
                "pixels": spaces.Dict({"image": image, "wrist_image": image}),
                "agent_pos": spaces.Box(-np.inf, np.inf, STATE_BOUND.shape, np.float32),
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (7,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        super().reset(seed=seed)
        observation, info = self._env.reset(seed=seed)
        return self._translated(observation), self._info(info)

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        action = to_actions(action, self._spec, "given to lerobot-eval")[0]
        observation, reward, done, late, info = self._env.step(action)
        return self._translated(observation), reward, done, late, self._info(info)

    def render(self) -> np.ndarray | None:
        return self._env.render()

    def _translated(self, observation: dict[str, Any]) -> dict[str, Any]:
        self.task_description = observation["instruction"]
        pixels = {name: picture(observation[name], self._spec) for name in ("image", "wrist_image")}
        return {"pixels": pixels, "agent_pos": state(observation["state"], None, self._spec)}

    @staticmethod
    def _info(info: dict[str, Any]) -> dict[str, Any]:
        return {"is_success": info["success"]}


# Unwrapped: lerobot asks the environment itself for its task_description, which wrappers of gymnasium hide.
gymnasium.register(
    GYM_ID, entry_point="oodbench.interop.lerobot_eval:LeRobotEnv", order_enforce=False, disable_env_checker=True
)


@EnvConfig.register_subclass("oodbench")
@dataclass
class OodbenchConfig(EnvConfig):
    """--env.type=oodbench --env.task=put-on --env.shift=visual.light-intensity@3"""

    task: str | None = "put-on"
    shift: str = "none"
    split: str = "test"
    size: int = 256
    conventions: str = "oodbench"
    fps: int = CONTROL_HZ
    features: dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            "action": "action",
            "agent_pos": "observation.state",
            "pixels/image": "observation.images.image",
            "pixels/wrist_image": "observation.images.wrist_image",
        }
    )

    def __post_init__(self) -> None:
        shape = (self.size, self.size, 3)
        self.features = {
            "action": PolicyFeature(type=FeatureType.ACTION, shape=(7,)),
            "agent_pos": PolicyFeature(type=FeatureType.STATE, shape=(8,)),
            "pixels/image": PolicyFeature(type=FeatureType.VISUAL, shape=shape),
            "pixels/wrist_image": PolicyFeature(type=FeatureType.VISUAL, shape=shape),
        }

    @property
    def gym_id(self) -> str:
        return GYM_ID

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        names = ("task", "shift", "split", "size", "conventions")
        return {name: getattr(self, name) for name in names}
