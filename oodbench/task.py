"""What a task is: a TOML file that says what is asked, in which distribution of scenes, and what counts as done."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from oodbench import toml
from oodbench.catalogue import GLYPHS, OBJECTS, Kind, ObjectAsset, Split
from oodbench.errors import SpecError
from oodbench.goal import Condition
from oodbench.paths import data_dir
from oodbench.pool import POOLS, STANDARD, Pool
from oodbench.registry import Registry
from oodbench.scene import (
    Camera,
    Goal,
    Instruction,
    Key,
    Lamp,
    Lights,
    Object,
    Robot,
    Scene,
    Stage,
    Surface,
    Surfaces,
    Timing,
)
from oodbench.seeding import generator

NAMESPACE = "oodbench-1"  # of the random streams when no suite names another
PLACES: tuple[Kind, ...] = ("receptacle", "container", "zone", "block")  # kinds that things are put on or into
MOVABLE: tuple[Kind, ...] = ("object", "block", "puck", "receptacle", "container")
GAP = 0.025  # least distance between the footprints of two objects (m)

# The cameras that every task has. `image` looks over the table at the robot, as LIBERO's agentview does; `wrist_image`
# sits on the hand and looks past the fingers.
CAMERAS = (
    Camera(
        name="image",
        mount="world",
        position=(0.63, 0.0, 0.8),
        target=(-0.13, 0.0, 0.08),
        up=(0.0, 0.0, 1.0),
        fovy=41.0,
    ),
    Camera(
        name="wrist_image",
        mount="hand",
        position=(0.085, 0.0, 0.03),
        target=(0.02, 0.0, 0.16),
        up=(1.0, 0.0, 0.0),
        fovy=75.0,
    ),
)
LIGHTS = Lights(
    ambient=(0.42, 0.42, 0.42),
    lamps=(
        Lamp(direction=(-0.3, 0.25, -1.0), diffuse=(0.48, 0.48, 0.48)),
        Lamp(direction=(-0.6, -0.5, -0.6), diffuse=(0.2, 0.2, 0.2), specular=(0.0, 0.0, 0.0), shadow=False),
    ),
)
PANDA_HOME = (0.0, math.pi / 16, 0.0, -math.pi / 2 - math.pi / 3, 0.0, math.pi - 0.2, math.pi / 4)  # robosuite's


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Region(_Data):
    """A rectangle on the table: centre and half extents (m), and a range of yaw (degrees)."""

    center: tuple[float, float]
    half: tuple[float, float] = (0.0, 0.0)
    yaw: tuple[float, float] = (0.0, 0.0)

    def sample(self, rng: np.random.Generator, margin: float = 0.0) -> tuple[float, float, float]:
        """x, y (m) and yaw (rad), uniform; `margin` (m) widens the rectangle on every side."""
        x, y = (c + (h + margin) * u for c, h, u in zip(self.center, self.half, rng.uniform(-1, 1, 2), strict=True))
        return x, y, math.radians(rng.uniform(*self.yaw))


class Role(_Data):
    """One object of the task: which kind of thing plays it, and where it may lie."""

    id: str
    kind: Kind
    region: Region
    asset: str | None = None  # always this one
    different: str | None = None  # another role, from which it must differ (objects: in colour and use as well)
    min_radius: float = 0.0  # of the things that may play it (m)
    max_radius: float = 1.0
    joint: tuple[float, float] = (0.0, 0.0)  # range of the initial position of its joint, as shares of the range

    def candidates(self, split: Split, pool: Pool) -> list[ObjectAsset]:
        """The objects of a split that may play this role, by name."""
        if self.asset:
            return [OBJECTS.get(self.asset)]
        things = pool.objects_of(self.kind, split)
        return [asset for asset in things if self.min_radius <= asset.radius <= self.max_radius]


class Wording(_Data):
    """One way to ask. `{role}` stands for the label of the object in that role."""

    text: str
    split: Split
    level: int = Field(0, ge=0, le=5)  # 0 for train; else how far from the training wordings, as Shift paraphrase says


class Option(_Data):
    """One of several goals that the task may ask for; seeds take them in turn.

    words: what its placeholders in wordings stand for; "{role}" in them is the label of the object in that role.
    """

    success: tuple[str, ...]
    words: dict[str, str]


class GoalFile(_Data):
    """success: the same in every scene, or empty when the task has options.

    "{goal}" in a stage's condition is the first condition of success.
    """

    success: tuple[str, ...] = ()
    stages: tuple[Stage, ...]
    released: bool = True


class Task(_Data):
    """tasks/<name>.toml.

    manipulated: the roles that the robot must handle. concept: the set of glyphs that its boards show, all different.
    """

    name: str
    version: int
    summary: str
    horizon: int = Field(gt=0)  # control steps
    manipulated: tuple[str, ...]
    role: tuple[Role, ...]
    wording: tuple[Wording, ...]
    goal: GoalFile
    option: tuple[Option, ...] = ()
    concept: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Task:
        ids = [role.id for role in self.role]
        if len(set(ids)) != len(ids):
            raise ValueError(f"role: two roles are called {max(ids, key=ids.count)!r}")
        for id in self.manipulated:
            if id not in ids:
                raise ValueError(f"manipulated: no role is called {id!r}")
        if bool(self.goal.success) == bool(self.option):
            raise ValueError("goal: give either success or some [[option]]")
        if self.concept is not None:
            GLYPHS.get(self.concept)
        for role in self.role:
            if role.asset is not None:  # read now, while a path is one from this file's folder
                OBJECTS.get(role.asset)
        options = self.option or (Option(success=self.goal.success, words={}),)
        for option in options:
            if option.words.keys() != options[0].words.keys():
                raise ValueError("option: all must have the same words")
            stages = (stage.condition.replace("{goal}", option.success[0]) for stage in self.goal.stages)
            for condition in (*option.success, *stages):
                Condition.parse(condition, ids)
        for split in ("train", "dev", "test"):
            if not any(wording.split == split for wording in self.wording):
                raise ValueError(f"wording: none of split {split!r}")
        for wording in self.wording:
            try:
                wording.text.format(**dict.fromkeys([*ids, *options[0].words], ""))
            except (KeyError, IndexError, ValueError) as error:
                raise ValueError(f"wording: {wording.text!r} names no role: {error}") from error
        return self

    def sample(self, seed: int, namespace: str = NAMESPACE, pool: str = STANDARD) -> Scene:
        """The in-distribution scene of `seed`: train objects, train wordings, train surfaces, the standard view.

        Every group of draws has a stream of its own, named by (namespace, task, seed).

        Args:
            seed: Any number from 0.
            namespace: Of the random streams; suites have their own.
            pool: What objects and textures are drawn from.

        Returns:
            The same scene for the same arguments, whatever else is installed.

        Raises:
            UnknownNameError: There is no such pool.
            SpecError: The pool has no object for a role, or the roles' regions leave no room.
        """
        things = POOLS.get(pool)
        key = Key(namespace=namespace, task=self.name, seed=seed)
        wording = self._stream(key, "wording").choice([w.text for w in self.wording if w.split == "train"])
        surfaces = {
            name: Surface(
                texture=self._stream(key, "surface", name).choice([t.name for t in things.textures_of(name, "train")])
            )
            for name in ("table", "floor", "wall")
        }
        scene = Scene(
            key=key,
            instruction=Instruction(text="", wording=""),
            goal=self._goal(seed),
            objects=self._faces(key, self._layout(key, self._assets(key, things))),
            surfaces=Surfaces(**surfaces),
            lights=LIGHTS,
            cameras=CAMERAS,
            robot=Robot(name="panda", qpos=self._home(key)),
            timing=Timing(horizon=self.horizon),
        )
        return scene.but(instruction=self.instruct(scene, str(wording)))

    def instruct(self, scene: Scene, wording: str, **instead: str) -> Instruction:
        """The instruction that `wording` makes in `scene`; `instead` gives other words for some of its placeholders."""
        return Instruction(text=wording.format(**{**self.words(scene), **instead}), wording=wording)

    def words(self, scene: Scene) -> dict[str, str]:
        """What the placeholders of wordings stand for: labels of the objects by role, and the words of the option."""
        labels = {role.id: label(scene.object(role.id)) for role in self.role}
        for option in self.option:
            if option.success == scene.goal.success:
                labels |= {name: text.format(**labels) for name, text in option.words.items()}
        return labels

    def _goal(self, seed: int) -> Goal:
        success = self.option[seed % len(self.option)].success if self.option else self.goal.success
        stages = (stage.but(condition=stage.condition.replace("{goal}", success[0])) for stage in self.goal.stages)
        return Goal(
            manipulated=self.manipulated,
            success=success,
            stages=tuple(stages),
            released=self.goal.released,
            options=tuple(option.success[0] for option in self.option),
        )

    def _faces(self, key: Key, placed: tuple[Object, ...]) -> tuple[Object, ...]:
        """The objects with different glyphs on the boards among them."""
        if self.concept is None:
            return placed
        rng, glyphs = self._stream(key, "faces"), GLYPHS.get(self.concept)
        boards = [item.id for item in placed if OBJECTS.get(item.asset).kind == "board"]
        names = [glyphs.glyph[i].name for i in rng.permutation(len(glyphs.glyph))[: len(boards)]]
        faces = {}
        for id, name in zip(boards, names, strict=True):
            variants = glyphs.variants.get(name, glyphs.colours)
            faces[id] = "/".join([self.concept, name, *([variants[rng.integers(len(variants))]] if variants else [])])
        return tuple(item.but(face=faces.get(item.id)) for item in placed)

    def named(self, id: str) -> Role:
        """The role called `id`. Raises KeyError."""
        for role in self.role:
            if role.id == id:
                return role
        raise KeyError(id)

    @property
    def handled(self) -> Role:
        """The role of the (first) object that the robot must handle."""
        return self.named(self.manipulated[0])

    @property
    def handles_a_free_thing(self) -> bool:
        """Whether what is handled lies free on the table, and can be moved and weighed."""
        return self.handled.kind in MOVABLE

    @property
    def place(self) -> Role | None:
        """The role of what the handled object goes to, if there is such a thing and no choice between several."""
        places = [role for role in self.role if role.kind in PLACES and role.id not in self.manipulated]
        return places[0] if len(places) == 1 else None

    @staticmethod
    def _stream(key: Key, *name: str) -> np.random.Generator:
        return generator(key.namespace, key.task, key.seed, *name)

    def _assets(self, key: Key, things: Pool) -> dict[str, ObjectAsset]:
        chosen: dict[str, ObjectAsset] = {}
        for role in self.role:
            pool = role.candidates("train", things)
            if role.different:
                pool = [asset for asset in pool if _differ(asset, chosen[role.different])]
            if not pool:
                raise SpecError(f"task {self.name!r}: no train object of kind {role.kind!r} for role {role.id!r}")
            chosen[role.id] = pool[self._stream(key, "asset", role.id).integers(len(pool))]
        return chosen

    def _layout(self, key: Key, chosen: dict[str, ObjectAsset]) -> tuple[Object, ...]:
        rng = self._stream(key, "layout")
        joints = {role.id: self._stream(key, "joint", role.id).uniform(*role.joint) for role in self.role}
        for _ in range(1000):
            poses = {role.id: role.region.sample(rng) for role in self.role}
            placed = tuple(
                Object(id=id, asset=chosen[id].name, position=(x, y, 0.0), yaw=yaw, joint=joints[id])
                for id, (x, y, yaw) in poses.items()
            )
            if all(is_clear(item, placed[:i]) for i, item in enumerate(placed)):
                return placed
        raise SpecError(
            f"task {self.name!r}: the regions of its roles leave no room for {[a.name for a in chosen.values()]}"
        )

    def _home(self, key: Key) -> tuple[float, ...]:
        """robosuite's initial posture with its initialisation noise (standard deviation 0.02 rad)."""
        return tuple(np.asarray(PANDA_HOME) + 0.02 * self._stream(key, "robot").standard_normal(7).clip(-2, 2))


def is_clear(item: Object, others: tuple[Object, ...], gap: float = GAP) -> bool:
    """Whether the footprint of `item` keeps `gap` (m) from those of `others`."""
    radius = OBJECTS.get(item.asset).radius
    return all(
        math.dist(item.position[:2], other.position[:2]) >= radius + OBJECTS.get(other.asset).radius + gap
        for other in others
        if other.id != item.id
    )


def _differ(a: ObjectAsset, b: ObjectAsset) -> bool:
    """Whether two things of one task are told apart by their names, and everyday objects by other words as well."""
    if a.kind != "object":
        return a != b
    return a.category != b.category and a.colour != b.colour and a.affordance != b.affordance


def label(item: Object) -> str:
    """What instructions call an object."""
    if item.face:
        return GLYPHS.get(item.face.split("/")[0]).named(item.face)
    return OBJECTS.get(item.asset).label


def _load(path: Path) -> Task:
    return toml.load(path, Task)


TASKS: Registry[Task] = Registry("task", data_dir("tasks"), _load, of=Task)
