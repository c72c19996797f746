"""The reference VLA as a policy: what it is given is what it was trained on, and what it shows is what it does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import policy
from oodbench.demos.frames import shrink
from oodbench.diagnostics.inside import look
from oodbench.errors import OodbenchError
from oodbench.policies.base import EpisodeInfo, check_actions
from oodbench.sim.world import World
from oodbench.task import TASKS
from vla.model import VLA, Config

SMALL = {"width": 32, "heads": 2, "mlp": 2, "encoder_layers": 1, "trunk_layers": 2, "stem": (8, 8, 16, 16)}
WORDS = ("<pad>", "<unknown>", "put", "the", "on", "plate")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    VLA(Config(vocabulary=WORDS, answers=("nothing", "yes"), **SMALL)).save(path)  # type: ignore[arg-type]
    return path


def test_its_chunks_are_valid_actions_and_depend_on_the_observation_alone(checkpoint: Path) -> None:
    made, world = policy.load(str(checkpoint), execute=4), World("fast")
    assert (made.spec.execute, made.spec.image_size) == (4, 128)
    chunks = []
    for seed in (0, 1, 0):
        scene = TASKS.get("put-on").sample(seed)
        world.reset(scene)
        made.reset(EpisodeInfo("put-on", scene.instruction.text, seed, 100, 20.0))
        chunks.append(check_actions(made.act(world.observation(128)), "small"))
    assert chunks[0].shape == (8, 7)
    assert set(np.unique(chunks[0][:, 6])) <= {-1.0, 1.0}
    assert np.array_equal(chunks[0], chunks[2])
    assert not np.array_equal(chunks[0], chunks[1])


def test_what_it_shows_of_its_inside_is_what_it_does(checkpoint: Path) -> None:
    made, world = policy.load(str(checkpoint)), World("fast")
    observations, chunks = [], []
    for seed in range(3):
        world.reset(TASKS.get("put-on").sample(seed))
        seen = world.observation(128)
        observations.append((seen.image, seen.wrist_image, seen.state, seen.instruction))
        chunks.append(made.act(seen))
    images, wrists, states = (np.stack([o[i] for o in observations]) for i in range(3))
    found = look(made, "small", images, wrists, states, [o[3] for o in observations])
    assert np.allclose(found.actions[..., :6], np.stack(chunks)[..., :6], atol=1e-5)
    assert (np.sign(found.actions[..., 6]) == np.stack(chunks)[..., 6]).all()
    assert found.grid == 8
    assert list(found.layers) == ["projector", "trunk.1", "trunk.2"]
    assert list(found.attention) == ["trunk.1", "trunk.2", "rollout"]
    assert all((weights >= 0).all() and weights.sum(1).max() <= 1.0 + 1e-5 for weights in found.attention.values())
    other = look(made, "small", images, wrists, states, ["put the plate on"] * 3)
    assert not np.allclose(other.actions, found.actions, atol=1e-6)  # the words arrive
    assert np.allclose(other.layers["trunk.2"], found.layers["trunk.2"], atol=1e-5)  # and not at the visual tokens


def test_frames_and_observations_are_shrunk_alike(checkpoint: Path) -> None:
    """The wrist picture that the policy feeds is the one that frames were rendered with."""
    made, world = policy.load(str(checkpoint)), World("standard")
    world.reset(TASKS.get("put-on").sample(5))
    seen = world.observation(128)
    fed: list[torch.Tensor] = []
    made.model.encoder.register_forward_pre_hook(lambda module, inputs: fed.append(inputs[0]))
    made.act(seen)
    assert torch.equal((fed[0][0] * 255).round().byte(), torch.from_numpy(seen.image).permute(2, 0, 1))
    small = torch.from_numpy(shrink(seen.wrist_image, 64)).permute(2, 0, 1)
    assert torch.equal((fed[1][0] * 255).round().byte(), small)


def test_an_untrained_copy_comes_from_its_seed(checkpoint: Path) -> None:
    one, two = policy.untrained(str(checkpoint), seed=1).model, policy.untrained(str(checkpoint), seed=1).model
    assert torch.equal(one.words.weight, two.words.weight)
    assert not torch.equal(one.words.weight, VLA.load(checkpoint).words.weight)


def test_mistakes_are_named(checkpoint: Path) -> None:
    with pytest.raises(OodbenchError, match="execute is 9; the model's chunks have 8"):
        policy.load(str(checkpoint), execute=9)
    with pytest.raises(OodbenchError, match="no such checkpoint"):
        policy.load("cpu/defualt-0")
