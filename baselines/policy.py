"""The reference VLA as an oodbench policy: `--policy baselines/policy.py:load?checkpoint=cpu/default-0`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from oodbench.demos.frames import shrink
from oodbench.diagnostics.attention import rollout
from oodbench.diagnostics.inside import Inside
from oodbench.errors import OodbenchError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo, PolicySpec
from vla.model import VLA, pixels

BATCH = 64
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


class VLAPolicy:
    """Looks once per chunk and executes the first `execute` actions of it."""

    def __init__(self, model: VLA, execute: int) -> None:
        if not 1 <= execute <= model.config.chunk:
            raise OodbenchError(f"execute is {execute}; the model's chunks have {model.config.chunk} actions")
        self.model = model.eval()
        self.spec = PolicySpec(execute=execute, image_size=model.config.image_size)

    def reset(self, episode: EpisodeInfo) -> None:
        """Nothing is remembered from one observation to the next."""

    @torch.no_grad()
    def act(self, observation: Seen) -> np.ndarray:
        """A chunk of actions, (chunk, 7)."""
        c = self.model.config
        words = torch.from_numpy(self.model.vocabulary.encode([observation.instruction], c.longest))[None]
        output = self.model(
            _batch(observation.image), _batch(shrink(observation.wrist_image, c.wrist_size)), words,
            torch.from_numpy(observation.state)[None],
        )  # fmt: skip
        assert output.motion is not None
        assert output.gripper is not None
        grip = 2 * output.gripper[0].sigmoid() - 1
        if c.binary_gripper:
            grip = torch.where(grip > 0, 1.0, -1.0)
        return torch.cat([output.motion[0].clamp(-1, 1), grip[:, None]], 1).numpy()

    @torch.no_grad()
    def inside(
        self, images: np.ndarray, wrist_images: np.ndarray, states: np.ndarray, instructions: Sequence[str]
    ) -> Inside:
        """For `oodbench probe`: the trunk's tokens of the third-person picture, and where the action queries look."""
        c, patches = self.model.config, self.model.config.image_grid**2
        layers: dict[str, list[np.ndarray]] = {}
        attention: dict[str, list[np.ndarray]] = {}
        actions = []
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            wrists = np.stack([shrink(picture, c.wrist_size) for picture in wrist_images[part]])
            words = torch.from_numpy(self.model.vocabulary.encode(instructions[part], c.longest))[:, None]
            state = torch.from_numpy(states[part])
            pictures = (pixels(torch.from_numpy(np.ascontiguousarray(p))) for p in (images[part], wrists))
            out = self.model(*pictures, words, state, hidden=True, attention=True)
            for i, tokens in enumerate(out.hidden):
                layers.setdefault(f"trunk.{i}" if i else "projector", []).append(tokens[:, :patches].numpy())
            for i, weights in enumerate(out.attention, start=1):
                seen = weights[:, :, -c.chunk :, :patches].mean((1, 2))
                attention.setdefault(f"trunk.{i}", []).append(seen.numpy())
            through = rollout([weights.numpy() for weights in out.attention])
            attention.setdefault("rollout", []).append(through[:, -c.chunk :, :patches].mean(1))
            assert out.motion is not None
            assert out.gripper is not None
            actions.append(torch.cat([out.motion.clamp(-1, 1), out.gripper.tanh()[..., None]], 2).numpy())
        join = {name: np.concatenate(pieces) for name, pieces in layers.items()}
        return Inside(join, {name: np.concatenate(p) for name, p in attention.items()}, np.concatenate(actions))


def untrained(like: str, seed: int = 0) -> VLAPolicy:
    """The model of a checkpoint with random weights: what representations are worth before any training."""
    torch.manual_seed(seed)
    return VLAPolicy(VLA(load(like).model.config), execute=1)


def load(checkpoint: str, execute: int = 4) -> VLAPolicy:
    """checkpoint: a path, or what comes before .safetensors in baselines/checkpoints. execute: actions of each chunk
    that are executed before the next look."""
    torch.set_num_threads(1)  # oodbench runs one worker a core
    path = Path(checkpoint)
    if path.suffix != ".safetensors":
        path = CHECKPOINTS / f"{checkpoint}.safetensors"
    return VLAPolicy(VLA.load(path), execute)


def _batch(picture: np.ndarray) -> torch.Tensor:
    return pixels(torch.from_numpy(np.ascontiguousarray(picture))[None])
