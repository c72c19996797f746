"""What a policy may know about a thing: seen in demonstrations, seen in pretraining, or never seen.

The split of "Don't Blind Your VLA" in data: a fine-tune is narrow (C_robot), the model that it starts from is broad
(C_robot and C_web), and C_none is the negative control. assets/concepts.toml draws the line.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from pydantic import BaseModel, ConfigDict

from oodbench import toml
from oodbench.catalogue import OBJECTS, Kind, ObjectAsset
from oodbench.errors import SpecError
from oodbench.paths import data_dir
from oodbench.pool import standard
from oodbench.scene import Scene

Concept = Literal["robot", "web", "none"]
CONCEPTS: tuple[Concept, ...] = ("robot", "web", "none")
SPLIT_KINDS: tuple[Kind, ...] = ("object", "receptacle")  # the kinds whose test things are halved


class ConceptFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int
    web: tuple[str, ...]
    none: tuple[str, ...]


@lru_cache
def concept_file() -> ConceptFile:
    """assets/concepts.toml. Raises SpecError when it names what is no test thing, or names one twice."""
    file = toml.load(data_dir("assets") / "concepts.toml", ConceptFile)
    wanted = {asset.name for asset in standard().all_objects() if asset.kind in SPLIT_KINDS and asset.split == "test"}
    listed = [*file.web, *file.none]
    wrong = {name for name in listed if name not in wanted or listed.count(name) > 1}
    if wrong:
        raise SpecError(f"concepts.toml: every test object and receptacle once, in web or none; see {sorted(wrong)}")
    return file


def concept_of(asset: ObjectAsset) -> Concept:
    """Where a policy that follows the split can have met a thing. Things of other kinds than the two halved ones count
    by their split alone: train is robot, dev is web, test is none; so do test things that the file does not name."""
    if asset.split == "train":
        return "robot"
    if asset.split == "dev" or asset.name in concept_file().web:
        return "web"
    return "none"


def things(kind: Kind, *concepts: Concept) -> list[ObjectAsset]:
    """The released things of a kind that are of one of `concepts`, by name."""
    return [asset for asset in standard().all_objects() if asset.kind == kind and concept_of(asset) in concepts]


def concept_of_scene(scene: Scene) -> Concept:
    """The least known of the things that the goal of `scene` is about."""
    ids = [id for text in scene.goal.success for id in (item.id for item in scene.objects) if id in _words(text)]
    found = [concept_of(OBJECTS.get(scene.object(id).asset)) for id in dict.fromkeys([*ids, *scene.goal.manipulated])]
    return max(found, key=CONCEPTS.index, default="robot")


def _words(condition: str) -> list[str]:
    return condition.replace("(", " ").replace(")", " ").replace(",", " ").split()
