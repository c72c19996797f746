"""The reference model: who sees whom, what files hold, what it is fed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.concepts import things
from oodbench.errors import OodbenchError, UnknownNameError
from vla.model import MAX_BYTES, MAX_PARAMETERS, VLA, Config, parameters, state_features
from vla.questions import answers, vocabulary
from vla.recipe import load_recipe
from vla.teacher import Teacher, TeacherConfig, classes
from vla.tier import HERE, load_tier
from vla.words import Vocabulary

SMALL = {"width": 32, "heads": 2, "mlp": 2, "encoder_layers": 1, "trunk_layers": 2, "stem": (8, 8, 16, 16)}


@pytest.fixture(scope="module")
def model() -> VLA:
    torch.manual_seed(0)
    return VLA(Config(vocabulary=("<pad>", "<unknown>", "put", "the", "mug"), answers=("yes", "no"), **SMALL)).eval()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    return {
        "image": torch.rand(2, 3, 128, 128),
        "wrist_image": torch.rand(2, 3, 64, 64),
        "words": torch.tensor([[[2, 3, 4, 0]], [[2, 4, 0, 0]]]),
        "state": torch.tensor([[-0.1, 0.0, 0.2, 3.1, 0.1, 0.0, 0.04, -0.04]] * 2),
    }


def test_it_gives_what_it_says(model: VLA, batch: dict[str, torch.Tensor]) -> None:
    out = model(**batch, hidden=True, attention=True)
    assert out.motion.shape == (2, 8, 6)
    assert out.gripper.shape == (2, 8)
    assert out.answer.shape == (2, 1, 2)
    assert out.heat.shape == (2, 1, 80)
    tokens = 80 + 5 + 1 + 8
    assert [h.shape for h in out.hidden] == [(2, tokens, 32)] * 3
    assert [a.shape for a in out.attention] == [(2, 2, tokens, tokens)] * 2
    assert torch.allclose(out.attention[0].sum(-1), torch.ones(()))


def test_asking_for_the_attention_changes_nothing(model: VLA, batch: dict[str, torch.Tensor]) -> None:
    plain, looked = model(**batch), model(**batch, attention=True)
    assert torch.allclose(plain.motion, looked.motion, atol=1e-5)


def test_visual_tokens_do_not_depend_on_words_or_state(model: VLA, batch: dict[str, torch.Tensor]) -> None:
    one = model(**batch, hidden=True)
    other = model(**{**batch, "words": batch["words"].flip(0), "state": -batch["state"]}, hidden=True)
    for a, b in zip(one.hidden, other.hidden, strict=True):
        assert torch.allclose(a[:, :80], b[:, :80], atol=1e-5)
    assert not torch.allclose(one.motion, other.motion, atol=1e-4)


def test_questions_do_not_see_each_other_and_padding_is_not_seen(model: VLA, batch: dict[str, torch.Tensor]) -> None:
    pictures = {k: batch[k] for k in ("image", "wrist_image")}
    alone = model(**pictures, words=batch["words"])
    together = model(**pictures, words=torch.cat([batch["words"], batch["words"].flip(0)], 1))
    longer = model(**pictures, words=torch.nn.functional.pad(batch["words"], (0, 3)))
    assert torch.allclose(alone.answer[:, 0], together.answer[:, 0], atol=1e-5)
    assert torch.allclose(alone.heat, longer.heat, atol=1e-5)


def test_a_checkpoint_holds_everything_that_is_needed(
    model: VLA, batch: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    path = tmp_path / "model.safetensors"
    model.save(path, tier="none")
    back = VLA.load(path)
    assert back.config == model.config
    assert torch.allclose(back(**batch).motion, model(**batch).motion, atol=5e-3)  # half precision on disk
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(OodbenchError, match=r"model\.safetensors: not a checkpoint of this model"):
        VLA.load(path)
    with pytest.raises(OodbenchError, match=r"no such checkpoint; .* has: model\.safetensors"):
        VLA.load(tmp_path / "modle.safetensors")


@pytest.mark.parametrize("name", [path.stem for path in (HERE / "tiers").glob("*.toml")])
def test_every_tier_keeps_to_its_size(name: str, tmp_path: Path) -> None:
    tier = load_tier(name)
    built = VLA(Config(vocabulary=vocabulary().listed, answers=answers(), **tier.model))
    assert parameters(built) <= MAX_PARAMETERS
    built.save(tmp_path / "model.safetensors")
    teacher = Teacher(TeacherConfig(classes=classes(), **tier.teacher))
    teacher.save(tmp_path / "teacher.safetensors")
    assert all(file.stat().st_size <= MAX_BYTES for file in tmp_path.iterdir())
    if name != "tiny":
        assert parameters(teacher.encoder) > parameters(built.encoder)
    assert built.config.image_grid == teacher.config.grid
    for arm in tier.arms:
        load_recipe(arm)


def test_the_words_of_c_none_are_not_in_the_answers_nor_its_names_in_the_vocabulary() -> None:
    listed, known = set(answers()), set(vocabulary().listed)
    shared = {asset.label for asset in things("object", "robot", "web")}
    for asset in things("object", "none"):
        assert asset.label in shared or asset.label not in listed
    assert "stapler" not in known
    assert {"mug", "tomato", "carrot"} <= known


def test_every_recipe_is_one_difference_and_unknown_names_get_a_hint() -> None:
    default = load_recipe("default").model_dump(exclude={"name", "summary"})
    for path in (HERE / "recipes").glob("*.toml"):
        recipe = load_recipe(path.stem).model_dump(exclude={"name", "summary"})
        differing = [key for key in default if recipe[key] != default[key]]
        assert len(differing) == (0 if path.stem == "default" else 1)
    with pytest.raises(UnknownNameError, match="did you mean 'align'"):
        load_recipe("algin")
    with pytest.raises(UnknownNameError, match="did you mean 'gpu'"):
        load_tier("gpus")


def test_words_are_counted_and_unknown_ones_are_one() -> None:
    words = Vocabulary.of(["put the mug", "the t-shirt"])
    table = words.encode(["Put the T-shirt!", "zebra", ""], longest=2)
    assert table.shape == (3, 2)
    assert table[1].tolist() == [1, 0]
    assert table[2].tolist() == [0, 0]
    assert words.listed[table[0, 0]] == "put"


def test_the_orientation_is_fed_as_a_rotation() -> None:
    """A half turn about x, by either of its two rotation vectors, is the same to the model."""
    one = torch.tensor([[0.0, 0, 0, np.pi, 0, 0, 0.04, -0.04]])
    other = one.clone()
    other[0, 3] = -np.pi
    assert torch.allclose(state_features(one), state_features(other), atol=1e-5)
    columns = state_features(one)[0, 3:9].reshape(3, 2)
    assert torch.allclose(columns, torch.tensor([[1.0, 0], [0, -1], [0, 0]]), atol=1e-5)
