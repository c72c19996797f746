"""Demonstrations: recorded, interrupted, rendered, and the same again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from oodbench import closure
from oodbench.catalogue import OBJECTS, TEXTURES
from oodbench.demos import frames
from oodbench.demos.labels import label
from oodbench.demos.record import demo_scene, new_expert, record_all
from oodbench.demos.store import Demo, DemoPlan, DemoStore
from oodbench.errors import RunFolderError, UnknownNameError
from oodbench.sim.world import World
from oodbench.task import TASKS

PLAN = DemoPlan(tasks=("put-on", "lift"), episodes=3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DemoStore:
    return record_all(tmp_path_factory.mktemp("demos") / "store", PLAN, workers=0)


def test_demonstrations_come_from_training_things_only(store: DemoStore) -> None:
    for demo in store:
        assert demo.scene is not None
        assert {OBJECTS.get(item.asset).split for item in demo.scene.objects} == {"train"}
        assert TEXTURES.get(demo.scene.surfaces.table.texture).split == "train"
        wordings = {w.text for w in TASKS.get(demo.task).wording if w.split == "train"}
        assert demo.scene.instruction.wording in wordings


def test_labels_are_clean_and_what_is_executed_is_not(store: DemoStore) -> None:
    away = np.concatenate([demo.executed - demo.labels for demo in store])
    assert 0.05 < away[:, :3].std() < 0.3
    assert np.abs(away[:, 6]).max() == 0.0
    assert np.abs(np.concatenate([demo.executed for demo in store])).max() <= 1.0


def test_replaying_what_was_executed_gives_the_recorded_outcome(store: DemoStore) -> None:
    world = World("fast")
    for demo in store:
        assert demo.scene is not None
        world.reset(demo.scene)
        for action, state in zip(demo.executed, demo.states, strict=True):
            assert np.array_equal(world.proprioception(), state)
            world.step(action)
        assert world.status.settled
        assert world.outcome_sha256() == demo.outcome_sha256


def test_without_noise_a_chunk_is_what_the_expert_goes_on_to_do(tmp_path: Path) -> None:
    """And when the task is settled, it keeps the gripper as it is and comes to rest."""
    plan = DemoPlan(tasks=("put-on",), episodes=1, noise=0, noise_near=0, kick=0, chunk=12)
    (demo,) = record_all(tmp_path / "clean", plan, workers=0)
    assert demo.chunks.shape == (len(demo), 12, 7)
    for step, chunk in enumerate(demo.chunks):
        rest = demo.executed[step : step + 12]
        assert np.array_equal(chunk[: len(rest)], rest)
        assert (chunk[len(rest) :, 6] == demo.executed[-1, 6]).all()
    assert np.abs(demo.chunks[-1, -1, :6]).max() < 0.05


def test_under_noise_a_chunk_answers_nothing_that_is_still_to_come(store: DemoStore) -> None:
    """It is what the expert does from the recorded state on, and not what it did after more noise."""
    demo, world = next(iter(store)), World("fast")
    assert demo.scene is not None
    later = np.stack([demo.labels[i : i + 8] for i in range(len(demo) - 8)])
    assert np.abs(later - demo.chunks[:-8]).max() > 0.1
    world.reset(demo.scene)
    expert = new_expert(world, demo.task, demo.seed)
    for action in demo.executed[:20]:
        world.step(action)
    for action in demo.chunks[20]:
        assert np.array_equal(expert.action().astype(np.float32), action)
        world.step(action)


def test_labelling_leaves_no_trace() -> None:
    world, outcomes = World("fast"), []
    for labelled in (False, True):
        world.reset(demo_scene("put-on", 1, 0.0))
        expert = new_expert(world, "put-on", 1)
        for _ in range(30):
            if labelled:
                assert label(expert, world, 6).shape == (6, 7)
            world.step(expert.action())
        outcomes.append(world.outcome_sha256())
    assert outcomes[0] == outcomes[1]


def test_the_light_varies_and_nothing_else_does() -> None:
    plain, varied = demo_scene("put-on", 3, 0.0), demo_scene("put-on", 3, 0.25)
    assert plain.but(lights=varied.lights) == varied
    assert plain.lights != varied.lights
    assert demo_scene("put-on", 4, 0.25).lights != varied.lights


def test_recording_goes_on_where_it_was_cut_and_gives_the_same(store: DemoStore, tmp_path: Path) -> None:
    lines = store.file.read_bytes().splitlines(keepends=True)
    again = tmp_path / "again"
    again.mkdir()
    (again / "demos.json").write_bytes((store.path / "demos.json").read_bytes())
    (again / "episodes.jsonl").write_bytes(b"".join(lines[:2]) + lines[2][:100])  # killed while writing
    resumed = record_all(again, PLAN, workers=0)
    assert resumed.sha256 == store.sha256
    before = resumed.file.read_bytes()
    assert record_all(again, PLAN, workers=0).file.read_bytes() == before  # nothing left to do
    more = record_all(again, PLAN.model_copy(update={"episodes": 4}), workers=0)
    assert more.counts()[0] == 8


def test_two_processes_record_what_one_does(store: DemoStore, tmp_path: Path) -> None:
    assert record_all(tmp_path / "two", PLAN, workers=2).sha256 == store.sha256


def test_another_plan_is_refused(store: DemoStore) -> None:
    with pytest.raises(RunFolderError, match=r"recorded with noise 0\.25, now 0\.1"):
        record_all(store.path, PLAN.model_copy(update={"noise": 0.1}), workers=0)


def test_a_misspelt_task_is_named_before_anything_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="put-on"):
        record_all(tmp_path / "x", DemoPlan(tasks=("put-onn",), episodes=1), workers=0)
    assert not (tmp_path / "x").exists()


def test_a_damaged_line_is_named(store: DemoStore, tmp_path: Path) -> None:
    lines = store.file.read_text().splitlines()
    fields = json.loads(lines[1])
    fields["scene"]["timing"]["horizon"] += 1  # edited by hand
    (tmp_path / "demos.json").write_bytes((store.path / "demos.json").read_bytes())
    (tmp_path / "episodes.jsonl").write_text("\n".join([lines[0], json.dumps(fields), ""]))
    with pytest.raises(RunFolderError, match=r"episodes\.jsonl:2: not a demonstration"):
        list(DemoStore(tmp_path))


def test_a_missing_folder_names_its_neighbour(store: DemoStore) -> None:
    with pytest.raises(RunFolderError, match=r"did you mean .*store"):
        _ = DemoStore(store.path.parent / "stor").plan


def test_a_demonstration_survives_its_line() -> None:
    scene = demo_scene("lift", 0, 0.25)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal((5, *shape)).astype(np.float32) for shape in ((7,), (4, 7), (8,))]
    demo = Demo("lift", 0, True, closure.sha256(scene), "ab", scene, *arrays)
    back = Demo.from_line(demo.to_line())
    assert back.scene == scene
    assert all(np.array_equal(a, b) for a, b in zip(arrays, (back.executed, back.chunks, back.states), strict=True))


# --- frames --------------------------------------------------------------------------------------------------------


def test_frames_are_what_a_policy_sees(store: DemoStore, tmp_path: Path) -> None:
    plan = frames.FramePlan(image_size=64, wrist_size=32, stride=4)
    frames.render_all(store, tmp_path, plan, workers=0)
    found = frames.load(tmp_path)
    demos = list(store)
    assert len(found) == sum(-(-len(demo) // 4) for demo in demos)
    demo = demos[0]
    assert demo.scene is not None
    first = [i for i in range(len(found)) if np.array_equal(found.state[i], demo.states[0])]
    assert len(first) == 1
    world = World("standard")
    world.reset(demo.scene)
    observation = world.observation(64)
    assert np.array_equal(found.image[first[0]], observation.image)
    assert np.array_equal(found.wrist_image[first[0]], frames.shrink(observation.wrist_image, 32))
    assert np.array_equal(found.chunk[first[0]], demo.chunks[0])
    assert found.instructions[found.text[first[0]]] == demo.scene.instruction.text


def test_rendering_goes_on_where_it_was(store: DemoStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "SHARD", 2)
    made: list[str] = []
    monkeypatch.setattr(frames, "World", lambda quality: made.append(quality) or World(quality))
    frames._world.cache_clear()
    plan = frames.FramePlan(image_size=64, wrist_size=32, stride=8)
    frames.render_all(store, tmp_path, plan, workers=0)
    whole = frames.load(tmp_path)
    (tmp_path / "frames-00001.npz").unlink()
    (tmp_path / "frames-00001.part").write_bytes(b"torn")
    with pytest.raises(RunFolderError, match="frames are missing"):
        frames.load(tmp_path)
    kept = (tmp_path / "frames-00000.npz").stat().st_mtime_ns
    frames.render_all(store, tmp_path, plan, workers=0)
    assert (tmp_path / "frames-00000.npz").stat().st_mtime_ns == kept
    assert np.array_equal(frames.load(tmp_path).image, whole.image)
    assert len(made) == 1, "one world for all shards"
    with pytest.raises(RunFolderError, match="other demonstrations or sizes"):
        frames.render_all(store, tmp_path, frames.FramePlan(image_size=128, wrist_size=32), workers=0)


def test_longer_chunks_than_were_recorded_are_refused(store: DemoStore, tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="chunks of 8 actions, not 16"):
        frames.render_all(store, tmp_path, frames.FramePlan(chunk=16), workers=0)


def test_shrinking_averages_blocks() -> None:
    picture = np.zeros((4, 4, 3), np.uint8)
    picture[:2, :2] = [[[0] * 3, [100] * 3], [[200] * 3, [100] * 3]]
    assert frames.shrink(picture, 2)[0, 0].tolist() == [100, 100, 100]
    with pytest.raises(Exception, match="cannot be shrunk to 3"):
        frames.shrink(picture, 3)
