"""The LeRobot export, opened by the real library in its own environment, and played again in the simulator."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oodbench.demos import lerobot
from oodbench.demos.lerobot import export
from oodbench.demos.record import record_all
from oodbench.demos.store import DemoPlan, DemoStore
from oodbench.errors import OodbenchError
from oodbench.scene import Scene
from oodbench.sim.world import World

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-lerobot" / "bin" / "python"
OPENER = ROOT / "tests" / "lerobot_env" / "open_dataset.py"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoStore, Path]:
    folder = tmp_path_factory.mktemp("lerobot")
    store = record_all(folder / "store", DemoPlan(tasks=("put-on",), episodes=3), workers=0)
    export(store, folder / "dataset", size=64, workers=0)
    return store, folder / "dataset"


@pytest.fixture(scope="module")
def opened(exported: tuple[DemoStore, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    if not PYTHON.exists():
        pytest.skip(f"no {PYTHON.relative_to(ROOT)}: `make lerobot-env` installs the real lerobot; `make test` does it")
    out = tmp_path_factory.mktemp("opened") / "items.npz"
    done = subprocess.run([PYTHON, OPENER, exported[1], out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(out))


@pytest.mark.lerobot
def test_the_real_library_gives_back_what_was_recorded(
    exported: tuple[DemoStore, Path], opened: dict[str, np.ndarray]
) -> None:
    demos = list(exported[0])
    assert opened["version"] == "v3.0"
    assert opened["episodes"] == len(demos)
    assert np.array_equal(opened["state"], np.concatenate([demo.states for demo in demos]))
    assert np.array_equal(opened["executed"], np.concatenate([demo.executed for demo in demos]))
    assert np.array_equal(opened["action"][:, 0], np.concatenate([demo.labels for demo in demos]))
    chunks = np.concatenate([demo.chunks for demo in demos])
    assert np.array_equal(opened["chunk"].reshape(chunks.shape), chunks)
    starts = np.cumsum([0, *map(len, demos)])
    for i, demo in enumerate(demos):
        assert demo.scene is not None
        rows = slice(starts[i], starts[i + 1])
        assert set(opened["episode"][rows]) == {i}
        assert set(opened["task"][rows]) == {demo.scene.instruction.text}
        assert opened["padded"][starts[i + 1] - 3].tolist() == [False] * 3 + [True] * 5  # chunks end with the episode


@pytest.mark.lerobot
def test_its_pictures_are_those_of_the_right_moment(
    exported: tuple[DemoStore, Path], opened: dict[str, np.ndarray]
) -> None:
    demos, world = list(exported[0]), World("standard")
    demo, start = demos[1], len(demos[0])
    assert demo.scene is not None
    world.reset(demo.scene)
    seen = []
    for action in demo.executed:
        observation = world.observation(64)
        seen.append([observation.image, observation.wrist_image])
        world.step(action)
    for step in range(0, len(demo), 5):
        for name, picture in zip(("image", "wrist_image"), seen[step], strict=True):
            film = opened[name][start + step].transpose(1, 2, 0) * 255
            assert np.abs(film - picture).mean() < 8  # the codec's loss; another moment's picture differs by more
    moved = np.abs(opened["wrist_image"][start].transpose(1, 2, 0) * 255 - seen[-1][1]).mean()
    assert moved > 16
    mean = np.mean([image[0] for image in seen], axis=(0, 1, 2)) / 255
    assert np.abs(opened["image_mean"].ravel() - mean).max() < 0.15


@pytest.mark.slow
@pytest.mark.lerobot
def test_it_replays_to_the_same_success(exported: tuple[DemoStore, Path], opened: dict[str, np.ndarray]) -> None:
    lines = (exported[1] / "oodbench" / "scenes.jsonl").read_text().splitlines()
    world = World("fast")
    for i, line in enumerate(lines):
        kept = json.loads(line)
        world.reset(Scene.model_validate(kept["scene"]))
        for action in opened["executed"][opened["episode"] == i]:
            world.step(action)
        assert world.status.settled
        assert world.outcome_sha256() == kept["outcome_sha256"]


@pytest.mark.slow
def test_it_does_not_write_over_a_folder(exported: tuple[DemoStore, Path]) -> None:
    with pytest.raises(OodbenchError, match="exists already"):
        export(exported[0], exported[1], size=64, workers=0)


@pytest.mark.slow
def test_a_second_try_after_a_late_failure(
    exported: tuple[DemoStore, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of the first one is left, in the dataset or beside it."""
    store, whole = exported
    with monkeypatch.context() as patch:
        patch.setattr(lerobot, "_info", lambda *args: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(store, tmp_path / "dataset", size=64, limit=1, workers=0)
    assert list(tmp_path.iterdir()) == []
    export(store, tmp_path / "dataset", size=64, limit=1, workers=1)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    names = {path.relative_to(tmp_path / "dataset") for path in (tmp_path / "dataset").rglob("*")}
    assert names == {path.relative_to(whole) for path in whole.rglob("*")}
    assert not multiprocessing.active_children(), "its processes ended with it"
