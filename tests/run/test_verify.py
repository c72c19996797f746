"""A run that is what it says passes; whatever was changed, here or there, is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from oodbench.run import provenance, records, trace
from oodbench.run.runner import evaluate
from oodbench.run.verify import verify

TORCH = """
import numpy as np
import torch
from oodbench.policies import PolicySpec

class Net:
    '''A small network with fixed weights, on the picture and the state.'''
    spec = PolicySpec(image_size=32, cameras=("image",), execute=8)
    def __init__(self, seed=0):
        torch.manual_seed(seed)
        self.net = torch.nn.Sequential(torch.nn.Linear(32 * 32 * 3 + 8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 56))
    def reset(self, episode): pass
    @torch.inference_mode()
    def act(self, seen):
        x = torch.cat([torch.from_numpy(seen.image.astype("float32").ravel() / 255), torch.from_numpy(seen.state)])
        return self.net(x).tanh().view(8, 7)

class Dice:
    spec = PolicySpec(cameras=(), execute=8)
    def reset(self, episode): pass
    def act(self, seen):
        return np.random.default_rng().uniform(-0.3, 0.3, (8, 7))
"""
CHOSEN = {"tasks": ["put-on"], "shifts": ["visual.light-intensity", "execution.action-noise"], "limit": 1, "workers": 0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    (folder / "net.py").write_text(TORCH)
    evaluate("expert", "quick", out=folder / "expert", **CHOSEN)
    evaluate(f"{folder / 'net.py'}:Net", "quick", out=folder / "net", **CHOSEN)
    return folder


@pytest.fixture
def copy(runs, tmp_path):
    shutil.copytree(runs / "expert", tmp_path / "run")
    return tmp_path / "run"


def said(report) -> str:
    return " | ".join(f"{finding.where}: {finding.what}" for finding in report.findings)


@pytest.mark.parametrize("name", ["expert", "net"])
def test_a_run_is_what_it_says(runs, name):
    report = verify(runs / name, None)
    assert report.findings == [], said(report)
    assert report.checked == report.from_actions == report.from_policy == 3


def edit(run: Path, **change) -> None:
    path = run / "episodes.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= change
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"success": False}, "success is True, the record says False"),
        ({"steps": 3}, "the record says 3"),
        ({"outcome_sha256": "0" * 64}, "outcome_sha256 is"),
        ({"scene_sha256": "0" * 64}, "another scene"),
    ],
)
def test_a_tampered_record_is_named(copy, change, says):
    edit(copy, **change)
    report = verify(copy, None, with_policy=False)
    name = "put-on/none/0/0"
    assert says in said(report)
    assert all(finding.where == name for finding in report.findings)


def test_another_mujoco_and_changed_assets_are_named(copy, monkeypatch):
    monkeypatch.setattr(provenance, "versions", lambda: {"oodbench": "0.1.0", "mujoco": "3.9.1", "numpy": "1.26.4"})
    monkeypatch.setattr(provenance, "assets_sha256", lambda: "1" * 64)
    text = said(verify(copy, 1, with_policy=False))
    assert "the run was made with mujoco 3.9.0, here is 3.9.1" in text
    assert "assets: tasks, assets or the robot are not those of the run" in text


def test_the_first_step_that_differs_is_named(copy, runs, tmp_path):
    report = verify(copy, None)
    assert report.findings == []
    other = tmp_path / "net"
    shutil.copytree(runs / "net", other)
    info = json.loads((other / "run.json").read_text())
    info["policy"]["uri"] += "?seed=1"
    (other / "run.json").write_text(json.dumps(info))
    assert "from the policy: it acts differently from step 1 on" in said(verify(other, 1))
    kept = trace.read(other)
    key, first = next(iter(kept.items()))
    for path in (other / "traces").glob("*.bin"):
        path.unlink()
    writer = trace.TraceWriter(other)
    actions = first.actions.copy()
    actions[20, 0] += 0.01
    record = next(r for r in records.read(other / "episodes.jsonl") if r.key == key)
    writer.write(record, trace.Tape(list(actions), first.states))
    writer.close()
    assert "the simulator's state differs from step 21 on" in said(verify(other, None, with_policy=False))


@pytest.mark.slow
def test_a_policy_that_throws_dice_is_measured_against_itself(runs, tmp_path):
    evaluate(f"{runs / 'net.py'}:Dice", "quick", out=tmp_path / "dice", **CHOSEN)
    report = verify(tmp_path / "dice", None, with_policy=False, aa=True)
    assert report.floor == report.checked == 3
    assert verify(runs / "net", 2, with_policy=False, aa=True).floor == 0


def test_a_trace_that_was_cut_short_is_left_out(copy):
    path = next((copy / "traces").glob("*.bin"))
    path.write_bytes(path.read_bytes()[:-100])
    assert len(trace.read(copy)) == 2
    report = verify(copy, None, with_policy=False)
    assert report.from_actions == 2


@pytest.mark.slow
def test_the_command_says_so_and_a_run_is_repeated_from_its_folder(runs, cli, copy):
    done = cli("verify", runs / "expert", "--sample", 2)
    assert done.returncode == 0, done.stderr
    assert "everything is as recorded" in done.stdout
    edit(copy, success=False)
    done = cli("verify", copy, "--all", "--no-policy")
    assert done.returncode == 1
    assert "put-on/none/0/0" in done.stdout
    done = cli("run", "--from", runs / "expert", "--out", "again", "--quiet")
    assert done.returncode == 0, done.stderr
    first, again = (
        {r.key: r.outcome_sha256 for r in records.read(path / "episodes.jsonl")}
        for path in (runs / "expert", Path(copy.parent) / "again")
    )
    assert first == again
    assert "say what to play" in cli("run").stderr
    assert "no suite and no choice" in cli("run", "quick", "--from", runs / "expert").stderr
