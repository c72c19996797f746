"""The teacher: a larger ViT that learned to see, not to speak or act, and whose patch features alignment preserves.

Trained apart (other seed, other pictures) on dense targets: which thing every part of a patch belongs to, how far away
it is and which way it faces. Frozen afterwards; its features are reduced to their first principal components.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from oodbench.errors import OodbenchError
from oodbench.task import CAMERAS
from vla.loop import Logs, Loss, shifted
from vla.model import Encoder, pixels
from vla.pictures import MASK, Pictures
from vla.questions import _known

SUB = 4  # targets a patch, along each side
SHIFT = 4  # pixels of the augmentation
BACKGROUND_WEIGHT = 0.1
FAR, DEPTH_SCALE = 0.9, 0.4  # of the depth targets (m)


@dataclass(frozen=True)
class TeacherConfig:
    width: int = 192
    heads: int = 6
    mlp: int = 4
    layers: int = 4
    stem: tuple[int, ...] = (24, 48, 96, 128)
    image_size: int = 128
    components: int = 64  # principal components that are its features
    classes: tuple[str, ...] = ()  # background, then things by name

    @property
    def grid(self) -> int:
        return self.image_size // 2 ** len(self.stem)


class Teacher(nn.Module):
    mean: Tensor
    basis: Tensor

    def __init__(self, config: TeacherConfig) -> None:
        super().__init__()
        self.config = c = config
        self.encoder = Encoder(c.width, c.heads, c.mlp, c.layers, c.stem)
        self.positions = nn.Parameter(0.02 * torch.randn(c.grid**2, c.width))
        self.head = nn.Linear(c.width, SUB * SUB * (len(c.classes) + 4))
        self.register_buffer("mean", torch.zeros(c.width))
        self.register_buffer("basis", torch.eye(c.width)[:, : c.components])

    def tokens(self, image: Tensor) -> Tensor:
        """(B, 3, size, size) in [0, 1] to (B, patches, width)."""
        return self.encoder(image, self.positions)

    def forward(self, image: Tensor) -> Tensor:
        """The features that students are aligned with: (B, patches, components)."""
        return (self.tokens(image) - self.mean) @ self.basis

    def dense(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Class logits (B, patches, 16, classes), depth (B, patches, 16), normals (B, patches, 16, 3)."""
        out = self.head(self.tokens(image)).unflatten(-1, (SUB * SUB, -1))
        return out[..., :-4], out[..., -4], out[..., -3:]

    def save(self, path: Path) -> None:
        tensors = {name: tensor.half() for name, tensor in self.state_dict().items() if not name.startswith("head")}
        save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"config": json.dumps(asdict(self.config))})

    @classmethod
    def load(cls, path: Path) -> Teacher:
        """The frozen teacher, without its heads. Raises OodbenchError when there is none."""
        if not path.is_file():
            raise OodbenchError(f"{path}: no teacher; train it first (the stage `teacher`)")
        with safe_open(path, "pt") as file:
            known = json.loads(file.metadata()["config"])
            fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
            teacher = cls(TeacherConfig(**fields))
            teacher.load_state_dict({k: file.get_tensor(k).float() for k in file.keys()}, strict=False)  # noqa: SIM118
        return teacher.eval().requires_grad_(False)


def classes() -> tuple[str, ...]:
    """Background, and everything that the pictures can show."""
    return ("background", *sorted({asset.name for asset in _known()}), "board")


def dense_loss(teacher: Teacher, pictures: Pictures, batch: int, device: str = "cpu") -> Loss:
    number = {name: i for i, name in enumerate(teacher.config.classes)}
    weight = torch.ones(len(number), device=device)
    weight[0] = BACKGROUND_WEIGHT

    def loss(step: int, rng: np.random.Generator) -> tuple[Tensor, Logs]:
        chosen = rng.integers(len(pictures), size=batch)
        image = shifted(pixels(torch.from_numpy(pictures.arrays["image"][chosen]).to(device)), SHIFT, rng)
        labels = np.stack([_labels(pictures, i, number) for i in chosen])
        label = _cells(torch.from_numpy(labels).to(device), teacher.config.grid)
        depth = torch.from_numpy(pictures.arrays["depth"][chosen].astype(np.float32)).to(device)
        wanted_depth = ((_cells(depth, teacher.config.grid) - FAR) / DEPTH_SCALE).clamp(-3, 3)
        wanted_normal = _cells(normals(depth), teacher.config.grid)
        logits, near, facing = teacher.dense(image)
        segmentation = F.cross_entropy(logits.flatten(0, 2).float(), label.flatten(), weight=weight)
        far = (near - wanted_depth).abs().mean()
        normal = (1 - F.cosine_similarity(facing.float(), wanted_normal, dim=-1)).mean()
        hit = (logits.argmax(-1) == label)[label > 0].float().mean()
        logs: Logs = {
            "segmentation": segmentation.detach(),
            "depth": far.detach(),
            "normal": normal.detach(),
            "hit": hit,
        }
        return segmentation + far + normal, logs

    return loss


@torch.no_grad()
def fit_components(teacher: Teacher, pictures: Pictures, device: str = "cpu", most: int = 2000) -> float:
    """Set mean and basis from the features of some pictures. Returns the share of variance that is kept."""
    parts = [
        teacher.tokens(pixels(torch.from_numpy(pictures.arrays["image"][i : i + 100]).to(device))).flatten(0, 1)
        for i in range(0, min(most, len(pictures)), 100)
    ]
    features = torch.cat(parts).double()
    mean = features.mean(0)
    values, vectors = torch.linalg.eigh((features - mean).T @ (features - mean) / len(features))
    kept = teacher.config.components
    teacher.mean.copy_(mean.float())
    teacher.basis.copy_(vectors[:, -kept:].flip(1).float())
    return float(values[-kept:].sum() / values.sum())


def normals(depth: Tensor) -> Tensor:
    """(B, s, s) depths (m) to (B, s, s, 3) unit normals in the camera's frame."""
    s = depth.shape[-1]
    focal = s / 2 / math.tan(math.radians(CAMERAS[0].fovy) / 2)
    ray = (torch.arange(s, device=depth.device) + 0.5 - s / 2) / focal
    points = torch.stack([depth * ray, depth * ray[:, None], depth], -1)
    across = torch.diff(points, dim=2, append=2 * points[:, :, -1:] - points[:, :, -2:-1])
    down = torch.diff(points, dim=1, append=2 * points[:, -1:] - points[:, -2:-1])
    return F.normalize(torch.cross(down, across, dim=-1), dim=-1)


def _labels(pictures: Pictures, i: int, number: dict[str, int]) -> np.ndarray:
    table = np.zeros(128, np.int64)
    for thing in pictures.things[i]:
        table[thing["k"]] = number[thing["asset"]]
    return table[pictures.arrays["mask"][i].astype(np.int64)]  # index -1 reads the last entry, which is background


def _cells(maps: Tensor, grid: int) -> Tensor:
    """(B, 64, 64, ...) to (B, patches, 16, ...): the values at the middles of the parts of every patch."""
    step = MASK // grid // SUB
    fewer = maps[:, step // 2 :: step, step // 2 :: step]
    b, rest = len(maps), maps.shape[3:]
    cells = fewer.reshape(b, grid, SUB, grid, SUB, *rest).transpose(2, 3)
    return cells.reshape(b, grid**2, SUB**2, *rest)
