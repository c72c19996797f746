"""The alignment loss: on a toy model what it must do to the numbers, on transformers' models that it fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from oodbench.alignment import Alignment, match_grid, random_projector, ridge_projector
from oodbench.errors import OodbenchError

VISUAL, WIDTH, TEACHER = 16, 24, 12


class Toy(nn.Module):
    """Four layers over 16 visual tokens and 3 others, and an action read from the last token."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Linear(5, WIDTH)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(WIDTH, 2, 32, 0.0, batch_first=True) for _ in range(4))
        self.head = nn.Linear(WIDTH, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(x[:, -1])


@pytest.fixture
def inputs() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(6, VISUAL + 3, 5)


@pytest.fixture
def features() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(6, VISUAL, TEACHER)


def aligned(model: nn.Module, **options: object) -> Alignment:
    options = {"tokens": slice(0, VISUAL), "projector": random_projector(WIDTH, TEACHER, 32), **options}
    return Alignment(model, "layers.1", **options)  # type: ignore[arg-type]


def test_the_loss_is_one_minus_the_mean_cosine_of_the_chosen_tokens(inputs: Tensor) -> None:
    model = Toy().eval()
    with Alignment(model, "layers.1", slice(0, VISUAL)) as alignment:
        model(inputs)
        assert alignment.hidden is not None
        hidden = alignment.hidden.detach()
        assert hidden.shape == (6, VISUAL, WIDTH)
        assert alignment.loss(3.0 * hidden).item() == pytest.approx(0.0, abs=1e-6)
        assert alignment.loss(-hidden).item() == pytest.approx(2.0, abs=1e-6)
        flipped = hidden.clone()
        flipped[:, :4] *= -1
        assert alignment.loss(flipped).item() == pytest.approx(0.5, abs=1e-6)


def test_it_reaches_the_layers_up_to_its_own_and_no_others(inputs: Tensor, features: Tensor) -> None:
    model = Toy()
    alignment = aligned(model)
    model(inputs)
    alignment.loss(features).backward()
    reached = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert {name.split(".")[1] for name in reached if name.startswith("layers")} == {"0", "1"}
    assert not any(name.startswith("head") for name in reached)
    assert any(name.startswith("embed") for name in reached)


def test_a_frozen_projector_stays_and_a_trained_one_moves(inputs: Tensor, features: Tensor) -> None:
    for train in (False, True):
        model = Toy()
        alignment = aligned(model, train_projector=train)
        before = [p.detach().clone() for p in alignment.projector.parameters()]
        optimizer = torch.optim.SGD([*model.parameters(), *alignment.parameters()], lr=0.1)
        model(inputs)
        alignment.loss(features).backward()
        optimizer.step()
        moved = [not torch.equal(a, b) for a, b in zip(before, alignment.projector.parameters(), strict=True)]
        assert all(moved) if train else not any(moved)
        assert alignment.projector.training == train


@pytest.mark.slow
def test_training_on_it_aligns_and_a_shuffled_teacher_is_farther_away(inputs: Tensor, features: Tensor) -> None:
    model = Toy()
    alignment = aligned(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(80):
        model(inputs)
        loss = alignment.loss(features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model(inputs)
    right, shuffled = alignment.loss(features).item(), alignment.loss(features.roll(1, 0)).item()
    assert right < 0.6
    assert shuffled > right + 0.2


def test_the_coefficient_sets_the_ratio_of_the_gradients_at_the_layer(inputs: Tensor, features: Tensor) -> None:
    model, outputs = Toy(), []
    alignment = aligned(model)
    model.layers[1].register_forward_hook(lambda module, into, out: outputs.append(out))
    action = model(inputs).abs().mean()
    apart = alignment.loss(features)
    weight = alignment.coefficient(action, apart, ratio=0.25)
    lengths = [
        torch.autograd.grad(loss, outputs[0], retain_graph=True)[0][:, :VISUAL].norm()
        for loss in (weight * apart, action)
    ]
    assert float(lengths[0] / lengths[1]) == pytest.approx(0.25, rel=1e-4)


def test_no_gradient_reaches_the_teacher(inputs: Tensor) -> None:
    model, teacher = Toy(), nn.Linear(5, TEACHER)
    alignment = aligned(model)
    model(inputs)
    alignment.loss(teacher(inputs[:, :VISUAL])).backward()
    assert teacher.weight.grad is None


def test_a_random_projector_comes_from_its_seed_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    one = random_projector(8, 4, 16, seed=3)
    assert torch.equal(torch.rand(1), expected)
    two, other = random_projector(8, 4, 16, seed=3), random_projector(8, 4, 16, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(next(one[1].parameters()), next(other[1].parameters()))  # type: ignore[index]


def test_a_ridge_projector_finds_what_is_there() -> None:
    torch.manual_seed(0)
    tokens, true = torch.randn(500, WIDTH), torch.randn(WIDTH, TEACHER)
    projector = ridge_projector(tokens, tokens @ true + 1.5, penalty=1e-6)
    assert torch.allclose(projector(tokens), tokens @ true + 1.5, atol=1e-3)


def test_grids_are_matched_by_place() -> None:
    ramp = torch.arange(8.0).repeat(8, 1).reshape(1, 64, 1)  # value is the column
    smaller = match_grid(ramp, 4).reshape(4, 4)
    assert smaller.std(0).max() < 1e-5  # rows alike
    assert (smaller[0].diff() > 0.5).all()  # columns in order
    assert match_grid(ramp, 8) is ramp
    with pytest.raises(OodbenchError, match="65 tokens are no square grid"):
        match_grid(torch.zeros(1, 65, 3), 4)


def test_mistakes_are_named(inputs: Tensor, features: Tensor) -> None:
    model = Toy()
    with pytest.raises(OodbenchError, match=r"no layer 'layer\.1'; did you mean 'layers\.1'"):
        Alignment(model, "layer.1")
    alignment = aligned(model)
    with pytest.raises(OodbenchError, match="run the model before"):
        alignment.loss(features)
    model(inputs)
    with pytest.raises(OodbenchError, match=r"\(6, 16, 12\), the teacher's features \(6, 15, 12\)"):
        alignment.loss(features[:, 1:])
    alignment.remove()
    alignment.hidden = None
    model(inputs)
    assert alignment.hidden is None


# --- how it is done to a real VLA: the recipe of docs/alignment.md ------------------------------------------------


@pytest.fixture
def tiny_pi0() -> tuple[nn.Module, dict[str, Tensor]]:
    """PI0 with random weights: one camera of 2 x 2 patches, three layers of width 32."""
    from transformers import PI0Config, PI0ForConditionalGeneration

    text = {
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "vocab_size": 64,
    }
    vision = {"model_type": "siglip_vision_model", "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    vision |= {
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
        "vision_use_head": False,
        "projection_dim": 32,
    }
    vlm = {
        "model_type": "paligemma",
        "text_config": {"model_type": "gemma", "hidden_size": 32, "intermediate_size": 64, **text},
        "vision_config": vision,
        "image_token_id": 63,
        "projection_dim": 32,
    }
    dit = {"model_type": "gemma", "hidden_size": 32, "intermediate_size": 64, **text}
    torch.manual_seed(0)
    model = PI0ForConditionalGeneration(
        PI0Config(vlm_config=vlm, dit_config=dit, chunk_size=4, max_state_dim=8, max_action_dim=7)
    )
    words = torch.tensor([[63, 63, 63, 63, 5, 6, 7]] * 2)
    return model, {
        "input_ids": words,
        "attention_mask": torch.ones_like(words),
        "pixel_values": torch.rand(2, 1, 3, 16, 16),
        "pixel_attention_mask": torch.ones(2, 1, dtype=torch.bool),
        "state": torch.randn(2, 8),
        "actions": torch.randn(2, 4, 7),
    }


@pytest.fixture
def tiny_smolvlm() -> tuple[nn.Module, dict[str, Tensor], slice]:
    """SmolVLM with random weights, a batch of one picture of 4 tokens, and where they are in the sequence."""
    from transformers import SmolVLMConfig, SmolVLMForConditionalGeneration

    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision |= {"image_size": 16, "patch_size": 4}
    text = {"model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "vocab_size": 64}
    text |= {"num_attention_heads": 2, "num_key_value_heads": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    config = SmolVLMConfig(vision_config=vision, text_config=text, image_token_id=63, scale_factor=2, pad_token_id=0)
    words = torch.tensor([[5, 63, 63, 63, 63, 6, 7]])
    batch = {
        "input_ids": words,
        "attention_mask": torch.ones_like(words),
        "pixel_values": torch.rand(1, 1, 3, 16, 16),
        "labels": words,
    }
    return SmolVLMForConditionalGeneration(config), batch, slice(1, 5)


def test_it_aligns_the_visual_tokens_of_pi0(tiny_pi0: tuple[nn.Module, dict[str, Tensor]]) -> None:
    """transformers' PI0: mid-depth tokens of its PaliGemma backbone, whose first 4 are the picture's patches."""
    model, batch = tiny_pi0
    name = next(n for n, _ in model.named_modules() if n.endswith("language_model.layers.1"))
    with Alignment(model, name, slice(0, 4), random_projector(32, TEACHER, 16)) as alignment:
        action_loss = model(**batch).loss
        apart = alignment.loss(torch.randn(len(batch["state"]), 4, TEACHER))
        (action_loss + 0.2 * apart).backward()
    reached = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert any("vision" in n for n in reached)
    assert any("language_model.layers.0" in n for n in reached)


def test_it_aligns_a_vlm_under_lora(tiny_smolvlm: tuple[nn.Module, dict[str, Tensor], slice]) -> None:
    """SmolVLM with peft: the gradient goes into the adapters, which are all that is trained."""
    import peft

    base, batch, span = tiny_smolvlm
    model = peft.get_peft_model(base, peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"]))
    name = next(n for n, _ in model.named_modules() if n.endswith("text_model.layers.1"))
    with Alignment(model, name, span, random_projector(32, TEACHER, 16)) as alignment:
        model(**batch)
        alignment.loss(torch.randn(1, span.stop - span.start, TEACHER)).backward()
    trained = {n for n, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert trained
    assert all("lora_" in n for n in trained)
    assert {n.split("layers.")[1][0] for n in trained if "text_model" in n} <= {"0", "1"}


def snippet(name: str) -> str:
    page = (Path(__file__).resolve().parents[1] / "docs" / "alignment.md").read_text()
    return page.split(f"```python {name}\n")[1].split("```")[0]


def test_the_page_on_pi0_runs_as_it_is_written(tiny_pi0: tuple[nn.Module, dict[str, Tensor]]) -> None:
    model, batch = tiny_pi0
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    teacher = lambda pixels: torch.randn(len(pixels), 16, TEACHER)  # noqa: E731
    found: dict[str, Any] = {"model": model, "batch": batch, "teacher": teacher, "torch": torch}
    exec(snippet("pi0"), found)
    assert found["coefficient"] > 0
    assert any(not torch.equal(before[name], p) for name, p in model.named_parameters())


def test_the_page_on_lora_runs_as_it_is_written(tiny_smolvlm: tuple[nn.Module, dict[str, Tensor], slice]) -> None:
    model, batch, span = tiny_smolvlm
    teacher = lambda pixels: torch.randn(len(pixels), 16, TEACHER)  # noqa: E731
    given = {"model": model, "batch": batch, "span": span, "teacher": teacher, "middle": 1, "width": 32, "grid": 2}
    found: dict[str, Any] = dict(given)
    exec(snippet("smolvlm"), found)
    trained = [name for name, p in found["model"].named_parameters() if p.grad is not None]
    assert trained
    assert all("lora_" in name for name in trained)
