"""Two runs side by side: what differs is found, what cannot be paired is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oodbench.errors import RunFolderError
from oodbench.report.compare import compare, markdown
from oodbench.run.runner import evaluate

pytestmark = pytest.mark.xdist_group("compare")  # one worker makes what they share

CHOSEN = {"tasks": ["put-on", "lift"], "shifts": ["semantic.similar-distractors", "visual.light-intensity"], "limit": 3}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """The expert, and the expert that cannot read, on the same few cells."""
    folder = tmp_path_factory.mktemp("runs")
    for policy in ("expert", "expert-blind"):
        evaluate(policy, "quick", out=folder / policy, workers=2, **CHOSEN)
    return folder


@pytest.mark.slow
def test_what_differs_is_found_and_said(runs, cli):
    found = compare(runs / "expert", runs / "expert-blind")
    rows = {row.what: row for row in found.rows}
    assert rows["semantic.similar-distractors"].found.value >= 0
    assert rows["visual.light-intensity"].found.pairs == 2
    assert rows["all shifts"].a == 1.0
    assert all(row.a - row.b == pytest.approx(row.found.value) for row in found.rows), "one estimator in a row"
    assert found.unpaired == 0
    assert len(found.disagreements) == sum(
        row.found.only_a + row.found.only_b for row in found.rows if row.kind == "axis"
    )
    done = cli("compare", runs / "expert", runs / "expert-blind", "--format", "json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["pairs"] == len(found.pairs[0])
    assert [row["what"] for row in said["rows"]] == list(rows)
    text = markdown(found)
    assert "`visual.light-intensity`" in text
    assert "points of success" in said["sentences"][0]


@pytest.mark.slow
def test_a_run_compared_with_itself_shows_nothing(runs):
    found = compare(runs / "expert", runs / "expert")
    assert all(row.found.value == 0 and row.p == 1.0 for row in found.rows)
    assert "gap" in [row.what for row in found.rows]
    assert found.disagreements == []


@pytest.mark.slow
def test_where_they_disagree_is_filmed(runs, cli, tmp_path):
    evaluate("no-op", "quick", out=tmp_path / "no-op", workers=0, **{**CHOSEN, "tasks": ["lift"], "limit": 1})
    found = compare(runs / "expert", tmp_path / "no-op")
    assert found.disagreements, "nothing is lifted by doing nothing"
    done = cli("compare", runs / "expert", tmp_path / "no-op", "--videos", 1, "--out", "films")
    assert done.returncode == 0, done.stderr
    films = list((tmp_path / "films").glob("*.mp4"))
    assert len(films) == 2
    assert all(film.stat().st_size > 1000 for film in films)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("suite", "sha256"), "another suite"),
        (("versions", "mujoco"), "another MuJoCo version"),
        (("protocol", "success"), "another protocol"),
    ],
)
def test_what_cannot_be_paired_is_refused_with_what_differs(runs, tmp_path, keys, words):
    other = tmp_path / "other"
    other.mkdir()
    info = json.loads((runs / "expert" / "run.json").read_text())
    part = info
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = {"mujoco": "0.0.0", "success": "ever"}.get(keys[-1], "1" * 64)
    (other / "run.json").write_text(json.dumps(info))
    (other / "episodes.jsonl").write_bytes((runs / "expert" / "episodes.jsonl").read_bytes())
    with pytest.raises(RunFolderError, match=f"cannot be paired: they were played with {words}"):
        compare(runs / "expert", other)


@pytest.mark.slow
def test_other_scenes_under_the_same_names_are_refused(runs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "run.json").write_bytes((runs / "expert" / "run.json").read_bytes())
    lines = [json.loads(line) for line in (runs / "expert" / "episodes.jsonl").read_text().splitlines()]
    lines[0]["closure_sha256"] = "0" * 64
    (other / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(RunFolderError, match="not shown the same scene"):
        compare(runs / "expert", other)


@pytest.mark.slow
def test_planning_says_how_many_pairs_it_takes(cli, runs):
    done = cli("plan", "--rate", "0.8", "--margin", "10")
    assert done.returncode == 0, done.stderr
    assert "208" in done.stdout
    done = cli("plan", "--rate", "0.8", "--episodes", "208")
    assert "a drop of 10.0 points" in done.stdout
    done = cli("plan", "--rate", "0.95", "--margin", "5", "--correlation", "0.99")
    assert done.returncode == 0
    assert "impossible" in done.stdout
    done = cli("plan", "--measured", runs / "expert", "--measured", runs / "expert-blind", "--margin", "10")
    assert done.returncode == 0, done.stderr
    assert "measured on" in done.stdout


def test_real_scores_are_compared_with_runs(runs, cli, tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text(f"run,simulated,real\n{runs / 'expert'},,0.9\n,0.5,0.4\n,0.2,0.5\n")
    done = cli("real", path, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["policies"] == 3
    assert found["mmrv"] == pytest.approx((0 + 0.1 + 0.1) / 3)
    path.write_text("run,simulated,real\n,0.5,40\n")
    assert "scores.csv:2: real is 40; it must be a share from 0 to 1" in cli("real", path).stderr
