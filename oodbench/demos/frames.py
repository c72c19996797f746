"""Pictures for demonstrations: every episode is played again, and what the policy would have seen is kept.

A folder of shards, so that a run that is cut short goes on where it was. Frames are what a behaviour-cloning loss
needs: pictures, state, instruction and the chunk of actions that the expert would have taken from there.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from oodbench.demos.store import Demo, DemoStore
from oodbench.errors import OodbenchError, RunFolderError
from oodbench.progress import Meter
from oodbench.sim import build
from oodbench.sim.world import World

SHARD = 40  # episodes a shard


@dataclass(frozen=True)
class Frames:
    """n frames of demonstrations.

    image: (n, size, size, 3) uint8. wrist_image: (n, wrist size, wrist size, 3) uint8. state: (n, 8) float32. chunk:
    (n, c, 7) float32, what the expert would do from there on, undisturbed. text: (n,) indices into `instructions`.
    episode: (n,) a number that frames of one episode share.
    """

    image: np.ndarray
    wrist_image: np.ndarray
    state: np.ndarray
    chunk: np.ndarray
    text: np.ndarray
    episode: np.ndarray
    instructions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image)


@dataclass(frozen=True)
class FramePlan:
    """How to render: sizes in pixels, every how many control steps, how long the chunks are."""

    image_size: int = 128
    wrist_size: int = 64
    stride: int = 2
    chunk: int = 8
    quality: str = "standard"

    def key(self, store: DemoStore) -> str:
        return hashlib.sha256(f"{store.sha256} {self}".encode()).hexdigest()


def shrink(picture: np.ndarray, size: int) -> np.ndarray:
    """A square picture (s, s, 3) uint8 to (size, size, 3) by averaging blocks; s must be a multiple of `size`."""
    factor, rest = divmod(picture.shape[0], size)
    if rest or picture.shape[0] != picture.shape[1]:
        raise OodbenchError(f"a picture of {picture.shape[0]} x {picture.shape[1]} pixels cannot be shrunk to {size}")
    if factor == 1:
        return picture
    blocks = picture.reshape(size, factor, size, factor, 3).astype(np.float32)
    return np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)


def render(demo: Demo, plan: FramePlan, world: World) -> dict[str, np.ndarray]:
    """The frames of one demonstration. Raises OodbenchError when it does not come out as it was recorded."""
    assert demo.scene is not None
    world.reset(demo.scene)
    images, wrists = [], []
    for step, action in enumerate(demo.executed):
        if step % plan.stride == 0:
            observation = world.observation(plan.image_size)
            images.append(observation.image)
            wrists.append(shrink(observation.wrist_image, plan.wrist_size))
        world.step(action)
    if world.outcome_sha256() != demo.outcome_sha256:
        raise OodbenchError(
            f"demonstration {demo.task}/{demo.seed} does not come out as it was recorded; this machine's MuJoCo or "
            "assets differ from those in demos.json: record anew"
        )
    every = slice(None, None, plan.stride)
    return {
        "image": np.stack(images),
        "wrist_image": np.stack(wrists),
        "state": demo.states[every],
        "chunk": demo.chunks[every, : plan.chunk],
    }


def render_all(store: DemoStore, out: Path, plan: FramePlan, workers: int = 2) -> None:
    """Render all demonstrations into `out`, shard by shard; shards that are there are kept."""
    if plan.chunk > store.plan.chunk:
        raise RunFolderError(
            f"{store.path}: was recorded with chunks of {store.plan.chunk} actions, not {plan.chunk}; record anew with "
            f"--chunk {plan.chunk}"
        )
    key = plan.key(store)
    info = out / "frames.json"
    if info.exists() and json.loads(info.read_text())["key"] != key:
        raise RunFolderError(f"{out}: holds frames of other demonstrations or sizes; remove it or give another folder")
    demos = list(store)
    if not demos:
        raise RunFolderError(f"{store.path}: holds no successful demonstrations")
    # Episodes with the same things lie side by side, since a compiled model is then used again.
    demos.sort(key=lambda demo: (demo.task, build.topology(demo.scene), demo.seed))  # type: ignore[arg-type]
    shards = [demos[i : i + SHARD] for i in range(0, len(demos), SHARD)]
    out.mkdir(parents=True, exist_ok=True)
    info.write_text(json.dumps({"key": key, "shards": len(shards), "plan": plan.__dict__}, indent=1) + "\n")
    todo = [(shard, _path(out, i), plan) for i, shard in enumerate(shards) if not _path(out, i).exists()]
    if not todo:
        return
    with Meter("rendering", len(demos), len(demos) - sum(len(shard) for shard, *_ in todo)) as meter:
        for count in _rendered(todo, workers):
            meter.advance(count)


def load(out: Path) -> Frames:
    """All frames of a folder. Raises RunFolderError when it is not complete."""
    parts: dict[str, list[np.ndarray]] = {}
    table: dict[str, int] = {}
    try:
        for i in range(json.loads((out / "frames.json").read_text())["shards"]):
            shard = dict(np.load(_path(out, i), allow_pickle=False))
            ids = np.array([table.setdefault(str(text), len(table)) for text in shard.pop("instruction")])
            shard["text"] = ids[shard["episode"]]
            shard["episode"] += i * SHARD
            for name, array in shard.items():
                parts.setdefault(name, []).append(array)
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{out}: frames are missing ({error}); render them, it goes on where it was") from error
    return Frames(**{name: np.concatenate(arrays) for name, arrays in parts.items()}, instructions=tuple(table))


def _path(out: Path, shard: int) -> Path:
    return out / f"frames-{shard:05d}.npz"


Job = tuple[list[Demo], Path, FramePlan]


def _rendered(todo: list[Job], workers: int) -> Iterator[int]:
    """Render shards; yields how many episodes each held."""
    if workers == 0:
        yield from map(_render_shard, todo)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_render_shard, todo)


@cache
def _world(quality: str) -> World:
    """One a process."""
    return World(quality)


def _render_shard(job: Job) -> int:
    demos, path, plan = job
    world = _world(plan.quality)
    parts: dict[str, list[np.ndarray]] = {"episode": []}
    for i, demo in enumerate(demos):
        frames = render(demo, plan, world)
        parts["episode"].append(np.full(len(frames["state"]), i))
        for name, array in frames.items():
            parts.setdefault(name, []).append(array)
    arrays = {name: np.concatenate(pieces) for name, pieces in parts.items()}
    arrays["instruction"] = np.array([demo.scene.instruction.text for demo in demos if demo.scene])
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        np.savez(file, **arrays)
    unfinished.replace(path)
    return len(demos)
