"""The gymnasium environment, by gymnasium's own checker and under its vector environments."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import oodbench  # noqa: F401 (registers the environments)
from oodbench.paths import data_dir
from oodbench.task import TASKS


@pytest.mark.parametrize("task", TASKS.names())
def test_passes_gymnasiums_checker(task):
    env = gymnasium.make(f"oodbench/{task}-v1", shift="visual.lighting@3", size=64, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped)
    env.close()


@pytest.mark.slow
def test_runs_under_async_vector_env_with_the_scenes_of_a_single_one():
    def make():
        return gymnasium.make("oodbench:oodbench/put-on-v1", shift="execution.robot-init@2", size=32)

    vector = gymnasium.vector.AsyncVectorEnv([make, make], context="spawn")
    try:
        observations, infos = vector.reset(seed=[3, 4])
        assert observations["image"].shape == (2, 32, 32, 3)
        single = make()
        observation, info = single.reset(seed=4)
        assert np.array_equal(observations["image"][1], observation["image"])
        assert infos["closure_sha256"][1] == info["closure_sha256"]
        assert infos["closure_sha256"][0] != infos["closure_sha256"][1]
        actions = np.full((2, 7), 0.1, np.float32)
        stepped, *_ = vector.step(actions)
        assert np.array_equal(stepped["state"][1], single.step(actions[1])[0]["state"])
    finally:
        vector.close()


def test_truncates_at_the_horizon_and_says_why():
    env = gymnasium.make("oodbench/open-drawer-v1", size=32)
    env.reset(seed=0)
    truncated = False
    for _ in range(TASKS.get("open-drawer").horizon):
        *_, terminated, truncated, info = env.step(np.zeros(7, np.float32))
        assert not terminated
    assert truncated
    assert info["stages"]["grasped"] is None


def test_bad_arguments_are_refused():
    with pytest.raises(Exception, match=r"visual\.lighting"):
        gymnasium.make("oodbench/put-on-v1", shift="visual.lightning@3")


def test_a_task_in_a_file_has_an_environment(tmp_path):
    (tmp_path / "mine.toml").write_text((data_dir("tasks") / "put-on.toml").read_text())
    env = gymnasium.make("oodbench/task-v0", task=str(tmp_path / "mine.toml"), size=32)
    assert env.unwrapped.task.name == "mine"
    assert env.reset(seed=0)[0]["image"].shape == (32, 32, 3)
    env.close()
