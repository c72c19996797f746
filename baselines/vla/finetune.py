"""Fine-tuning on demonstrations. The arms differ in what their recipe says and in nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from oodbench.alignment import Alignment, random_projector, ridge_projector
from oodbench.demos.frames import Frames
from oodbench.seeding import derive
from vla.loop import Logs, Loss, only, shifted
from vla.model import VLA, pixels
from vla.pretrain import Lessons, questions_loss
from vla.recipe import AlignRecipe, Recipe
from vla.teacher import Teacher

SHIFT = 4  # pixels of the augmentation; of the wrist picture half as many
GRIPPER = 0.1  # weight of the gripper's cross-entropy against the L1 loss of the motion
TURNING_POINT = 2.0  # how much likelier a frame is drawn whose chunk opens or closes the gripper
CALIBRATE = 50  # updates between two looks at the gradients' lengths
MEMORY = 0.8  # of the running mean of the coefficient
NEW_PARTS = ("state", "action", "queries")  # that pretraining never used
HELD_OUT = 33  # every so many episodes, one is kept for validation
Batch = dict[str, Tensor]
Features = Callable[[Batch], Tensor]


@dataclass
class DemoFrames:
    """Frames on a device, and which of them train."""

    frames: Frames
    device: str = "cpu"
    words: Tensor = field(init=False)
    train: np.ndarray = field(init=False)
    held_out: np.ndarray = field(init=False)

    def prepare(self, model: VLA) -> None:
        table = model.vocabulary.encode(self.frames.instructions, model.config.longest)
        self.words = torch.from_numpy(table[self.frames.text]).to(self.device)
        out = self.frames.episode % HELD_OUT == 0
        self.train, self.held_out = np.flatnonzero(~out), np.flatnonzero(out)
        gripper = self.frames.chunk[self.train, :, 6] > 0
        turning = gripper.any(1) & ~gripper.all(1)
        weight = np.where(turning, TURNING_POINT, 1.0)
        self._edges = np.cumsum(weight) / weight.sum()
        self._tensors = {
            name: torch.from_numpy(getattr(self.frames, name)).to(self.device)
            for name in ("image", "wrist_image", "state", "chunk")
        }

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.train[np.searchsorted(self._edges, rng.random(count))]

    def batch(self, chosen: np.ndarray) -> Batch:
        index = torch.from_numpy(chosen).to(self.device)
        batch = {name: tensor[index] for name, tensor in self._tensors.items()}
        words = self.words[index]
        longest = max(int((words != 0).sum(1).max()), 1)
        image, wrist = pixels(batch["image"]), pixels(batch["wrist_image"])
        return batch | {"image": image, "wrist_image": wrist, "words": words[:, None, :longest], "index": index}


def action_loss(model: VLA, batch: Batch) -> tuple[Tensor, Logs]:
    """L1 of the motion chunk and cross-entropy of the gripper, whose commands in [-1, 1] are taken as probabilities."""
    output = model(batch["image"], batch["wrist_image"], batch["words"], batch["state"])
    assert output.motion is not None
    assert output.gripper is not None
    chunk = batch["chunk"]
    motion = (output.motion.float() - chunk[..., :6]).abs().mean()
    gripper = F.binary_cross_entropy_with_logits(output.gripper.float(), (chunk[..., 6] + 1) / 2)
    return motion + GRIPPER * gripper, {"motion": motion.detach(), "gripper": gripper.detach()}


def prepare_parts(model: VLA, recipe: Recipe) -> None:
    """Freeze what the recipe freezes, and what acting has no use for (the heads of answers and pointing)."""
    for name in ("answer", "pointer", "spot"):
        only(getattr(model, name), recipe.cotrain > 0)
    for name in recipe.frozen:
        only(getattr(model, name), False)


def finetune_loss(
    model: VLA,
    recipe: Recipe,
    data: DemoFrames,
    batch: int,
    steps: int,
    alignment: Alignment | None = None,
    features: Features | None = None,
    lessons: Lessons | None = None,
    memory: dict[str, float] | None = None,
) -> Loss:
    """The loss of one update of an arm. memory: holds the alignment's coefficient from one update to the next."""
    memory = {} if memory is None else memory
    answers = None
    if recipe.cotrain:
        assert lessons is not None
        answers = questions_loss(model, lessons, max(1, round(recipe.cotrain * batch)), 2)
    later = [p for name, p in model.named_parameters() if p.requires_grad and name.split(".")[0] not in NEW_PARTS]

    def loss(step: int, rng: np.random.Generator) -> tuple[Tensor, Logs]:
        chosen = data.draw(rng, batch)
        examples = data.batch(chosen)
        examples["image"] = shifted(examples["image"], SHIFT, rng)
        examples["wrist_image"] = shifted(examples["wrist_image"], SHIFT // 2, rng)
        for p in later:
            p.requires_grad_(step >= recipe.head_first * steps)
        total, logs = action_loss(model, examples)
        if alignment is not None and recipe.align is not None and step < recipe.align.until * steps:
            assert features is not None
            apart = alignment.loss(features(examples))
            if step % CALIBRATE == 0 or "coefficient" not in memory:
                now = alignment.coefficient(total, apart, recipe.align.ratio)
                memory["coefficient"] = MEMORY * memory.get("coefficient", now) + (1 - MEMORY) * now
            logs |= {"cosine": 1.0 - apart.detach(), "coefficient": memory["coefficient"]}
            total = total + memory["coefficient"] * apart
        if answers is not None:
            asked, more = answers(step, rng)
            total, logs = total + 0.1 * asked, logs | {"answer": more["answer"]}
        return total, logs

    return loss


# --- alignment -----------------------------------------------------------------------------------------------------


def layer_of(model: VLA, share: float) -> int:
    """The trunk layer (0 is the first) at a share of its depth."""
    return max(1, round(share * model.config.trunk_layers)) - 1


def align(
    model: VLA,
    recipe: AlignRecipe,
    pretrained: VLA,
    teacher: Teacher,
    data: DemoFrames,
    seed: int,
    cache: Tensor | None = None,
) -> tuple[Alignment, Features]:
    """The hook on `model`, and the features that it is aligned with, for one arm.

    cache: (frames, patches, components), the dense teacher's features of all frames, so that it need not be run again
    (they are of the unshifted pictures: up to a quarter of a patch beside).
    """
    layer = layer_of(model, recipe.layer)
    span = slice(0, model.config.image_grid**2)
    name = f"trunk.{layer}"
    if recipe.teacher == "self":
        return Alignment(model, name, span), lambda batch: own_tokens(pretrained, layer, batch)
    if recipe.teacher == "random":
        with torch.random.fork_rng():
            torch.manual_seed(derive("random teacher", seed) % 2**63)
            teacher = Teacher(teacher.config).to(data.device).eval().requires_grad_(False)
        cache = None
    width, components = model.config.width, teacher.config.components
    if recipe.projector == "ridge":
        projector: nn.Module = fit_projector(pretrained, teacher, layer, data)
    else:
        projector = random_projector(width, components, hidden=4 * width, seed=seed).to(data.device)

    def features(batch: Batch) -> Tensor:
        found = cache[batch["index"]].float() if cache is not None else teach(teacher, batch)
        return found.roll(1, 0) if recipe.teacher == "shuffled" else found

    return Alignment(model, name, span, projector, train_projector=recipe.projector == "trained"), features


def fit_projector(pretrained: VLA, teacher: Teacher, layer: int, data: DemoFrames, frames: int = 1024) -> nn.Linear:
    """The ridge projector from a trunk layer of the pretrained model to the teacher's features, fitted on frames."""
    chosen = np.random.default_rng(0).choice(data.train, min(frames, len(data.train)), replace=False)
    batches = [data.batch(part) for part in np.array_split(chosen, max(1, len(chosen) // 64))]
    tokens = torch.cat([own_tokens(pretrained, layer, batch) for batch in batches])
    wanted = torch.cat([teach(teacher, batch) for batch in batches])
    return ridge_projector(tokens.flatten(0, 1), wanted.flatten(0, 1))


@torch.no_grad()
def teach(teacher: Teacher, batch: Batch) -> Tensor:
    return teacher(batch["image"]).float()


@torch.no_grad()
def teach_all(teacher: Teacher, data: DemoFrames) -> Tensor:
    """The teacher's features of every frame, (frames, patches, components) float16."""
    parts = np.array_split(np.arange(len(data.frames)), max(1, len(data.frames) // 128))
    return torch.cat([teach(teacher, data.batch(part)).half() for part in parts])


@torch.no_grad()
def own_tokens(model: VLA, layer: int, batch: Batch) -> Tensor:
    """The picture's tokens behind trunk layer `layer` of a frozen model, (B, patches, d)."""
    output = model(batch["image"], batch["wrist_image"], batch["words"], hidden=True)
    return output.hidden[layer + 1][:, : model.config.image_grid**2].float()


# --- looking back --------------------------------------------------------------------------------------------------


@torch.no_grad()
def validate(
    model: VLA, data: DemoFrames, pretrained: VLA, teacher: Teacher, layer: float = 0.5, most: int = 1024
) -> dict[str, float]:
    """On held-out episodes: the errors of the action chunk, and how the tokens of a layer agree with the teacher.

    cosine: with the teacher's features, through the ridge projector of the pretrained model (for every arm the same);
    cosine_shuffled: with those of another picture.
    """
    index = layer_of(model, layer)
    projector = fit_projector(pretrained, teacher, index, data)
    chosen = data.held_out[:: max(1, len(data.held_out) // most)]
    sums: dict[str, float] = {}
    for part in np.array_split(chosen, max(1, len(chosen) // 64)):
        batch = data.batch(part)
        _, logs = action_loss(model, batch)
        tokens = projector(own_tokens(model, index, batch))
        wanted = teach(teacher, batch)
        logs["cosine"] = F.cosine_similarity(tokens, wanted, dim=-1).mean()
        logs["cosine_shuffled"] = F.cosine_similarity(tokens, wanted.roll(7, 0), dim=-1).mean()
        for name, value in logs.items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(part) / len(chosen)
    return sums
