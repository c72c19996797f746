"""Pretraining: the model answers questions about pictures, points at what they are about, and captions every patch.

It points twice: with a heat map over patches, and with a spot, which is finer than a patch; a hand needs that.

The captions of patches (dense, as region captions are for large models) make this cheap: with them 55 % of the answers
were right after 1,300 updates, without them 46 % (cpu tier, one run each, all else equal).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vla.loop import Logs, Loss, shifted
from vla.model import VLA, pixels
from vla.pictures import SET, Pictures
from vla.questions import NOTHING, captions

SHIFT = 4  # pixels of the augmentation; of the wrist picture half as many
HEAT = 0.5  # weight of the heat maps against the answers
CAPTIONS = 1.0  # and of the patches' captions
SPOT = 5.0  # and of the spots, whose errors are shares of the picture
COVERED = 6 / 64  # share of a patch from which on a thing is what it shows
EMPTY = 0.05  # weight of patches that show nothing
CAMERAS = (("image", "mask"), ("wrist_image", "wrist_mask"))


@dataclass
class Lessons:
    """Pictures with their questions, as tensors on a device; n pictures, q questions each, t words.

    words: (n, q, t). answer: (n, q) index into the answers, -1 for none or one that the model has no word for. look:
    (n, q, things) booleans. caption: (n, things) index into the answers of what each thing is called, 0 for nothing.
    """

    pictures: Pictures
    model: VLA
    device: str = "cpu"
    words: Tensor = field(init=False)
    answer: Tensor = field(init=False)
    look: Tensor = field(init=False)
    caption: Tensor = field(init=False)

    def __post_init__(self) -> None:
        c, pictures = self.model.config, self.pictures
        index = {answer: i for i, answer in enumerate(c.answers)}
        assert index[NOTHING] == 0
        n, each = len(pictures), len(pictures.questions[0])
        flat = [question for row in pictures.questions for question in row]
        words = self.model.vocabulary.encode([question.text for question in flat], c.longest)
        look = np.zeros((len(flat), SET), bool)
        for row, question in zip(look, flat, strict=True):
            row[list(question.look)] = True
        caption = np.zeros((n, SET), np.int64)
        for row, things in zip(caption, pictures.things, strict=True):
            for k, text in captions(things).items():
                row[k] = index.get(text, 0)
        answer = np.array([index.get(question.answer or "", -1) for question in flat])
        on = lambda array: torch.from_numpy(array).to(self.device)  # noqa: E731
        self.words, self.answer = on(words).view(n, each, -1), on(answer).view(n, each)
        self.look, self.caption = on(look).view(n, each, SET), on(caption)
        self._arrays = {name: on(pictures.arrays[name]) for pair in CAMERAS for name in pair}

    def __len__(self) -> int:
        return len(self.words)

    def batch(self, chosen: np.ndarray, asked: np.ndarray) -> dict[str, Tensor]:
        """Pictures by index, (b,), each with its questions of those numbers, (b, k)."""
        rows, columns = torch.from_numpy(chosen).to(self.device), torch.from_numpy(asked).to(self.device)
        pick = lambda table: table[rows[:, None], columns]  # noqa: E731
        words = pick(self.words)
        longest = max(int((words != 0).sum(2).max()), 1)
        batch = {"words": words[..., :longest], "answer": pick(self.answer), "look": pick(self.look)}
        batch |= {name: array[rows] for name, array in self._arrays.items()}
        batch |= {name: pixels(batch[name]) for name, _ in CAMERAS}
        return batch | {"caption": self.caption[rows]}


def questions_loss(model: VLA, lessons: Lessons, batch: int, each: int) -> Loss:
    """The loss of one update: `batch` pictures, `each` of the questions about every one."""

    def loss(step: int, rng: np.random.Generator) -> tuple[Tensor, Logs]:
        chosen = rng.integers(len(lessons), size=batch)
        examples = lessons.batch(chosen, rng.integers(lessons.words.shape[1], size=(batch, each)))
        image = shifted(examples["image"], SHIFT, rng)
        wrist = shifted(examples["wrist_image"], SHIFT // 2, rng)
        output = model(image, wrist, examples["words"])
        wanted = examples["answer"]
        answer = F.cross_entropy(output.answer.flatten(0, 1).float(), wanted.flatten(), ignore_index=-1)
        right = (output.answer.argmax(-1) == wanted)[wanted >= 0].float().mean()
        covered = coverage(model, examples)
        heat = heat_loss(output.heat, covered, examples["look"])
        spot = spot_loss(output.spot, examples)
        caption, named = caption_loss(model, output.visual, covered, examples["caption"])
        logs: Logs = {"answer": answer.detach(), "heat": heat.detach(), "caption": caption.detach()}
        logs |= {"spot": spot.detach(), "accuracy": right, "named": named}
        return answer + HEAT * heat + CAPTIONS * caption + SPOT * spot, logs

    return loss


def coverage(model: VLA, batch: dict[str, Tensor]) -> list[Tensor]:
    """Of each camera: the share of every patch that each thing covers, (b, things, patches)."""
    found = []
    for (_, name), grid in zip(CAMERAS, (model.config.image_grid, model.config.wrist_grid), strict=True):
        mask = batch[name]
        things = torch.arange(SET, device=mask.device)[:, None, None]
        cover = F.avg_pool2d((mask[:, None] == things).float(), mask.shape[1] // grid)
        found.append(cover.flatten(2))
    return found


def heat_target(cover: Tensor, look: Tensor) -> Tensor:
    """(b, things, patches) and (b, k, things) to (b, k, patches): where to look, by share; 0 where nothing is seen."""
    hit = look.float() @ cover
    return hit / hit.sum(-1, keepdim=True).clamp(min=1e-9)


def heat_loss(heat: Tensor, covered: list[Tensor], look: Tensor) -> Tensor:
    """Cross-entropy of the heat maps with where the things are, of each camera by itself."""
    total, start = heat.new_zeros(()), 0
    for cover in covered:
        target = heat_target(cover, look)
        logits = heat[..., start : start + cover.shape[-1]].float()
        seen = target.sum(-1) > 0
        loss = -(target * logits.log_softmax(-1)).sum(-1)
        total = total + (loss * seen).sum() / seen.sum().clamp(min=1)
        start += cover.shape[-1]
    return total / len(covered)


def spot_loss(spot: Tensor, batch: dict[str, Tensor]) -> Tensor:
    """Mean distance along each axis to the middles of what single things are asked about; spot as `Output` has it."""
    look = batch["look"].float()
    one = batch["look"].sum(-1) == 1
    total = spot.new_zeros(())
    for camera, (_, name) in enumerate(CAMERAS):
        mask = batch[name]
        side, things = mask.shape[1], torch.arange(SET, device=mask.device)[:, None, None]
        of = (mask[:, None] == things).float()  # (b, things, side, side)
        count = of.sum((2, 3))
        line = (torch.arange(side, device=mask.device) + 0.5) / side
        middles = (
            torch.stack([(of.sum(2) * line).sum(2), (of.sum(3) * line).sum(2)], -1) / count.clamp(min=1)[..., None]
        )
        seen = one & ((look @ (count > 0).float()[..., None])[..., 0] > 0)
        away = (spot[:, :, camera].float() - look @ middles).abs().mean(-1)
        total = total + (away * seen).sum() / seen.sum().clamp(min=1)
    return total / len(CAMERAS)


def caption_loss(model: VLA, visual: Tensor, covered: list[Tensor], caption: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of what every patch shows, and the share of patches with a thing that are named rightly."""
    most, which = torch.cat(covered, 2).max(1)  # (b, patches)
    target = torch.where(most >= COVERED, caption.gather(1, which), 0)
    logits = model.answer(visual).float()
    weight = torch.ones(logits.shape[-1], device=visual.device)
    weight[0] = EMPTY
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), weight=weight)
    return loss, (logits.argmax(-1) == target)[target > 0].float().mean()


@torch.no_grad()
def accuracy(model: VLA, lessons: Lessons, batch: int = 64) -> dict[str, dict[str, tuple[int, int]]]:
    """Right answers and questions, by type and by concept ("robot", "web", "none").

    "point" counts as right when the hottest patch holds some of what was asked about. Questions whose answer the model
    has no word for count as wrong.
    """
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    every = np.arange(lessons.words.shape[1])
    for start in range(0, len(lessons), batch):
        chosen = np.arange(start, min(start + batch, len(lessons)))
        examples = lessons.batch(chosen, np.broadcast_to(every, (len(chosen), len(every))).copy())
        output = model(examples["image"], examples["wrist_image"], examples["words"])
        target = heat_target(coverage(model, examples)[0], examples["look"])
        hottest = output.heat[..., : target.shape[-1]].argmax(-1, keepdim=True)
        found = (target.gather(2, hottest)[..., 0] > 0).tolist()
        right = (output.answer.argmax(-1) == examples["answer"]).tolist()
        for b, i in enumerate(chosen):
            for q, question in enumerate(lessons.pictures.questions[i]):
                if not question.text:  # nothing was to be asked
                    continue
                tally = counts[question.type][question.concept]
                tally[0] += right[b][q] if question.answer is not None else found[b][q]
                tally[1] += 1
    return {type_: {concept: (r, n) for concept, (r, n) in row.items()} for type_, row in counts.items()}
