"""A recipe: what one arm of the experiment does differently. baselines/recipes/<name>.toml, one file an arm."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from oodbench import toml
from oodbench.errors import UnknownNameError
from vla.tier import HERE


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AlignRecipe(_Data):
    """teacher: dense (trained to see), self (the model before fine-tuning), random (untrained), shuffled (dense, of
    another picture). layer: how far into the trunk, as a share of its layers. projector: ridge (fitted before
    fine-tuning, then frozen), random (the paper's frozen MLP) or trained (begins as random). ratio: how long the
    alignment's gradient is at that layer, as a share of the action loss's. until: share of the updates after which it
    stops."""

    teacher: Literal["dense", "self", "random", "shuffled"]
    layer: float = Field(0.5, gt=0.0, le=1.0)
    projector: Literal["ridge", "random", "trained"] = "ridge"
    ratio: float = Field(0.2, gt=0.0)
    until: float = Field(1.0, gt=0.0, le=1.0)


class Recipe(_Data):
    """init: pretrained or scratch. frozen: parts of the model that stay as they are. head_first: share of the updates
    in which only the parts that pretraining never used are trained. cotrain: share of a batch that is also answered."""

    name: str
    summary: str
    init: Literal["pretrained", "scratch"] = "pretrained"
    frozen: tuple[str, ...] = ()
    head_first: float = Field(0.0, ge=0.0, lt=1.0)
    cotrain: float = Field(0.0, ge=0.0, lt=1.0)
    align: AlignRecipe | None = None


def load_recipe(name: str) -> Recipe:
    """Raises UnknownNameError or SpecError."""
    path = HERE / "recipes" / f"{name}.toml"
    if not path.is_file():
        raise UnknownNameError("recipe", name, [p.stem for p in path.parent.glob("*.toml")])
    return toml.load(path, Recipe)
