"""LeRobot policies of the real library behind lerobot://, and oodbench inside the real lerobot-eval."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import PolicyError
from oodbench.observation import Snapshot
from oodbench.policies.loading import load_policy
from oodbench.run.runner import evaluate

from .conftest import INFO

ROOT = Path(__file__).parents[2]
ENV = ROOT / ".venv-lerobot"
pytestmark = [
    pytest.mark.lerobot,
    pytest.mark.skipif(not (ENV / ".ready").exists(), reason=f"no {ENV.name}; make it with: make lerobot-env"),
]


def run(*command: object) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lerobot")
    run(ENV / "bin" / "python", ROOT / "tests" / "lerobot_env" / "make_policies.py", folder)
    return folder


@pytest.mark.parametrize("name", ["act", "diffusion"])
def test_actions_are_those_of_the_library(made, name):
    expected = np.load(made / "expected.npz")
    policy = load_policy(f"lerobot://{made / name}?env={ENV}").make()
    try:
        assert policy.spec.image_size == 64
        assert policy.spec.execute == (4 if name == "act" else 1)
        assert policy.metadata["lerobot_type"] == name
        policy.reset(INFO)  # whose seed is 5, as there
        seen = Snapshot({key: expected[key] for key in ("image", "wrist_image")}, expected["state"], "lift the mug")
        found = []
        while len(found) < len(expected[name]):
            found.extend(policy.act(seen)[: policy.spec.execute])
    finally:
        policy.close()
    assert np.array_equal(np.array(found[: len(expected[name])], np.float32), expected[name])
    assert policy._server.poll() is not None, "its process ends with it"


def test_a_lerobot_policy_is_scored(made, tmp_path):
    chosen = {"tasks": ["put-on"], "shifts": ["none"], "limit": 1, "workers": 1}
    record = evaluate(f"lerobot://{made / 'act'}?env={ENV}", "smoke", out=tmp_path, **chosen).records()[0]
    assert record.error is None
    assert record.steps > 50
    assert json.loads((tmp_path / "run.json").read_text())["policy"]["metadata"]["lerobot_type"] == "act"


def test_what_is_no_lerobot_policy_is_said_in_one_line(tmp_path):
    with pytest.raises(PolicyError, match="cannot be loaded as a LeRobot policy"):
        load_policy(f"lerobot://{tmp_path}?env={ENV}").make()
    with pytest.raises(PolicyError, match="oodbench lerobot-env"):
        load_policy(f"lerobot://{tmp_path}?env={tmp_path}").make()


def test_lerobot_eval_runs_oodbench(made, tmp_path):
    options = {
        "policy.path": made / "act", "policy.device": "cpu", "env.type": "oodbench", "env.task": "lift",
        "env.shift": "visual.light-intensity@3", "env.size": 64, "eval.n_episodes": 1, "eval.batch_size": 1, "seed": 7,
        "output_dir": tmp_path,
    }  # fmt: skip
    run(ENV / "bin" / "python", "-m", "lerobot.scripts.lerobot_eval", *(f"--{k}={v}" for k, v in options.items()))
    overall = json.loads((tmp_path / "eval_info.json").read_text())["overall"]
    assert overall["n_episodes"] == 1
    assert overall["pc_success"] == 0.0, "weights are random"
