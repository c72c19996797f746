"""What stands on the leaderboard was executed: an entry that was tampered with is refused, and why."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
import zstandard

from oodbench.errors import OodbenchError
from oodbench.leaderboard import entry as entries
from oodbench.leaderboard import pack, site
from oodbench.leaderboard.admission import draw
from oodbench.leaderboard.validate import validate
from oodbench.suite import SUITES

from .conftest import admit_unseen, rewrite, sign
from .editing import LOST, WON, admitted, edit, refusals, say, swap

ROOT = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"
pytestmark = pytest.mark.xdist_group("board")  # which takes a while to make up


@pytest.mark.parametrize("path", entries.entries(ROOT), ids=entries.key_of)
def test_every_entry_of_the_repository_stands(path):
    """Without the replay, which `make leaderboard` does for all."""
    (check,) = validate([path], 0)
    assert check.refused == [], "was it made by this version? `make controls` makes the controls' entries anew"
    assert check.admission, f"it is not admitted: oodbench leaderboard admit {path}"


# --- what was edited -------------------------------------------------------------------------------------------------


def test_an_entry_is_played_again_from_its_actions(copy):
    folder, kept = copy()
    (check,) = validate([folder], 4)
    assert (check.refused, check.replayed, check.admission) == ([], 4, None)
    assert len(kept) == 12


def test_an_edited_outcome(copy):
    folder, kept = copy()
    lost = next(i for i, record in enumerate(kept) if not record.success)
    rewrite(folder, swap(kept, lost, success=True))
    assert "success is True, but the protocol's reading (settled) is False" in refusals(folder)[0]
    rewrite(folder, swap(kept, lost, success=True, settled=True))
    assert "success is True, but its failure is" in refusals(folder)[0]
    (folder / entries.EPISODES).write_bytes(b"0" + (folder / entries.EPISODES).read_bytes())
    assert refusals(folder) == ["episodes.jsonl.zst was changed after the entry was made (its hash does not fit)"]
    sign(folder)
    assert "cannot be" in refusals(folder)[0]


def test_edited_outcomes_that_fit_together_are_found_by_replaying(copy):
    folder, kept = copy()
    rewrite(folder, [record.model_copy(update=WON) for record in kept])
    assert refusals(folder) == []
    assert "success is False, the record says True" in refusals(folder, replays=3)[0]


def test_the_draw_cannot_be_ground(copy):
    """Whoever fakes a part of the outcomes can change the file until a draw by its hash is favourable, since zstd skips
    frames of a certain kind. But what is drawn depends on a salt that comes afterwards."""
    folder, kept = copy()
    rewrite(folder, [record.model_copy(update=WON) if i >= 6 else record for i, record in enumerate(kept)])
    honest = [record.key for i, record in enumerate(kept) if i < 6]
    content = (folder / entries.EPISODES).read_bytes()
    for n in range(5000):  # the attack on a draw by the digest alone, without a salt
        skipped = struct.pack("<II", 0x184D2A50, 8) + struct.pack("<Q", n)
        (folder / entries.EPISODES).write_bytes(content + skipped)
        sign(folder)
        digest = entries.hashlib.sha256((folder / entries.INFO).read_bytes()).hexdigest()
        if set(draw([r.key for r in kept], digest, "", 3)) <= set(honest):
            break
    else:
        pytest.fail("grinding took too long to show anything")
    assert refusals(folder) == [], "it fits together"
    found = [any(refusals(folder, 3)) for _ in range(6)]
    assert any(found), "six draws of 3 of 12, of which 5 are faked, miss them all once in 10^7"
    check = admitted(folder, drawn=12)
    assert check.admission is None
    assert "from its actions" in check.refused[0]


def test_the_chance_of_finding_what_was_edited_is_as_stated():
    """Drawn of 5000 episodes, of which a share f is faked, n miss them all with a probability of (1 - f)^n."""
    keys = [("put-on", "none", 0.0, seed) for seed in range(5000)]
    for faked, stated in ((500, 0.994), (250, 0.915), (50, 0.383)):
        hits = [any(key[3] < faked for key in draw(keys, "digest", str(salt), 48)) for salt in range(60)]
        assert sum(hits) / 60 == pytest.approx(stated, abs=0.17)
        assert 1 - (1 - faked / 5000) ** 48 == pytest.approx(stated, abs=0.002)


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
    assert "'notes.txt' is none of the files that an entry holds" in refusals(folder)[0]
    (folder / "notes.txt").unlink()
    (folder / "traces.bin").unlink()
    assert "traces.bin is missing" in refusals(folder)[0]


def test_traces_that_are_not_those_that_were_promised(copy):
    folder, _ = copy()
    content = (folder / entries.TRACES).read_bytes()
    (folder / entries.TRACES).write_bytes(content[:-1])
    assert "does not hold the trace whose hash" in refusals(folder)[0]
    (folder / entries.TRACES).write_bytes(content + b"x")
    assert "holds more than the traces" in refusals(folder)[0]
    lines = (folder / entries.TRACE_HASHES).read_text().splitlines(keepends=True)
    (folder / entries.TRACES).write_bytes(content)
    (folder / entries.TRACE_HASHES).write_text("".join(lines[1:]))
    sign(folder)
    assert "traces.sha256 has 11 lines for 12 episodes" in refusals(folder)[0]


def test_the_traces_of_other_episodes(copy):
    """Hashes that fit, of the traces of another seed."""
    folder, kept = copy()
    keys = sorted(record.key for record in kept)
    hashes = pack.read_hashes(folder, keys)
    content = dict(pack._contents(folder, hashes, keys))
    (folder / entries.TRACES).write_bytes(b"".join(content[key] for key in keys[::-1]))
    lines = (folder / entries.TRACE_HASHES).read_text().splitlines(keepends=True)
    (folder / entries.TRACE_HASHES).write_text("".join(lines[::-1]))
    sign(folder)
    assert "holds the trace of" in refusals(folder, 12)[0]


# --- episodes and scenes ---------------------------------------------------------------------------------------------


def test_hard_episodes_left_out(copy):
    folder, kept = copy()
    rewrite(folder, kept[1:])
    assert "episodes were left out: " in refusals(folder)[0]


def test_a_whole_cell_left_out_leaves_it_unranked(copy):
    folder, kept = copy()
    (check,) = validate([folder], 0)
    before = len(check.missing)
    rewrite(folder, [record for record in kept if record.shift != "visual.noise"])
    (check,) = validate([folder], 0)
    assert check.refused == []
    assert not check.complete
    assert len(check.missing) == before + 1


def test_a_renamed_suite(copy):
    folder, _ = copy()
    edit(folder, "suite", "name", to="smok")
    assert "no suite is named 'smok'; did it mean 'smoke'?" in refusals(folder)


def test_another_suite_under_the_name(copy):
    """What the entry says of its suite beside the hash is not even looked at: the suite is the public one."""
    folder, _ = copy()
    edit(folder, "suite", "content", "cells", to=[{"tasks": ["/etc/passwd.toml"], "shifts": ["*"], "episodes": 10**9}])
    assert refusals(folder) == []
    changed = SUITES.get("smoke").model_copy(update={"cells": SUITES.get("smoke").cells[:1]})
    edit(folder, "suite", "sha256", to=changed.sha256)
    assert "its suite is not smoke v2" in refusals(folder)[0]


def test_an_extra_episode(copy):
    folder, kept = copy()
    rewrite(folder, [*kept, kept[0].model_copy(update={"seed": 31})])
    assert "/31 is no episode of the suite" in refusals(folder)[0]


def test_an_episode_twice(copy):
    folder, kept = copy()
    rewrite(folder, [*kept, kept[0]])
    assert "is there 2 times" in refusals(folder)[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"steps": 5000}, "5000 steps, the horizon is"),
        ({"task": "put-in-orbit"}, "is no episode of the suite"),
        ({"shift": "visual.smell"}, "is no episode of the suite"),
        ({"severity": float("nan")}, "not an episode record"),
        ({"seed": -1}, "not episode records"),
        ({"success": None}, "ended in an error"),
        ({"stages": {"flown": 3}}, "has stages that its task does not have"),
        ({"stages": {"reached": 9000}}, "a stage was reached after the episode's end"),
        ({"axis": "combined"}, "its axis is not combined"),
        ({**LOST, "failure": "<b>"}, "is no way in which an episode fails"),
    ],
)
def test_a_record_that_does_not_fit(copy, changes, why):
    folder, kept = copy()
    rewrite(folder, swap(kept, 3, **changes))
    assert why in refusals(folder)[0]


@pytest.mark.slow
def test_one_other_scene_among_many(copy):
    """All scenes are made again, not some of them."""
    folder, kept = copy("vla-cpu-align-0", "core-2")
    rewrite(folder, swap(kept, 77, closure_sha256="ab" * 32))
    assert "was played in another scene" in refusals(folder)[0]


# --- how it was played -----------------------------------------------------------------------------------------------


def test_another_protocol_and_real_time(copy):
    folder, _ = copy()
    edit(folder, "protocol", "success", to="ever")
    assert "it was played by another protocol than the suite's" in refusals(folder)
    edit(folder, "protocol", "success", to="settled")
    edit(folder, "real_time", to=True)
    assert "it was played with --real-time: its outcomes depend on the machine" in refusals(folder)


def test_another_mujoco(copy):
    folder, _ = copy()
    here = json.loads((folder / "run.json").read_text())["versions"]["mujoco"]
    edit(folder, "versions", "mujoco", to="3.2.0")
    assert refusals(folder) == [f"it was played with mujoco 3.2.0; the board is of {here}"]


@pytest.mark.slow
def test_a_privileged_contestant(copy):
    folder, _ = copy("expert", "core-2")
    say(folder, 'row = "control"', 'row = "checkpoint"')
    assert "its policy sees the true state; only a control may" in refusals(folder)


@pytest.mark.slow
def test_better_than_the_expert(copy):
    worse, kept = copy("expert", "core-2")
    rewrite(worse, [record.model_copy(update=LOST) for record in kept])
    folder, _ = copy("expert-noisy", "core-2")
    assert [check.refused for check in validate([folder, worse], 0)] == [[], []], "an expert that was not admitted"
    admit_unseen(worse.parents[1])
    found = {check.path: check.refused for check in validate([folder, worse], 0)}
    assert "it is better than the expert by" in found[folder][0]


def test_a_copy_of_another_entry(copy):
    """The one that came later is refused, whatever it is called, and also when its files are packed otherwise."""
    first, kept = copy("random")
    second = first.parent.with_name("a-random") / "smoke"
    shutil.copytree(first, second)
    say(second, 'name = "random"', 'name = "a-random"')
    rewrite(second, kept)
    assert admitted(first, drawn=2).refused == []
    found = {check.path: check.refused for check in validate([second, first], 0)}
    assert found == {first: [], second: ["its episodes are those of random/smoke"]}


def test_an_entry_under_another_name_and_one_that_says_too_little(copy):
    folder, _ = copy()
    other = folder.parent.with_name("somebody") / "smoke"
    shutil.copytree(folder, other)
    assert "the folder is somebody, the entry's name is random" in refusals(other)
    say(folder, '"*" = "unseen"', '"visual.*" = "unseen"')
    assert "does not declare whether" in refusals(folder)[0]
    say(folder, "licence", "license")
    assert "licence: Field required" in refusals(folder)[0]


# --- malformed -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "to"),
    [
        (("plan", "episodes"), "abc"), (("policy",), "random"), (("policy",), {"name": "x"}), (("versions",), ["3.9"]),
        (("command",), [1, 2]), (("hardware",), ["cpu"]), (("wall_seconds",), "x"), (("suite",), None),
        (("protocol",), {"success": "yes"}), (("plan", "episodes"), 10**400), (("suite", "content"), [[[]]]),
    ],
)  # fmt: skip
def test_a_run_json_that_is_none_is_refused_and_the_others_stand(copy, keys, to, tmp_path):
    folder, _ = copy()
    good, _ = copy("no-op")
    edit(folder, *keys, to=to)
    found = {check.path: check for check in validate([folder, good], 0)}
    assert len(found[folder].refused) == 1
    assert "run.json" in found[folder].refused[0]
    assert "could not be checked" not in found[folder].refused[0]
    assert found[good].refused == []
    site.build(list(found.values()), tmp_path / "site", pictures=False, everything=True)
    assert (tmp_path / "site" / "policies" / "no-op.html").is_file()
    assert not (tmp_path / "site" / "policies" / "random.html").exists()


def test_what_nobody_thought_of_refuses_one_entry(copy, monkeypatch):
    folder, _ = copy()
    good, _ = copy("no-op")
    from oodbench.leaderboard import validate as module

    real = module._records
    broken = lambda entry, kept: 1 / 0 if entry.path == folder else real(entry, kept)  # noqa: E731
    monkeypatch.setattr(module, "_records", broken)
    found = {check.path: check.refused for check in validate([folder, good], 0)}
    assert found == {folder: ["could not be checked: ZeroDivisionError"], good: []}


@pytest.mark.parametrize("change", [
    ('name = "random"', f'name = "{"x" * 99}"'), ('authors = ["Somebody"]', 'authors = ["\\u001b[31m"]'),
    ('link = ""', 'link = "javascript:alert(1)"'), ('licence = "MIT"', 'licence = 3'),
    ("parameters = 0", "parameters = nan"),
    ("[exposure]", "[exposure]\n" + "\n".join(f'"x{i}" = "seen"' for i in range(400))),
    ("cameras = []", f"cameras = {'[' * 5000}{']' * 5000}"), ("[exposure]", "[exposure." + ".".join("a" * 9000) + "]"),
    ('method = ""', 'method = "somebody-elses"'),
])  # fmt: skip
def test_what_the_authors_may_not_say(copy, change):
    folder, _ = copy()
    say(folder, *change)
    assert "entry.toml: " in refusals(folder)[0]


def test_no_file_of_the_machine_gets_into_the_site(copy, tmp_path):
    """A stranger's entry that points elsewhere: by its records, by names, by links."""
    secret = tmp_path / "secret.mp4"
    secret.write_text("my key")
    folder, kept = copy()
    for name in (str(secret), "../../../secret.mp4", "videos/film.mp4"):
        mine = swap(kept, 0, video=name)
        lines = b"".join(record.model_dump_json(exclude_defaults=True).encode() + b"\n" for record in mine)
        (folder / entries.EPISODES).write_bytes(zstandard.compress(lines))
        sign(folder)
        assert "has a video, which an entry has no place for" in refusals(folder)[0]
    for name in (*entries.LIMITS, "videos"):
        shutil.rmtree(folder)
        folder, _ = copy()
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(secret)
        assert name in refusals(folder)[0]
        (check,) = validate([folder], 0)
        with pytest.raises(OodbenchError, match="nothing to show"):
            site.build([check], tmp_path / "site", pictures=False, everything=True)
    shutil.rmtree(folder)
    folder, _ = copy()
    (folder / entries.TRACES).unlink()
    os.mkfifo(folder / entries.TRACES)
    assert refusals(folder) == ["traces.bin is not a regular file"]


def test_films_that_are_not_the_boards_are_not_shown(genuine, tmp_path):
    root = tmp_path / "entries"
    shutil.copytree(genuine.parent, tmp_path, dirs_exist_ok=True)
    films = sorted((tmp_path / "films" / "random" / "smoke").glob("*.mp4"))
    assert films
    secret = tmp_path / "secret"
    secret.write_text("my key")
    checked = list(validate(entries.entries(root), 0))
    site.build(checked, tmp_path / "site", pictures=False)
    shown = tmp_path / "site" / "videos" / "random" / "smoke"
    assert [film.name for film in shown.iterdir()] == [film.name for film in films]
    for spoil in (lambda film: film.write_text("another film"), lambda film: film.symlink_to(secret)):
        films[0].unlink()
        spoil(films[0])
        site.build(checked, tmp_path / "site", pictures=False)
        assert not shown.exists()


def test_nothing_of_an_entry_is_pasted_into_a_shell(copy, tmp_path):
    folder, _ = copy()
    edit(folder, "policy", "uri", to="os:system?command=touch gone;`touch gone`")
    edit(folder, "command", to=["oodbench", "run", "--task", "$(touch gone)"])
    site.build(list(validate([folder], 0)), tmp_path / "site", pictures=False, everything=True)
    page = (tmp_path / "site" / "policies" / "random.html").read_text()
    commands = page[page.index("<pre") : page.index("</pre>")]
    assert "--policy YOUR_POLICY" in commands
    assert "gone" not in commands
    assert "$(touch gone)" not in page
