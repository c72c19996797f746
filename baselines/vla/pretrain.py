"""Pretraining: the model answers questions about pictures, points at what they are about, and captions every patch.

The captions of patches (dense, as region captions are for large models) are what makes this cheap: without them, half
as many right answers were given after 1,300 updates.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from vla.loop import Loss, shifted
from vla.model import VLA, pixels
from vla.pictures import Pictures
from vla.questions import NOTHING, Question, ask, captions, heat_target

SHIFT = 4  # pixels of the augmentation; of the wrist picture half as many
HEAT = 0.5  # weight of the heat maps against the answers
CAPTIONS = 1.0  # and of the patches' captions
COVERED = 6  # mask pixels (of 64) from which on a thing is what a patch shows
EMPTY = 0.05  # weight of patches that show nothing
GRIDS = (("mask", "image"), ("wrist_mask", "wrist_image"))


def questions_loss(model: VLA, pictures: Pictures, batch: int, each: int, device: str = "cpu") -> Loss:
    """The loss of one update: `batch` pictures, `each` questions about every one."""
    index = {answer: i for i, answer in enumerate(model.config.answers)}

    def loss(step: int, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        chosen = rng.integers(len(pictures), size=batch)
        asked = [[ask(pictures.things[i], rng) for _ in range(each)] for i in chosen]
        image = shifted(_pixels(pictures, "image", chosen, device), SHIFT, rng)
        wrist = shifted(_pixels(pictures, "wrist_image", chosen, device), SHIFT // 2, rng)
        words = encode(model, asked, device)
        output = model(image, wrist, words)
        target = torch.tensor([[index.get(q.answer, -1) if q and q.answer else -1 for q in row] for row in asked])
        target = target.to(device)
        answer = F.cross_entropy(output.answer.flatten(0, 1), target.flatten(), ignore_index=-1)
        right = (output.answer.argmax(-1) == target)[target >= 0].float().mean()
        heat = heat_loss(model, output.heat, pictures, chosen, asked)
        caption, named = caption_loss(model, output.visual, pictures, chosen)
        logs = {"answer": answer.detach(), "heat": heat.detach(), "caption": caption.detach()}
        return answer + HEAT * heat + CAPTIONS * caption, {**logs, "accuracy": right, "named": named}

    return loss


def encode(model: VLA, asked: list[list[Question | None]], device: str) -> Tensor:
    """(B, K, t) words of the questions."""
    texts = [q.text if q else "" for row in asked for q in row]
    table = torch.from_numpy(model.vocabulary.encode(texts, model.config.longest))
    return table.view(len(asked), -1, table.shape[1]).to(device)


def heat_loss(
    model: VLA, heat: Tensor, pictures: Pictures, chosen: np.ndarray, asked: list[list[Question | None]]
) -> Tensor:
    """Cross-entropy of the heat maps with where the things are, of each camera by itself."""
    grids = (("mask", model.config.image_grid), ("wrist_mask", model.config.wrist_grid))
    total, start = heat.new_zeros(()), 0
    for name, grid in grids:
        targets = [
            heat_target(pictures.arrays[name][i], q.look if q else (), grid)
            for i, row in zip(chosen, asked, strict=True)
            for q in row
        ]
        target = torch.from_numpy(np.stack(targets)).to(heat.device)
        logits = heat[..., start : start + grid**2].flatten(0, 1).float()
        seen = target.sum(1) > 0
        total = total - (target * logits.log_softmax(1)).sum(1)[seen].mean() if seen.any() else total
        start += grid**2
    return total / len(grids)


def caption_loss(model: VLA, visual: Tensor, pictures: Pictures, chosen: np.ndarray) -> tuple[Tensor, Tensor]:
    """Cross-entropy of what every patch shows, and the share of patches with a thing that are named rightly."""
    index = {answer: i for i, answer in enumerate(model.config.answers)}
    named = np.zeros((len(chosen), 128), np.int64)  # answers by mask index
    for row, i in zip(named, chosen, strict=True):
        for k, caption in captions(pictures.things[i]).items():
            row[k] = index.get(caption, 0)
    sides = (model.config.image_grid, model.config.wrist_grid)
    parts = [_shown(pictures.arrays[name][chosen], side) for (name, _), side in zip(GRIDS, sides, strict=True)]
    shown = np.concatenate(parts, 1)
    target = torch.from_numpy(np.take_along_axis(named, shown.clip(0), 1) * (shown >= 0)).to(visual.device)
    logits = model.answer(visual).float()
    weight = torch.ones(logits.shape[-1], device=visual.device)
    weight[index[NOTHING]] = EMPTY
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), weight=weight)
    return loss, (logits.argmax(-1) == target)[target > 0].float().mean()


def _shown(masks: np.ndarray, grid: int) -> np.ndarray:
    """(B, s, s) masks to (B, grid * grid): which thing covers most of a patch, -1 where none covers enough of it."""
    b, step = len(masks), masks.shape[1] // grid
    patches = masks.reshape(b, grid, step, grid, step).transpose(0, 1, 3, 2, 4).reshape(b, grid * grid, step * step)
    counts = np.stack([(patches == k).sum(2) for k in range(int(masks.max(initial=0)) + 1)], 2)
    return np.where(counts.max(2) * (64 / step**2) >= COVERED, counts.argmax(2), -1)


def _pixels(pictures: Pictures, name: str, chosen: np.ndarray, device: str) -> Tensor:
    return pixels(torch.from_numpy(pictures.arrays[name][chosen]).to(device))


@torch.no_grad()
def accuracy(
    model: VLA, pictures: Pictures, each: int = 8, seed: int = 0, device: str = "cpu", batch: int = 64
) -> dict[str, dict[str, tuple[int, int]]]:
    """Right answers and questions, by type and by concept ("robot", "web", "none"), in pictures of its own.

    "point" counts as right when the hottest patch holds some of what was asked about. "presence" of things of C_none
    and the like keep their chance level; the caller compares.
    """
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    index = {answer: i for i, answer in enumerate(model.config.answers)}
    for start in range(0, len(pictures), batch):
        chosen = np.arange(start, min(start + batch, len(pictures)))
        rng = np.random.default_rng([seed, start])
        asked = [[ask(pictures.things[i], rng) for _ in range(each)] for i in chosen]
        output = model(
            _pixels(pictures, "image", chosen, device),
            _pixels(pictures, "wrist_image", chosen, device),
            encode(model, asked, device),
        )
        patches = model.config.image_grid**2
        best, hottest = output.answer.argmax(-1).cpu(), output.heat[..., :patches].argmax(-1).cpu()
        for b, row in enumerate(asked):
            for k, q in enumerate(row):
                if q is None:
                    continue
                if q.answer is None:
                    cells = heat_target(pictures.arrays["mask"][chosen[b]], q.look, model.config.image_grid)
                    right = bool(cells[hottest[b, k]] > 0)
                else:
                    right = index.get(q.answer, -1) == int(best[b, k])
                tally = counts[q.type][q.concept]
                tally[0] += right
                tally[1] += 1
    return {type_: {concept: (r, n) for concept, (r, n) in row.items()} for type_, row in counts.items()}
