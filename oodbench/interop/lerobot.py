"""A LeRobot checkpoint as an oodbench policy. Runs where lerobot is installed (`oodbench lerobot-env`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from oodbench.errors import PolicyError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.spec import PolicySpec
from oodbench.remote.client import declared

STATE = "observation.state"
PICTURES = "observation.image"
WRIST = ("wrist", "hand", "image2")  # what the key of a wrist camera has in it


def load(
    path: str,
    preset: str = "oodbench",
    device: str | None = None,
    image: str | None = None,
    wrist_image: str | None = None,
    **conventions: Any,
) -> LeRobotPolicy:
    """A policy that lerobot saved, with its own pre- and post-processing.

    path: a folder that `save_pretrained` wrote, or a repository on the Hub. device: default cuda where there is one.
    image, wrist_image: which of its pictures they are, where their names do not say. preset, conventions: see
    `oodbench.policies.spec.PolicySpec`; for one trained on lerobot's LIBERO data sets, preset=libero. Raises
    PolicyError: it cannot be loaded, or wants what oodbench does not have.
    """
    try:
        from lerobot.configs.policies import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    except ImportError as error:
        raise PolicyError(
            f"lerobot cannot be imported ({error}); make an environment with: oodbench lerobot-env"
        ) from None
    try:
        config = PreTrainedConfig.from_pretrained(path)
        config.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        policy = get_policy_class(config.type).from_pretrained(path, config=config)
        before, after = make_pre_post_processors(
            config, pretrained_path=path, preprocessor_overrides={"device_processor": {"device": config.device}}
        )
    except Exception as error:
        text = (str(error).splitlines() or [""])[0]
        raise PolicyError(f"{path} cannot be loaded as a LeRobot policy: {type(error).__name__}: {text}") from error
    keys = cameras(list(config.image_features), image, wrist_image, path)
    sizes = {tuple(config.image_features[key].shape[-2:]) for key in keys.values()}
    if len(sizes) > 1 or any(height != width for height, width in sizes):
        raise PolicyError(f"{path}: its pictures are {sorted(sizes)}; oodbench gives square ones of one size")
    for kind, features, shape in (
        ("state", config.input_features, STATE),
        ("action", config.output_features, "action"),
    ):
        feature, wanted = features.get(shape), 8 if kind == "state" else 7
        if feature is not None and tuple(feature.shape) != (wanted,):
            raise PolicyError(f"{path}: its {kind} has shape {tuple(feature.shape)}; oodbench's has ({wanted},)")
    stepwise = config.n_obs_steps > 1 or getattr(config, "temporal_ensemble_coeff", None) is not None
    own: dict[str, Any] = {"cameras": list(keys), "execute": 1 if stepwise else config.n_action_steps}
    if sizes:
        own["image_size"] = sizes.pop()[0]
    spec = declared(path, preset, own | conventions)
    return LeRobotPolicy(policy, before, after, keys, spec, stepwise)


def cameras(found: list[str], image: str | None, wrist_image: str | None, path: str) -> dict[str, str]:
    """oodbench's cameras and a policy's keys of them. Raises PolicyError, naming the keys, when that is not clear."""
    keys = {"image": image, "wrist_image": wrist_image}
    for key in (key for key in keys.values() if key):
        if key not in found:
            raise PolicyError(f"{path}: has no picture {key!r}; it has {', '.join(found) or 'none'}")
    for key in found:
        if key in keys.values():
            continue
        camera = "wrist_image" if any(word in key.rsplit(".", 1)[-1] for word in WRIST) else "image"
        if keys[camera] is not None:
            raise PolicyError(
                f"{path}: has the pictures {', '.join(found)}; say which is which with image= and wrist_image= "
                "(oodbench has these two)"
            )
        keys[camera] = key
    return {camera: key for camera, key in keys.items() if key}


class LeRobotPolicy:
    """stepwise: it remembers observations, or blends chunks, and must be asked at every step."""

    def __init__(
        self, policy: Any, before: Any, after: Any, keys: dict[str, str], spec: PolicySpec, stepwise: bool
    ) -> None:
        self._policy, self._before, self._after, self._keys = policy, before, after, keys
        self.spec, self._stepwise = spec, stepwise
        self.metadata = {"lerobot_type": policy.config.type, "parameters": sum(p.numel() for p in policy.parameters())}

    def reset(self, episode: EpisodeInfo) -> None:
        """Forget the last episode; what it samples (diffusion, flow) comes from the episode's seed."""
        self._policy.reset()
        self._before.reset()
        self._after.reset()
        torch.manual_seed(episode.seed)

    @torch.inference_mode()
    def act(self, observation: Seen) -> np.ndarray:
        """A chunk, (n_action_steps, 7), or one action of a policy that is asked at every step."""
        batch: dict[str, Any] = {
            key: torch.from_numpy(observation.picture(camera)).permute(2, 0, 1)[None].float() / 255
            for camera, key in self._keys.items()
        }
        batch[STATE] = torch.from_numpy(observation.state)[None]
        batch["task"] = [observation.instruction]
        batch = self._before(batch)
        if self._stepwise:
            actions = self._policy.select_action(batch)
        else:
            actions = self._policy.predict_action_chunk(batch)[0, : self._policy.config.n_action_steps]
        return self._after(actions).cpu().double().numpy()
