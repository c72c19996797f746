"""What stands on the leaderboard was executed: an entry that was tampered with is refused, and why."""

from __future__ import annotations

import json
import shutil

import pytest

from oodbench.errors import OodbenchError
from oodbench.leaderboard import entry as entries
from oodbench.leaderboard.validate import validate
from oodbench.run.runner import evaluate
from oodbench.suite import SUITES

from .conftest import ROOT, rewrite, sign


def refusals(folder, replays=0) -> list[str]:
    (check,) = validate([folder], replays)
    return check.refused


def edit(folder, *keys, to):
    """Change a value in run.json, with the hash that fits."""
    info = json.loads((folder / "run.json").read_text())
    part = info
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    (folder / "run.json").write_text(json.dumps(info))
    sign(folder)


def swap(kept, i, **changes):
    return [record.model_copy(update=changes) if n == i else record for n, record in enumerate(kept)]


@pytest.mark.slow
def test_every_entry_of_the_repository_stands():
    """Without the replay, which `make leaderboard` does for all; see the next test."""
    for check in validate(entries.entries(ROOT), 0):
        assert check.refused == [], check.path


def test_an_entry_is_played_again_from_its_actions():
    (check,) = validate([ROOT / "expert" / "core-1"], 8)
    assert (check.refused, check.replayed) == ([], 8)


def test_an_edited_outcome(copy):
    folder, kept = copy("expert-noisy")
    lost = next(i for i, record in enumerate(kept) if not record.success)
    (folder / entries.EPISODES).write_bytes(b"0" + (folder / entries.EPISODES).read_bytes())
    assert refusals(folder)[0].endswith("not episode records") or "cannot be read" in refusals(folder)[0]
    rewrite(folder, swap(kept, lost, success=True))
    assert "success is True, but the protocol's reading (settled) is False" in refusals(folder)[0]
    rewrite(folder, swap(kept, lost, success=True, settled=True))
    assert "success is True, but its failure is" in refusals(folder)[0]


def test_edited_outcomes_that_fit_together_are_found_by_replaying(copy):
    """Whoever turns failures into successes changes which episodes are drawn, and has no actions that succeed there."""
    folder, kept = copy("expert-noisy")
    made_up = {"success": True, "settled": True, "final": True, "failure": None}
    better = [record if record.success else record.model_copy(update=made_up) for record in kept]
    rewrite(folder, better)
    assert "differs from step 1 on" in refusals(folder, replays=3)[0]


def test_a_changed_file(copy):
    folder, _ = copy()
    (folder / "run.json").write_text((folder / "run.json").read_text() + "\n")
    assert refusals(folder) == ["run.json was changed after the entry was made (its hash does not fit)"]


def test_a_wrong_hash_and_a_file_too_many_or_too_few(copy):
    folder, _ = copy()
    text = (folder / entries.INFO).read_text()
    known = entries.read_about(folder / entries.INFO).hashes[entries.EPISODES]
    (folder / entries.INFO).write_text(text.replace(known, "0" * 64))
    assert "episodes.jsonl.zst was changed" in refusals(folder)[0]
    (folder / entries.INFO).write_text(text)
    (folder / "notes.txt").write_text("hello")
    assert "notes.txt is none of the files" in refusals(folder)[0]
    (folder / "notes.txt").unlink()
    (folder / "traces" / "sample.bin").unlink()
    assert "traces/sample.bin is missing" in refusals(folder)[0]


def test_hard_episodes_left_out(copy):
    folder, kept = copy("expert-noisy")
    rewrite(folder, [record for record in kept if record.success])
    assert "episodes were left out: " in refusals(folder)[0]


def test_a_whole_cell_left_out_leaves_it_unranked(copy):
    folder, kept = copy("expert-noisy")
    rewrite(folder, [record for record in kept if record.shift != "visual.noise"])
    (check,) = validate([folder], 0)
    assert check.refused == []
    assert not check.complete
    assert all("visual.noise" in cell for cell in check.missing)


def test_a_renamed_suite(copy):
    folder, _ = copy()
    edit(folder, "suite", "content", "name", to="core-2")
    assert "no suite is named 'core-2'; did it mean 'core-1'?" in refusals(folder)


def test_another_suite_under_the_name(copy):
    folder, _ = copy()
    info = json.loads((folder / "run.json").read_text())
    info["suite"]["content"]["cells"][0]["episodes"] = 10
    (folder / "run.json").write_text(json.dumps(info))
    sign(folder)
    assert refusals(folder)[0] == "the content of its suite does not have the hash that is written beside it"
    changed = SUITES.get("core-1").model_copy(update={"cells": SUITES.get("core-1").cells[:1]})
    edit(folder, "suite", "content", to=changed.model_dump(mode="json"))
    edit(folder, "suite", "sha256", to=changed.sha256)
    assert "its suite is not core-1 v1" in refusals(folder)[0]


def test_an_extra_episode(copy):
    folder, kept = copy()
    rewrite(folder, [*kept, kept[0].model_copy(update={"seed": 31})])
    assert "/31 is no episode of the suite" in refusals(folder)[0]


def test_an_episode_twice(copy):
    folder, kept = copy()
    rewrite(folder, [*kept, kept[0]])
    assert "is there 2 times" in refusals(folder)[0]


def test_another_horizon(copy):
    folder, kept = copy("expert-noisy")
    rewrite(folder, swap(kept, 5, steps=5000))
    assert "5000 steps, the horizon is" in refusals(folder)[0]


def test_another_protocol_and_real_time(copy):
    folder, _ = copy()
    edit(folder, "protocol", "success", to="ever")
    assert "it was played by another protocol than the suite's" in refusals(folder)
    edit(folder, "protocol", "success", to="settled")
    edit(folder, "real_time", to=True)
    assert "it was played with --real-time: its outcomes depend on the machine" in refusals(folder)


def test_other_versions_and_assets(copy):
    folder, _ = copy()
    edit(folder, "versions", "mujoco", to="3.2.0")
    assert "it was played with mujoco 3.2.0; the board is of 3.9.0" in refusals(folder)
    edit(folder, "versions", "mujoco", to="3.9.0")
    edit(folder, "assets_sha256", to="0" * 64)
    assert "it was played with other tasks, assets or robots" in refusals(folder)


def test_another_scene(copy):
    folder, kept = copy()
    rewrite(folder, [record.model_copy(update={"scene_sha256": "ab" * 32}) for record in kept])
    assert "was played in another scene" in refusals(folder)[0]


def test_errors_that_were_left_in(copy):
    folder, kept = copy()
    rewrite(folder, swap(kept, 3, success=None))
    assert "ended in an error" in refusals(folder)[0]


def test_a_privileged_contestant(copy):
    folder, _ = copy()
    about = folder / entries.INFO
    about.write_text(about.read_text().replace('row = "control"', 'row = "checkpoint"'))
    assert "its policy sees the true state; only a control may" in refusals(folder)


def test_better_than_the_expert(copy):
    worse, kept = copy("expert")
    losing = {"success": False, "settled": False, "final": False, "failure": "dropped"}
    rewrite(worse, [record.model_copy(update=losing) for record in kept])
    folder, _ = copy("expert-noisy")
    (_, check) = validate([worse, folder], 0)
    assert "it is better than the expert by" in check.refused[0]


def test_a_copy_of_another_entry(copy):
    first, _ = copy("expert-noisy")
    second = first.parent.with_name("mine") / "core-1"
    shutil.copytree(first, second)
    text = (second / entries.INFO).read_text().replace('name = "expert-noisy"', 'name = "mine"')
    (second / entries.INFO).write_text(text)
    (_, check) = validate([first, second], 0)
    assert check.refused == [f"its episodes are those of {first}"]


def test_an_entry_under_another_name_and_one_that_says_too_little(copy):
    folder, _ = copy()
    other = folder.parent.with_name("somebody") / "core-1"
    shutil.copytree(folder, other)
    assert "the folder is somebody, the entry's name is expert" in refusals(other)
    about = folder / entries.INFO
    about.write_text(about.read_text().replace('"*" = "unseen"', '"visual.*" = "unseen"'))
    assert "does not declare whether" in refusals(folder)[0]
    about.write_text(about.read_text().replace("licence", "license"))
    assert "licence: Field required" in refusals(folder)[0]


def test_a_sample_that_was_chosen(copy):
    folder, _ = copy("expert-noisy")
    shutil.rmtree(folder / "traces")
    shutil.copytree(ROOT / "expert" / "core-1" / "traces", folder / "traces")
    sign(folder)
    assert "are not those that are drawn by the hash of its outcomes" in refusals(folder)[0]


def test_the_command_says_which_and_why(copy, cli):
    folder, kept = copy("expert-noisy")
    rewrite(folder, [record for record in kept if record.success])
    done = cli("leaderboard", "validate", folder, "--replays", 0)
    assert done.returncode == 1
    assert "expert-noisy/core-1: refused: episodes were left out" in done.stdout


@pytest.mark.slow
def test_a_run_becomes_an_entry(tmp_path, cli):
    """From the run, through the form that is to be filled in, to an entry that stands, with films, and can be seen."""
    evaluate("replay", "think-1", out=tmp_path / "run", workers=2, tasks=["think-shape", "think-arrow"])
    done = cli("submit", "run")
    assert done.returncode == 2
    assert "fill in run/entry.toml" in done.stderr
    form = tmp_path / "run" / "entry.toml"
    form.write_text(form.read_text().replace('row = "checkpoint"', 'row = "control"'))
    done = cli("submit", "run", "--info", form, "--root", "entries")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unranked: 9 cells" in done.stdout
    (check,) = validate([tmp_path / "entries" / "replay" / "think-1"])
    assert check.refused == []
    assert check.replayed == 6
    assert list((check.path / "videos").glob("*.mp4"))
    info = (check.path / "run.json").read_text()
    assert str(tmp_path) not in info, "no path of the machine"


def test_a_run_that_is_not_fit_is_refused(tmp_path, cli, policy_file):
    chosen = {"tasks": ["think-shape"], "workers": 0, "limit": 2}
    evaluate("no-op", "think-1", out=tmp_path / "bare", traces=False, **chosen)
    about = entries.read_about(ROOT / "no-op" / "think-1" / entries.INFO)
    with pytest.raises(OodbenchError, match="was played with --no-traces"):
        entries.submit(tmp_path / "bare", about, tmp_path / "entries")
    evaluate("no-op", "think-1", out=tmp_path / "half", **chosen)
    lines = (tmp_path / "half" / "episodes.jsonl").read_text().splitlines()
    (tmp_path / "half" / "episodes.jsonl").write_text(lines[0] + "\n")
    with pytest.raises(OodbenchError, match="1 of 2 episodes were played"):
        entries.submit(tmp_path / "half", about, tmp_path / "entries")
    assert not list((tmp_path / "entries").rglob("*.zst"))


def test_fresh_scenes_are_other_scenes_of_the_same_cells():
    public = SUITES.get("think-1")
    fresh = public.model_copy(update={"fresh": "salt"})
    assert public.sha256 != fresh.sha256
    a, b = public.plan()[0], fresh.plan()[0]
    assert a.key == b.key
    assert a.scene(public).sha256 != b.scene(fresh).sha256
