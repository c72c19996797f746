"""Labelled pictures of tables full of things: what the model is pretrained on and what the teacher learns to see.

Every picture shows two to five things of C_robot and C_web (never C_none) under varied surfaces, light, view and
robot posture, with a mask of every thing, and depth if wanted. A set of eight things is compiled once and shown in
several arrangements, those that are left out parked behind the camera, since compiling and uploading a model costs
as much as twenty pictures.
"""

from __future__ import annotations

import json
import math
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.catalogue import GLYPHS, OBJECTS, ObjectAsset, objects, textures
from oodbench.concepts import Concept, things
from oodbench.demos.frames import shrink
from oodbench.errors import RunFolderError, SpecError
from oodbench.progress import Meter
from oodbench.scene import Camera, Goal, Instruction, Key, Object, Robot, Scene, Surface, Surfaces, Timing
from oodbench.seeding import generator
from oodbench.sim.kinematics import displaced_posture
from oodbench.sim.world import World
from oodbench.task import CAMERAS, LIGHTS, PANDA_HOME, is_clear, label

SET = 8  # things compiled together
ARRANGEMENTS = 20  # pictures of each set
SETS = 12  # sets a shard
GLYPH_SETS = ("shape", "color", "arrow")  # that boards show
TABLE = ((-0.27, 0.12), (-0.27, 0.27))  # where things lie: x and y (m)
PARKED = 6.0  # x of what is not shown: behind the camera (m)
SEEN = 25  # pixels of 128 x 128 from which on a thing counts as visible
MASK = 64  # side of the masks (pixels)
HOME_GRIP = (-0.14, 0.0, 0.22)  # where the hand is at home (m)


@dataclass(frozen=True)
class PicturePlan:
    """pictures: how many, rounded up to whole shards. stream: names the random draws. concepts: what may be shown.
    dense: with depth, without the wrist camera (for the teacher)."""

    pictures: int
    stream: str
    concepts: tuple[Concept, ...] = ("robot", "web")
    dense: bool = False
    size: int = 128
    wrist_size: int = 64
    quality: str = "standard"

    @property
    def shards(self) -> int:
        return math.ceil(self.pictures / (SETS * ARRANGEMENTS))


def render_all(out: Path, plan: PicturePlan, workers: int = 2) -> None:
    """Render into `out`, shard by shard; those that are there are kept."""
    info = out / "pictures.json"
    wanted = json.loads(json.dumps({**asdict(plan), "pictures": None}))
    if info.exists() and json.loads(info.read_text()) != wanted:
        raise RunFolderError(f"{out}: holds other pictures; remove it or give another folder")
    out.mkdir(parents=True, exist_ok=True)
    info.write_text(json.dumps(wanted) + "\n")
    todo = [(plan, shard, _path(out, shard)) for shard in range(plan.shards) if not _path(out, shard).exists()]
    if not todo:
        return
    each = SETS * ARRANGEMENTS
    label_ = f"rendering {plan.stream} pictures"
    with Meter(label_, plan.shards * each, (plan.shards - len(todo)) * each) as meter:
        if workers == 0:
            for job in todo:
                meter.advance(_render_shard(job))
            return
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            for count in pool.map(_render_shard, todo):
                meter.advance(count)


@dataclass(frozen=True)
class Pictures:
    """n pictures. image: (n, 128, 128, 3) uint8; mask: (n, 64, 64) int8, index into the picture's things, -1 for none;
    wrist_image: (n, 64, 64, 3) and wrist_mask: (n, 32, 32), or depth: (n, 64, 64) float16 (m). things: of every
    picture, what is visible (see `_visible`); state: (n, 8). questions: of every picture, once they were asked (see
    vla.questions)."""

    arrays: dict[str, np.ndarray]
    things: list[list[dict[str, Any]]]
    questions: list[list[Any]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.things)


def load(out: Path) -> Pictures:
    """The pictures of a folder. Raises RunFolderError when there are none."""
    parts: dict[str, list[np.ndarray]] = {}
    seen: list[list[dict[str, Any]]] = []
    for path in sorted(out.glob("pictures-*.npz")):
        with np.load(path, allow_pickle=False) as shard:
            for name in shard.files:
                if name != "things":
                    parts.setdefault(name, []).append(shard[name])
            seen.extend(json.loads(str(shard["things"])))
    if not seen:
        raise RunFolderError(f"{out}: holds no pictures; render them first")
    return Pictures({name: np.concatenate(pieces) for name, pieces in parts.items()}, seen)


def _path(out: Path, shard: int) -> Path:
    return out / f"pictures-{shard:05d}.npz"


@cache
def _world(quality: str) -> World:
    """One a process."""
    return World(quality)


def _render_shard(job: tuple[PicturePlan, int, Path]) -> int:
    plan, shard, path = job
    world = _world(plan.quality)
    parts: dict[str, list[np.ndarray]] = {}
    seen = []
    for i in range(SETS):
        chosen = _choose(plan, shard * SETS + i)
        for j in range(ARRANGEMENTS):
            scene = _scene(plan, shard * SETS + i, j, chosen)
            world.reset(scene)
            picture = _look(world, plan)
            for name, array in picture.items():
                parts.setdefault(name, []).append(array)
            seen.append(_visible(scene, picture["mask"]))
    arrays = {name: np.stack(pieces) for name, pieces in parts.items()}
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, things=np.array(json.dumps(seen)), **arrays)
    unfinished.replace(path)
    return len(seen)


def _look(world: World, plan: PicturePlan) -> dict[str, np.ndarray]:
    observation = world.observation(plan.size)
    picture = {"image": observation.image, "state": observation.state}
    picture["mask"] = _fewer(observation.segmentation("image"), MASK).astype(np.int8)
    if plan.dense:
        picture["depth"] = _fewer(observation.depth("image"), MASK).astype(np.float16)
    else:
        picture["wrist_image"] = shrink(observation.wrist_image, plan.wrist_size)
        picture["wrist_mask"] = _fewer(observation.segmentation("wrist_image"), plan.wrist_size // 2).astype(np.int8)
    return picture


def _fewer(array: np.ndarray, size: int) -> np.ndarray:
    step = array.shape[0] // size
    return array[step // 2 :: step, step // 2 :: step]


def _choose(plan: PicturePlan, index: int) -> list[tuple[ObjectAsset, str | None]]:
    """Eight things: five objects, a receptacle or two, a block, and sometimes boards; with their faces."""
    rng = generator("pictures", plan.stream, index, "things")

    def some(pool: list[ObjectAsset], count: int) -> list[ObjectAsset]:
        return [pool[i] for i in rng.permutation(len(pool))[:count]]

    boards = 2 if rng.random() < 0.35 else 0
    chosen: list[tuple[ObjectAsset, str | None]] = [(a, None) for a in some(things("object", *plan.concepts), 5)]
    chosen += [(a, None) for a in some(things("receptacle", *plan.concepts), 1 if boards else 2)]
    if boards:
        glyphs = GLYPHS.get(GLYPH_SETS[rng.integers(len(GLYPH_SETS))])
        for k in rng.permutation(len(glyphs.glyph))[:boards]:
            name = glyphs.glyph[k].name
            variants = glyphs.variants.get(name, glyphs.colours)
            face = [glyphs.name, name, *([variants[rng.integers(len(variants))]] if variants else [])]
            chosen.append((OBJECTS.get("board"), "/".join(face)))
    else:
        chosen += [(a, None) for a in some(objects("block", "train"), 1)]
    return chosen


def _scene(plan: PicturePlan, index: int, j: int, chosen: list[tuple[ObjectAsset, str | None]]) -> Scene:
    rng = generator("pictures", plan.stream, index, "arrangement", j)
    shown = set(rng.permutation(len(chosen))[: rng.integers(2, 6)].tolist())
    placed: list[Object] = []
    visible: list[Object] = []
    for k, (asset, face) in enumerate(chosen):
        item = Object(id=f"thing-{k}", asset=asset.name, position=(PARKED, 0.5 * k, 0.0), face=face)
        for _ in range(40 if k in shown else 0):
            x, y = (rng.uniform(*limits) for limits in TABLE)
            turn = rng.uniform(-math.pi, math.pi) if face is None else 0.0
            trial = item.but(position=(x, y, 0.0), yaw=turn)
            if is_clear(trial, tuple(visible), 0.01):
                item = trial
                visible.append(item)
                break
        placed.append(item)
    table = generator("pictures", plan.stream, index, "table", j // 5)
    surfaces = {}
    for name in ("table", "floor", "wall"):
        pool = [*textures(name, "train"), *textures(name, "dev")]
        surfaces[name] = Surface(texture=pool[table.integers(len(pool))].name)
    lights = LIGHTS.but(
        ambient=tuple(np.clip(np.array(LIGHTS.ambient) * rng.uniform(0.6, 1.4), 0, 1)),
        lamps=tuple(
            lamp.but(
                direction=tuple(np.array(lamp.direction) + np.array([*rng.uniform(-0.4, 0.4, 2), 0.0])),
                diffuse=tuple(np.clip(np.array(lamp.diffuse) * rng.uniform(0.5, 1.4), 0, 1)),
            )
            for lamp in LIGHTS.lamps
        ),
    )
    return Scene(
        key=Key(namespace=f"pictures-{plan.stream}", task="put-on", seed=index),
        instruction=Instruction(text="look", wording="look"),
        goal=Goal(manipulated=("thing-0",), success=("raised(thing-0, 0.1)",), stages=()),
        objects=tuple(placed),
        surfaces=Surfaces(**surfaces),
        lights=lights,
        cameras=tuple(_moved(camera, rng) for camera in CAMERAS),
        robot=Robot(name="panda", qpos=_posture(rng), opening=float(rng.uniform(0.0, 0.08))),
        timing=Timing(horizon=1),
    )


def _moved(camera: Camera, rng: np.random.Generator) -> Camera:
    if camera.mount != "world":
        return camera
    way = rng.normal(0.0, 0.02, 3)
    return camera.but(position=tuple(np.array(camera.position) + way), target=tuple(np.array(camera.target) + way / 2))


def _posture(rng: np.random.Generator) -> tuple[float, ...]:
    """A hand that points down somewhere over the table."""
    goal = np.array([rng.uniform(-0.28, 0.08), rng.uniform(-0.27, 0.27), rng.uniform(0.10, 0.36)])
    try:
        return displaced_posture("panda", PANDA_HOME, goal - HOME_GRIP, np.array([0.0, 0.0, rng.uniform(-1.2, 1.2)]))
    except SpecError:
        return PANDA_HOME


def _visible(scene: Scene, mask: np.ndarray) -> list[dict[str, Any]]:
    """What can be seen: index into the mask, asset, face, what it is called, and where it lies (m)."""
    found = []
    for k, item in enumerate(scene.objects):
        if 4 * int((mask == k).sum()) >= SEEN and item.position[0] < 1.0:
            x, y, _ = item.position
            found.append({"k": k, "asset": item.asset, "face": item.face, "label": label(item), "x": x, "y": y})
    return found
