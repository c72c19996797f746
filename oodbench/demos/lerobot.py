"""Demonstrations as a LeRobot dataset, format v3.0: what `LeRobotDataset(repo_id, root=folder)` opens.

    meta/info.json  meta/stats.json  meta/tasks.parquet  meta/episodes/chunk-000/file-000.parquet
    data/chunk-000/file-NNN.parquet            action, action.executed, chunk, observation.state, timestamps, indices
    videos/<camera>/chunk-000/file-NNN.mp4     some dozens of episodes a file, one after the other
    oodbench/scenes.jsonl                      the scene of every episode, to play it again

`action` is what the expert wanted, to be learned; `action.executed` is what the robot did, with the noise that was
added, to be replayed. `chunk` is what the expert wanted from that moment on, undisturbed: its k actions one after the
other, in one row. The actions of the frames that follow are not that where noise was added, since they answer it: a
policy that learns chunks learns from `chunk`, or from demonstrations recorded without noise and kicks. Pictures are the
ones that policies see (upright), compressed by the video codec.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from oodbench import __version__
from oodbench.convention import CONTROL_HZ
from oodbench.demos.store import Demo, DemoStore
from oodbench.errors import OodbenchError
from oodbench.observation import STATE_SIZE
from oodbench.progress import Meter
from oodbench.sim.world import World

VERSION = "v3.0"
EPISODES_A_FILE = 40
CAMERAS = {"observation.images.image": "image", "observation.images.wrist_image": "wrist_image"}
STATE_NAMES = ["x", "y", "z", "rx", "ry", "rz", "finger_left", "finger_right"]
ACTION_NAMES = ["dx", "dy", "dz", "drx", "dry", "drz", "gripper"]
FILE = "chunk-000/file-{:03d}"
QUALITY = ["-crf", "18", "-g", "2", "-pix_fmt", "yuv420p"]  # a key frame every second frame, for random access


def export(store: DemoStore, out: Path, size: int = 256, limit: int | None = None, workers: int = 2) -> None:
    """Write the successful demonstrations of `store` into the new folder `out`.

    Raises OodbenchError when `out` exists, pyarrow and pandas are missing, or an episode does not come out as recorded.
    """
    try:
        import pandas as pd  # noqa: F401
        import pyarrow as pa  # noqa: F401
    except ImportError as error:
        raise OodbenchError("the LeRobot export needs pyarrow and pandas: pip install 'oodbench[lerobot]'") from error
    if out.exists() and any(out.iterdir()):
        raise OodbenchError(f"{out}: exists already; remove it or give another folder")
    demos = list(store)[:limit]
    if not demos:
        raise OodbenchError(f"{store.path}: holds no successful demonstrations")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as work:
        unfinished = Path(work) / "dataset"
        _export(demos, unfinished, size, workers)
        unfinished.replace(out)


def _export(demos: list[Demo], out: Path, size: int, workers: int) -> None:
    """Write the files of a data set into the folder `out`."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    texts = list(dict.fromkeys(_text(demo) for demo in demos))
    groups = [demos[i : i + EPISODES_A_FILE] for i in range(0, len(demos), EPISODES_A_FILE)]
    jobs = [(group, out, number, size) for number, group in enumerate(groups)]
    pictures = []
    with Meter("exporting", len(demos)) as meter:
        for group, sums in zip(groups, _filmed(jobs, workers), strict=True):
            pictures.append(sums)
            meter.advance(len(group))
    episodes: list[dict[str, Any]] = []
    start = 0
    for number, group in enumerate(groups):
        rows, second = [], 0.0
        for demo in group:
            index, n = len(episodes), len(demo)
            rows.append(_rows(demo, index, start, texts.index(_text(demo))))
            episodes.append(_episode(demo, index, number, start, second))
            start, second = start + n, second + n / CONTROL_HZ
        columns = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
        table = pa.table({name: _column(pa, array) for name, array in columns.items()})
        _write(parquet, table, out / "data" / f"{FILE.format(number)}.parquet")
    _write(parquet, pa.Table.from_pylist(episodes), out / "meta" / "episodes" / f"{FILE.format(0)}.parquet")
    pd.DataFrame({"task_index": range(len(texts))}, index=pd.Index(texts, name="task")).to_parquet(
        out / "meta" / "tasks.parquet"
    )
    _dump(out / "meta" / "stats.json", _stats(demos, pictures))
    _dump(out / "meta" / "info.json", _info(demos, len(texts), size))
    scenes = out / "oodbench" / "scenes.jsonl"
    scenes.parent.mkdir(parents=True)
    lines = [
        json.dumps({"outcome_sha256": demo.outcome_sha256, "scene": json.loads(demo.scene.canonical_json())})
        for demo in demos
        if demo.scene
    ]
    scenes.write_text("\n".join(lines) + "\n")


def _text(demo: Demo) -> str:
    assert demo.scene is not None
    return demo.scene.instruction.text


def _rows(demo: Demo, index: int, start: int, task: int) -> dict[str, np.ndarray]:
    n = len(demo)
    return {
        "action": demo.labels,
        "action.executed": demo.executed,
        "chunk": demo.chunks.reshape(n, -1),
        "observation.state": demo.states,
        "timestamp": (np.arange(n) / CONTROL_HZ).astype(np.float32),
        "frame_index": np.arange(n),
        "episode_index": np.full(n, index),
        "index": np.arange(start, start + n),
        "task_index": np.full(n, task),
    }


def _episode(demo: Demo, index: int, file: int, start: int, second: float) -> dict[str, Any]:
    n = len(demo)
    row: dict[str, Any] = {
        "episode_index": index,
        "tasks": [_text(demo)],
        "length": n,
        "dataset_from_index": start,
        "dataset_to_index": start + n,
        "data/chunk_index": 0,
        "data/file_index": file,
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
    }
    for key in CAMERAS:
        row |= {
            f"videos/{key}/chunk_index": 0,
            f"videos/{key}/file_index": file,
            f"videos/{key}/from_timestamp": second,
            f"videos/{key}/to_timestamp": second + n / CONTROL_HZ,
        }
    return row


def _column(pa: Any, array: np.ndarray) -> Any:
    if array.ndim == 1:
        return pa.array(array)
    return pa.FixedSizeListArray.from_arrays(pa.array(array.astype(np.float32).ravel()), array.shape[1])


def _write(parquet: Any, table: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path)


def _dump(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n")


def _info(demos: Sequence[Demo], tasks: int, size: int) -> dict[str, Any]:
    vector = lambda names: {"dtype": "float32", "shape": [len(names)], "names": names}  # noqa: E731
    number = lambda dtype: {"dtype": dtype, "shape": [1], "names": None}  # noqa: E731
    film = {"video.fps": CONTROL_HZ, "video.codec": "h264", "video.pix_fmt": "yuv420p", "video.channels": 3}
    film |= {"video.height": size, "video.width": size, "video.is_depth_map": False, "has_audio": False}
    video = {"dtype": "video", "shape": [size, size, 3], "names": ["height", "width", "channels"], "info": film}
    integers = ("frame_index", "episode_index", "index", "task_index")
    return {
        "codebase_version": VERSION,
        "robot_type": "panda",
        "total_episodes": len(demos),
        "total_frames": sum(map(len, demos)),
        "total_tasks": tasks,
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": CONTROL_HZ,
        "splits": {"train": f"0:{len(demos)}"},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            "action": vector(ACTION_NAMES),
            "action.executed": vector(ACTION_NAMES),
            "chunk": vector([f"{name}_{i}" for i in range(demos[0].chunks.shape[1]) for name in ACTION_NAMES]),
            "observation.state": vector(STATE_NAMES[:STATE_SIZE]),
            **dict.fromkeys(CAMERAS, video),
            "timestamp": number("float32"),
            **{name: number("int64") for name in integers},
        },
        "oodbench": __version__,
    }


def _stats(demos: Sequence[Demo], pictures: Sequence[dict[str, np.ndarray]]) -> dict[str, Any]:
    """min, max, mean, std, count of every feature; of pictures by channel, in [0, 1], over every eighth frame."""
    columns = {
        "action": np.concatenate([demo.labels for demo in demos]),
        "action.executed": np.concatenate([demo.executed for demo in demos]),
        "chunk": np.concatenate([demo.chunks.reshape(len(demo), -1) for demo in demos]),
        "observation.state": np.concatenate([demo.states for demo in demos]),
    }
    stats: dict[str, Any] = {
        name: {
            "min": x.min(0).tolist(),
            "max": x.max(0).tolist(),
            "mean": x.mean(0).tolist(),
            "std": x.std(0).tolist(),
            "count": [len(x)],
        }
        for name, x in columns.items()
    }
    for key in CAMERAS:
        sums = np.sum([picture[key] for picture in pictures], axis=0)  # of x, of x squared, number
        mean = sums[0] / sums[2]
        std = np.sqrt(np.maximum(sums[1] / sums[2] - mean**2, 0))
        shape = lambda x: x.reshape(3, 1, 1).tolist()  # noqa: E731
        bounds = {"min": shape(np.zeros(3)), "max": shape(np.ones(3))}
        stats[key] = {**bounds, "mean": shape(mean), "std": shape(std), "count": [int(sums[2][0])]}
    return stats


Job = tuple[list[Demo], Path, int, int]


def _filmed(jobs: list[Job], workers: int) -> Iterator[dict[str, np.ndarray]]:
    if workers == 0:
        yield from map(_film, jobs)
        return
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
    try:
        yield from pool.map(_film, jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _film(job: Job) -> dict[str, np.ndarray]:
    """Write one video file per camera. Returns, for the statistics, sums over pixels of every eighth frame."""
    import imageio.v2 as imageio

    demos, out, number, size = job
    world = World("standard")
    sums = {key: np.zeros((3, 3)) for key in CAMERAS}
    films = {}
    for key in CAMERAS:
        path = out / "videos" / key / f"{FILE.format(number)}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        films[key] = imageio.get_writer(
            path, fps=CONTROL_HZ, codec="libx264", output_params=QUALITY, macro_block_size=2, ffmpeg_log_level="error"
        )
    for demo in demos:
        assert demo.scene is not None
        world.reset(demo.scene)
        for step, action in enumerate(demo.executed):
            observation = world.observation(size)
            for key, name in CAMERAS.items():
                picture = getattr(observation, name)
                films[key].append_data(picture)
                if step % 8 == 0:
                    x = picture.reshape(-1, 3) / 255.0
                    sums[key] += np.stack([x.sum(0), (x**2).sum(0), np.full(3, len(x))])
            world.step(action)
        if world.outcome_sha256() != demo.outcome_sha256:
            raise OodbenchError(f"demonstration {demo.task}/{demo.seed} does not come out as it was recorded")
    for film in films.values():
        film.close()
    return sums
