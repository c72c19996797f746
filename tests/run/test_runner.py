"""A run is the same whatever the workers, the order and the accidents; nothing that was played is lost or doubled."""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oodbench.errors import OodbenchError, RunFolderError, SpecError
from oodbench.run import folder as folder_module
from oodbench.run import records
from oodbench.run.pool import Job, Setup, play_all
from oodbench.run.runner import evaluate
from oodbench.suite import SUITES
from oodbench.task import Task

PART = {
    "tasks": ["put-on"],
    "shifts": ["execution.object-pose", "execution.action-latency", "visual.camera-pose"],
    "limit": 1,
}
EPISODES = 12  # nine cells, and their scenes in-distribution


def _outcomes(folder):
    kept = records.read(folder / "episodes.jsonl")
    return {r.key: (r.success, r.closure_sha256, r.outcome_sha256, r.steps, r.instruction) for r in kept}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The part of quick played in this process."""
    folder = evaluate("expert", "quick", out=tmp_path_factory.mktemp("ref") / "run", workers=0, **PART)
    return _outcomes(folder.path)


@pytest.mark.slow
def test_every_planned_episode_is_recorded_once_with_what_users_need(tmp_path, reference):
    folder = evaluate("expert", "quick", out=tmp_path / "run", workers=1, **PART)
    lines = (folder.path / "episodes.jsonl").read_text().splitlines()
    assert len(lines) == len(reference) == EPISODES
    for line in map(json.loads, lines):
        assert {"task", "shift", "severity", "seed", "closure_sha256", "success", "stages", "steps"} <= set(line)
        assert line["success"] is True
        assert line["error"] is None
    info = json.loads((folder.path / "run.json").read_text())
    assert info["status"] == "complete"
    assert info["plan"]["episodes"] == EPISODES
    assert len((folder.path / "plan.jsonl").read_text().splitlines()) == EPISODES
    assert info["versions"]["mujoco"] == "3.9.0"
    assert info["gl"]["renderer"]
    assert info["policy"]["uri"] == "expert"
    assert info["policy"]["privileged"] is True
    assert info["policy"]["spec"]["execute"] == 1


@pytest.mark.slow
def test_two_workers_and_another_order_give_the_same_outcomes(tmp_path, reference):
    suite = SUITES.get("quick")
    plan = evaluate("expert", "quick", out=tmp_path / "run", workers=2, **PART)
    assert _outcomes(plan.path) == reference
    from oodbench.run.runner import choose

    episodes = choose(suite, limit=1, tasks=PART["tasks"], shifts=PART["shifts"], seed_offset=0)
    jobs = [Job(episode) for episode in reversed(episodes)]
    shuffled = play_all(Setup("expert", suite), jobs, 2, 60, lambda facts: None)
    assert {
        r.key: (r.success, r.closure_sha256, r.outcome_sha256, r.steps, r.instruction) for r in shuffled
    } == reference


@pytest.mark.slow
def test_kill_9_and_resume(tmp_path, reference):
    """The main process is killed in mid-run; its workers go too; the same command plays only what is missing."""
    out = tmp_path / "run"
    command = [sys.executable, "-m", "oodbench", "run", "quick", "--policy", "expert", "--out", str(out), "--quiet"]
    command += ["--task", "put-on", "--limit", "1", *itertools.chain(*(("--shift", name) for name in PART["shifts"]))]
    process = subprocess.Popen([*command, "--workers", "2"])
    _wait_for(lambda: out.joinpath("episodes.jsonl").exists() and len(records.read(out / "episodes.jsonl")) >= 3)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _wait_for(lambda: not any(_alive(pid) for pid in workers))
    before = (out / "episodes.jsonl").read_text()
    done = len(before.splitlines())
    assert 3 <= done < 10
    with (out / "episodes.jsonl").open("a") as file:  # and the last write was torn
        file.write('{"task": "put-on", "shi')
    subprocess.run([*command, "--workers", "1"], check=True)
    after = (out / "episodes.jsonl").read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == EPISODES
    assert _outcomes(out) == reference


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path, policy_file):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "oodbench", "run", "quick", "--policy", f"{policy_file}:Slow", "--out", str(out)]
    process = subprocess.Popen(
        [*command, "--workers", "1"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )  # fmt: skip
    _wait_for(lambda: out.joinpath("episodes.jsonl").exists() and len(records.read(out / "episodes.jsonl")) >= 1)
    process.send_signal(signal.SIGINT)
    _, complaint = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "--out" in complaint
    assert "Traceback" not in complaint
    assert len(records.read(out / "episodes.jsonl")) >= 1
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(("how", "says"), [("exit", "code 7"), ("segv", "SIGSEGV")])
def test_a_crashed_worker_is_replaced_and_its_episode_played_again(tmp_path, policy_file, how, says):
    folder = evaluate(f"{policy_file}:Once?how={how}", "quick", out=tmp_path / "run", workers=1, **PART)
    kept = folder.records()
    assert len(kept) == EPISODES
    assert [r.error for r in kept] == [None] * EPISODES
    assert sorted(r.attempts for r in kept) == [1] * (EPISODES - 1) + [2]


@pytest.mark.slow
def test_a_policy_that_always_crashes_is_an_error_not_a_failure(tmp_path, policy_file):
    policy_file.write_text(policy_file.read_text().replace("flag.touch()", "pass"))
    small = {**PART, "shifts": ["execution.robot-init"]}
    folder = evaluate(f"{policy_file}:Once?how=exit", "quick", out=tmp_path / "run", workers=2, **small)
    for record in folder.records():
        assert record.success is None
        assert "exited with code 7" in record.error
        assert record.attempts == 2


@pytest.mark.slow
def test_a_hanging_policy_is_stopped_by_the_watchdog(tmp_path, policy_file):
    small = {**PART, "shifts": ["none"]}
    policy_file.write_text(policy_file.read_text().replace("flag.touch()", "pass"))
    folder = evaluate(f"{policy_file}:Once?how=hang", "quick", out=tmp_path / "run", workers=1, timeout=2.0, **small)
    (record,) = folder.records()
    assert record.success is None
    assert "2 s" in record.error


def test_exceptions_are_recorded_with_their_place_and_retried_on_demand(tmp_path, policy_file):
    small = {**PART, "shifts": ["none"]}
    uri = f"{policy_file}:boom"
    folder = evaluate(uri, "quick", out=tmp_path / "run", workers=0, **small)
    (record,) = folder.records()
    assert record.success is None
    assert "RuntimeError: the lens fell off (policies.py:" in record.error
    evaluate(uri, "quick", out=tmp_path / "run", workers=0, **small)
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 1, "errors are kept"
    evaluate(uri, "quick", out=tmp_path / "run", workers=0, retry_errors=True, **small)
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 2
    assert len(folder.records()) == 1, "the last one counts"


def test_a_run_of_nothing_but_errors_stops_early(tmp_path, policy_file):
    with pytest.raises(OodbenchError, match=r"first 8 episodes all ended in errors.*lens fell off"):
        evaluate(f"{policy_file}:boom", "quick", out=tmp_path / "run", workers=0)
    assert len(records.read(tmp_path / "run" / "episodes.jsonl")) == 8


def test_two_processes_cannot_write_to_one_folder(tmp_path, policy_file):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "oodbench", "run", "quick", "--policy", f"{policy_file}:Slow", "--out", str(out)]
    process = subprocess.Popen([*command, "--workers", "1", "--quiet"])
    try:
        _wait_for(lambda: (out / "run.json").exists())
        with pytest.raises(RunFolderError, match=f"pid {process.pid}"):
            evaluate(f"{policy_file}:Slow", "quick", out=out)
    finally:
        process.kill()
        process.wait()


def test_a_full_disk_is_one_clear_error_and_keeps_what_is_there(tmp_path, monkeypatch):
    real, written = records.append, []

    def full(file, record):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(record)
        real(file, record)

    monkeypatch.setattr(records, "append", full)
    with pytest.raises(RunFolderError, match=r"No space left on device.*repeat the command"):
        evaluate("no-op", "quick", out=tmp_path / "run", workers=0, **PART)
    monkeypatch.undo()
    folder = evaluate("no-op", "quick", out=tmp_path / "run", workers=0, **PART)
    assert len((folder.path / "episodes.jsonl").read_text().splitlines()) == EPISODES


def test_a_changed_policy_file_does_not_go_on_with_the_old_run(tmp_path, policy_file):
    small = {**PART, "shifts": ["none"]}
    evaluate(f"{policy_file}:still", "quick", out=tmp_path / "run", workers=0, **small)
    policy_file.write_text(policy_file.read_text() + "\n# better now\n")
    with pytest.raises(RunFolderError, match="another policy files"):
        evaluate(f"{policy_file}:still", "quick", out=tmp_path / "run", workers=0, **small)


@pytest.mark.parametrize("named", ["model.pt", "checkpoint/weights.bin"])
def test_a_changed_checkpoint_does_not_go_on_with_the_old_run(tmp_path, named):
    source, weights = tmp_path / "mine.py", tmp_path / named
    source.write_text(
        "import numpy as np\nclass P:\n    def __init__(self, at): pass\n    def reset(self, episode): pass\n"
        "    def act(self, observation): return np.zeros((8, 7))\n"
    )
    weights.parent.mkdir(exist_ok=True)
    weights.write_text("one")
    uri = f"{source}:P?at={tmp_path / named.split('/')[0]}"
    how = {"out": tmp_path / "run", "workers": 0, "tasks": ["lift"], "shifts": ["none"], "limit": 1}
    evaluate(uri, "quick", **how)
    evaluate(uri, "quick", **how)
    weights.write_text("two")
    with pytest.raises(RunFolderError, match="another policy files"):
        evaluate(uri, "quick", **how)


def test_damage_in_the_middle_of_the_records_is_named(tmp_path):
    folder = evaluate("no-op", "quick", out=tmp_path / "run", workers=0, **PART)
    path = folder.path / "episodes.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], '{"task": 1', *lines[5:]]) + "\n")
    with pytest.raises(RunFolderError, match=r"episodes\.jsonl:5"):
        records.read(path)


@pytest.mark.slow
def test_seed_offset_plays_other_scenes_of_the_same_cells(tmp_path, reference):
    folder = evaluate("no-op", "quick", out=tmp_path / "run", workers=0, seed_offset=1000, **PART)
    keys = {r.key for r in folder.records()}
    assert {key[:3] for key in keys} == {key[:3] for key in reference}
    assert {key[3] for key in keys} == {1000 + key[3] for key in reference}


def test_a_composed_shift_can_be_asked_for(tmp_path):
    spec = "visual.lighting@3+execution.action-latency@2"
    folder = evaluate("no-op", "quick", out=tmp_path / "r", workers=0, limit=1, tasks=["stack"], shifts=[spec])
    kept = folder.records()
    assert {(r.shift, r.axis) for r in kept} == {("none", "id"), (spec, "combined")}


@pytest.mark.slow
def test_video_is_playable_and_named_in_the_record(tmp_path):
    import imageio.v2 as imageio

    folder = evaluate(
        "no-op", "quick", out=tmp_path / "r", workers=1, limit=2, tasks=["stack"], shifts=["none"], video=1
    )
    filmed = [r for r in folder.records() if r.video]
    assert len(filmed) == 1
    frames = imageio.mimread(folder.path / filmed[0].video, memtest=False)
    assert frames[0].shape == (256, 512, 3)
    assert len(frames) > 50


@pytest.mark.slow
def test_replay_repeats_an_episode_bit_for_bit(tmp_path, cli):
    chosen = {"limit": 1, "tasks": ["put-on"], "shifts": ["visual.lighting"]}
    kept = evaluate("expert", "quick", out=tmp_path / "r", workers=0, **chosen).records()
    name = f"put-on/visual.lighting/3/{kept[0].seed}"
    shown = cli("replay", "r", "--episode", name, "--save-scene", "scene.json")
    assert shown.returncode == 0, shown.stderr
    assert "bit for bit" in shown.stdout
    again = cli("replay", "scene.json", "--out", "again.mp4")
    assert "success" in again.stdout
    wrong = cli("replay", "r", "--episode", name.replace("lighting", "lightning"))
    assert wrong.returncode == 2
    assert name in wrong.stderr


def _wait_for(condition, seconds=90.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def _children(pid):
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("envs", [1, 2])
def test_a_scene_that_cannot_be_made_is_an_error_of_its_episode(tmp_path, monkeypatch, envs):
    """The run goes on, is complete, and can be taken up later, with that episode or without it."""
    sample = Task.sample
    chosen = {"tasks": ["lift"], "shifts": ["none"], "limit": 4, "workers": 0, "envs": envs, "out": tmp_path / "run"}

    def crowded(self, seed, *args, **kwargs):
        if seed == 1:
            raise SpecError("task 'lift': the regions of its roles leave no room")
        return sample(self, seed, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "sample", crowded)
        folder = evaluate("no-op", "quick", **chosen)
        errors = {record.seed: record.error for record in folder.records()}
        assert folder.info.status == "complete"
        assert len(evaluate("no-op", "quick", **chosen).records()) == 4, "nothing is played twice"
    assert sorted(errors) == [0, 1, 2, 3]
    assert "leave no room" in errors.pop(1)
    assert not any(errors.values())
    again = evaluate("no-op", "quick", retry_errors=True, **chosen).records()
    assert [record.error for record in again if record.seed == 1][-1] is None


def test_a_run_says_where_it_cannot_be_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_module, "fcntl", None)  # as on Windows
    with pytest.raises(RunFolderError, match="Linux or macOS"):
        evaluate("no-op", "quick", out=tmp_path, workers=0, tasks=["lift"], shifts=["none"], limit=1)
