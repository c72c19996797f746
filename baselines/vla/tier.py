"""A tier: everything that is trained on one kind of machine, as data. baselines/tiers/<name>.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from oodbench import toml
from oodbench.errors import UnknownNameError
from vla.loop import Schedule

HERE = Path(__file__).resolve().parent.parent


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PictureCounts(_Data):
    pretraining: int = Field(gt=0)
    teacher: int = Field(gt=0)
    held_out: int = Field(gt=0)


class Training(_Data):
    """See vla.loop.Schedule. questions: about every picture, in pretraining."""

    steps: int = Field(gt=0)
    batch: int = Field(gt=0)
    lr: float = Field(gt=0.0)
    warmup: int = 100
    questions: int = 4

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.steps, self.batch, self.lr, self.warmup)


class Tier(_Data):
    """precision: of the forward pass; weights and updates are fp32. model, teacher, frames: fields of
    vla.model.Config, vla.teacher.TeacherConfig and oodbench.demos.frames.FramePlan."""

    name: str
    version: int
    summary: str
    device: Literal["cpu", "cuda"]
    precision: Literal["fp32", "bf16"]
    tasks: tuple[str, ...]
    demos: int = Field(gt=0)
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    pictures: PictureCounts
    model: dict[str, Any] = {}
    teacher: dict[str, Any] = {}
    frames: dict[str, Any] = {}
    pretrain: Training
    distil: Training
    finetune: Training


def load_tier(name: str) -> Tier:
    """Raises UnknownNameError or SpecError."""
    path = HERE / "tiers" / f"{name}.toml"
    if not path.is_file():
        raise UnknownNameError("tier", name, [p.stem for p in path.parent.glob("*.toml")])
    return toml.load(path, Tier)
