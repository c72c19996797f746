"""A run that is what it says passes; whatever was changed, here or there, is named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from oodbench.errors import OodbenchError
from oodbench.run import provenance, records, trace
from oodbench.run.runner import evaluate
from oodbench.run.verify import verify

pytestmark = pytest.mark.xdist_group("verify")  # one worker makes what they share

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
    uri = {"expert": "expert", "net": f"{runs / 'net.py'}:Net"}[name]
    report = verify(runs / name, None, policy=uri)
    assert report.findings == [], said(report)
    assert report.checked == report.from_actions == report.from_policy == 4
    assert report.counts == {"same bits": 4, "same episode": 0, "another episode": 0}
    assert report.passed
    size = sum(path.stat().st_size for path in (runs / name / "traces").glob("*.bin"))
    assert size < 4 * 7000


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
        ({"closure_sha256": "0" * 64}, "another scene"),
    ],
)
def test_a_tampered_record_is_named(copy, change, says):
    edit(copy, **change)
    report = verify(copy, None)
    name = "put-on/none/0/0"
    assert says in said(report)
    assert all(finding.where == name for finding in report.findings)


def test_another_mujoco_is_named_and_the_episodes_decide(copy, monkeypatch):
    monkeypatch.setattr(provenance, "versions", lambda: {"oodbench": "0.1.0", "mujoco": "3.9.1", "numpy": "1.26.4"})
    report = verify(copy, 1)
    text = " | ".join(f"{note.where}: {note.what}" for note in report.notes)
    assert "the run was made with mujoco 3.9.0, here is 3.9.1" in text
    assert report.passed


def rewrite(run: Path, change) -> str:
    """Change the first trace of a run: change(actions, states, positions). Returns the episode's name."""
    kept = dict(trace.read(run))
    for path in (run / "traces").glob("*.bin"):
        path.unlink()
    by_key = {r.key: r for r in records.read(run / "episodes.jsonl")}
    writer = trace.TraceWriter(run)
    for number, (key, old) in enumerate(kept.items()):
        tape = trace.Tape(list(old.actions.copy()), list(old.states), list(old.positions.copy()))
        if number == 0:
            change(tape)
            name = f"{key[0]}/{key[1]}/{key[2]:g}/{key[3]}"
        writer.write(by_key[key], tape)
    writer.close()
    return name


def nudge(by: float):
    def change(tape: trace.Tape) -> None:
        tape.actions[20][0] += by

    return change


def scramble(tape: trace.Tape) -> None:
    tape.states[30] = b"0000"


def test_the_three_verdicts(copy, cli):
    assert {r.verdict for r in verify(copy, None).verdicts.values()} == {"same bits"}

    name = rewrite(copy, scramble)
    report = verify(copy, None)
    assert report.counts == {"same bits": 3, "same episode": 1, "another episode": 0}
    found = report.verdicts[name]
    assert (found.verdict, found.millimetres, found.step) == ("same episode", 0.0, 31)
    assert report.passed
    assert report.findings == []

    name = rewrite(copy, nudge(-1e-9))
    found = verify(copy, None).verdicts[name]
    assert (found.verdict, found.step) == ("same episode", 21)
    assert found.millimetres is not None
    assert 0.0 <= found.millimetres < 1.0
    assert "the simulator's state differs from step 21 on, by at most" in found.differences[0]

    done = cli("verify", copy, "--all", "--json")
    assert done.returncode == 0, done.stderr
    said_ = json.loads(done.stdout)
    assert said_["verdicts"] == {"same bits": 3, "same episode": 1, "another episode": 0}
    assert said_["episodes"][name]["step"] == 21

    name = rewrite(copy, nudge(-0.9))
    report = verify(copy, None)
    found = report.verdicts[name]
    assert (found.verdict, found.step) == ("another episode", 21)
    assert found.millimetres is not None
    assert found.millimetres > 5.0
    assert "(more than 5 from step 30 on)" in said(report)
    assert not report.passed


def test_an_episode_near_the_recorded_one_with_another_outcome_is_another(copy):
    name = rewrite(copy, scramble)
    lines = [json.loads(line) for line in (copy / "episodes.jsonl").read_text().splitlines()]
    for line in lines:
        line["stages"] = dict.fromkeys(line["stages"], None)
    (copy / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    report = verify(copy, None)
    assert report.verdicts[name].verdict == "another episode"
    assert "stages is ['" in said(report)


def test_without_positions_only_bits_count(copy):
    rewrite(copy, lambda tape: (scramble(tape), tape.positions.clear()))
    assert "the trace has no positions to say how far" in said(verify(copy, None))


def test_where_a_policy_acts_differently_is_named(runs):
    report = verify(runs / "net", 1, policy=f"{runs / 'net.py'}:Net?seed=1")
    assert "from the policy: it acts differently from step 1 on" in said(report)


@pytest.mark.slow
def test_a_policy_that_throws_dice_is_measured_against_itself(runs, tmp_path):
    evaluate(f"{runs / 'net.py'}:Dice", "quick", out=tmp_path / "dice", **CHOSEN)
    uri = f"{runs / 'net.py'}:Dice"
    report = verify(tmp_path / "dice", None, policy=uri, aa=True)
    assert report.floor == report.checked == 4
    assert verify(runs / "net", 2, policy=f"{runs / 'net.py'}:Net", aa=True).floor == 0
    with pytest.raises(OodbenchError, match="--policy URI"):
        verify(runs / "net", 2, aa=True)


def test_a_trace_that_was_cut_short_is_left_out(copy):
    path = next((copy / "traces").glob("*.bin"))
    path.write_bytes(path.read_bytes()[:-100])
    assert len(trace.read(copy)) == 3
    report = verify(copy, None)
    assert report.from_actions == 3


@pytest.mark.slow
def test_the_command_says_so_and_a_run_is_repeated_from_its_folder(runs, cli, copy):
    done = cli("verify", runs / "expert", "--sample", 2)
    assert done.returncode == 0, done.stderr
    assert "everything is as recorded" in done.stdout
    edit(copy, success=False)
    done = cli("verify", copy, "--all")
    assert done.returncode == 1
    assert "put-on/none/0/0" in done.stdout
    done = cli("run", "--from", runs / "expert", "--policy", "expert", "--out", "again", "--quiet")
    assert done.returncode == 0, done.stderr
    first, again = (
        {r.key: r.outcome_sha256 for r in records.read(path / "episodes.jsonl")}
        for path in (runs / "expert", Path(copy.parent) / "again")
    )
    assert first == again
    assert "say what to play" in cli("run").stderr
    assert "no suite and no choice" in cli("run", "quick", "--from", runs / "expert").stderr
