"""How an entry gets onto the board: by a draw that nobody could foresee, and by the commands that people type."""

from __future__ import annotations

import shutil

import pytest

from oodbench.errors import OodbenchError
from oodbench.leaderboard import admission, site
from oodbench.leaderboard import entry as entries
from oodbench.leaderboard.admission import draw
from oodbench.leaderboard.admit import admit
from oodbench.leaderboard.submit import submit
from oodbench.leaderboard.validate import validate
from oodbench.run import records
from oodbench.run.runner import evaluate
from oodbench.suite import SUITES

from .conftest import about, admit_unseen, rewrite
from .editing import LOST, WON, admitted, checker_of, say

pytestmark = pytest.mark.xdist_group("board")  # which takes a while to make up


def test_an_entry_is_admitted(copy):
    folder, kept = copy()
    size = (folder / entries.TRACES).stat().st_size
    check = admitted(folder, drawn=4)
    assert (check.refused, check.replayed) == ([], 4)
    listed = admission.read(folder.parents[1])
    found = listed.of["random/smoke"]
    assert (found, found.drawn, found.digest) == (check.admission, 4, check.entry.digest)
    assert len(found.salt) == 32
    assert (folder / entries.TRACES).stat().st_size < size, "what was not drawn is dropped"
    (again,) = validate([folder], 48)
    assert (again.refused, again.replayed, again.admission) == ([], 4, found)
    keys = draw([record.key for record in kept], found.digest, found.salt, 4)
    assert sorted(keys) != sorted(record.key for record in kept)[:4]
    with pytest.raises(OodbenchError, match="is admitted already"):
        admitted(folder)


def test_an_admitted_entry_that_is_changed_is_not_admitted_any_more(copy):
    folder, kept = copy()
    assert admitted(folder, drawn=4).admission
    say(folder, 'licence = "MIT"', 'licence = "none"')
    (check,) = validate([folder], 0)
    assert check.admission is None
    assert "does not hold the trace whose hash" in check.refused[0], "the traces that were dropped are asked for again"
    assert len(kept) == 12


def test_who_is_refused_by_the_draw_is_counted(copy):
    folder, kept = copy()
    rewrite(folder, [record.model_copy(update=WON) for record in kept])
    assert "from its actions" in admitted(folder, drawn=2).refused[0]
    rewrite(folder, kept)
    check = admitted(folder, drawn=2, thin=False)
    assert check.admission.refused == 1
    assert len(entries.entries(folder.parents[1])) == 1


def test_what_is_not_admitted_is_not_ranked(copy, tmp_path):
    first, _ = copy("random")
    copy("no-op")
    root = first.parents[1]
    assert admitted(first, drawn=2).refused == []
    checked = list(validate(entries.entries(root), 0))
    site.build(checked, tmp_path / "site", pictures=False)
    index = (tmp_path / "site" / "index.html").read_text()
    assert "Handed in, not admitted" in index
    assert "no-op/smoke" in index
    assert not (tmp_path / "site" / "policies" / "no-op.html").exists()
    (board,) = site.boards(checked, everything=True)
    assert {row.name: row.unranked for row in board.rows}["no-op"] == "not admitted"


@pytest.mark.slow
def test_nobody_joins_the_method_of_another_team(copy, tmp_path):
    first, kept = copy("vla-cpu-align-0", "core-2")
    admit_unseen(first.parents[1])
    for name, team, authors in (("bad-1", "reference", "Mallory"), ("bad-2", "mallory", "Somebody")):
        folder = first.parent.with_name(name) / "core-2"
        shutil.copytree(first, folder)
        text = (folder / entries.INFO).read_text().replace("vla-cpu-align-0", name).replace("Somebody", authors)
        (folder / entries.INFO).write_text(text.replace('team = "reference"', f'team = "{team}"'))
        other = [record.model_copy(update={"outcome_sha256": name.encode().hex()}) for record in kept]
        rewrite(folder, [record.model_copy(update=LOST) for record in other])
    all_ = entries.entries(first.parents[1])
    with pytest.raises(OodbenchError, match="joins the method reference/vla-cpu-align of vla-cpu-align-0/core-2"):
        admit(first.parents[1] / "bad-1" / "core-2", checker_of(first), others=all_, films=0)
    admit_unseen(first.parents[1])
    (board,) = site.boards(list(validate(all_, 0)))
    assert [row.name for row in board.rows if row.kind == "method"] == []


# --- the commands ----------------------------------------------------------------------------------------------------


def test_the_command_says_which_and_why(copy, cli):
    folder, kept = copy()
    rewrite(folder, kept[1:])
    done = cli("leaderboard", "validate", folder, "--replays", 0)
    assert done.returncode == 1
    assert "random/smoke: refused: episodes were left out" in done.stdout


@pytest.mark.slow
def test_a_run_becomes_an_entry(runs, tmp_path, cli):
    """From the run, through the form that is to be filled in, to an entry that is admitted, and can be seen."""
    shutil.copytree(runs["random"], tmp_path / "run")
    done = cli("submit", "run")
    assert done.returncode == 2
    assert "fill in run/entry.toml" in done.stderr
    form = tmp_path / "run" / "entry.toml"
    form.write_text(form.read_text().replace('row = "checkpoint"', 'row = "control"'))
    done = cli("submit", "run", "--info", form, "--root", "board/entries")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "unranked: " in done.stdout
    folder = tmp_path / "board" / "entries" / "random" / "smoke"
    assert str(tmp_path) not in (folder / "run.json").read_text(), "no path of the machine"
    done = cli("leaderboard", "admit", folder, "--drawn", 3, "--films", 0, "--root", "board/entries")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "admitted by the salt" in done.stdout
    (check,) = validate([folder])
    assert (check.refused, check.replayed) == ([], 3)


def test_an_entry_that_is_a_mess_stops_no_other(copy, cli, tmp_path):
    folder, _ = copy()
    good, _ = copy("no-op")
    (folder / entries.INFO).unlink()
    (folder / entries.INFO).symlink_to("nowhere")
    (folder.parents[1] / "linked").symlink_to(good.parent)
    done = cli("leaderboard", "build", "--root", "entries", "--no-pictures", "--all", "--replays", 0, "--out", "site")
    assert done.returncode == 1, done.stderr
    assert "no-op/smoke: stands" in done.stdout
    assert "random/smoke: refused: entry.toml is not a regular file" in done.stdout
    assert "linked/smoke: refused: " in done.stdout
    assert (tmp_path / "site" / "policies" / "no-op.html").is_file()


def test_the_form_is_not_written_through_a_link(runs, tmp_path, cli):
    shutil.copytree(runs["random"], tmp_path / "run")
    (tmp_path / "run" / "entry.toml").symlink_to(tmp_path / "elsewhere")
    assert cli("submit", "run").returncode == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_run_that_is_not_fit_is_refused(tmp_path, runs):
    chosen = {"tasks": ["press-button"], "shifts": ["visual.noise"], "workers": 0, "limit": 2}
    evaluate("no-op", "smoke", out=tmp_path / "bare", traces=False, **chosen)
    with pytest.raises(OodbenchError, match="was played with --no-traces"):
        submit(tmp_path / "bare", about("no-op"), tmp_path / "entries")
    half = tmp_path / "half"
    shutil.copytree(runs["no-op"], half)
    lines = (half / "episodes.jsonl").read_text().splitlines()
    (half / "episodes.jsonl").write_text(lines[0] + "\n")
    with pytest.raises(OodbenchError, match="1 of 12 episodes were played"):
        submit(half, about("no-op"), tmp_path / "entries")
    assert not list((tmp_path / "entries").rglob("*.zst"))
    assert len(records.read(runs["no-op"] / "episodes.jsonl")) == 12


def test_fresh_scenes_are_other_scenes_of_the_same_cells():
    public = SUITES.get("think-2")
    fresh = public.model_copy(update={"fresh": "salt"})
    assert public.sha256 != fresh.sha256
    a, b = public.plan()[0], fresh.plan()[0]
    assert a.key == b.key
    assert a.scene(public).sha256 != b.scene(fresh).sha256
