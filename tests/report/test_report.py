"""Reports say what the records say, to people and to scripts, and are safe to open."""

import json
import re

import numpy as np
import pytest

from oodbench.run.records import EpisodeRecord
from oodbench.seeding import generator

SHIFTS = ("semantic.paraphrase", "semantic.distractors", "visual.lighting", "visual.noise", "execution.bump")
TASKS = ("open-drawer", "put-on", "stack")
NASTY = "put the <script>alert(1)</script> on the \"plate\" & 'mug'"


def _write(folder, uri, skill, *, suite="a" * 64, planned=None, errors=True):
    rng = generator("report", uri)
    kept = []
    for task in TASKS:
        for shift in ("none", *SHIFTS):
            axis = "id" if shift == "none" else shift.split(".")[0]
            for severity in (0.0,) if shift == "none" else (1.0, 3.0, 5.0):
                for seed in range(12 if shift == "none" else 4):
                    won = bool(rng.uniform() < skill * (1 - severity / 8))
                    broken = errors and rng.uniform() < 0.03
                    kept.append(
                        EpisodeRecord(
                            task=task,
                            shift=shift,
                            severity=severity,
                            seed=seed,
                            axis=axis,
                            success=None if broken else won,
                            failure=None if won or broken else "dropped",
                            error="RuntimeError: x" if broken else None,
                            steps=50,
                            instruction=NASTY,
                        )
                    )
    folder.mkdir()
    (folder / "episodes.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in kept))
    info = {
        "policy": {"uri": uri, "name": uri, "privileged": uri == "expert", "files": {}},
        "suite": {"name": "quick", "version": 1, "sha256": suite, "content": {"summary": "a look"}},
        "plan": {"episodes": planned or len(kept)},
        "command": ["oodbench", "run", "quick"],
    }
    (folder / "run.json").write_text(json.dumps(info))
    return kept


@pytest.fixture
def runs(tmp_path):
    return {name: _write(tmp_path / name, name, skill) for name, skill in (("expert", 1.0), ("middling", 0.6))}


def test_the_page_shows_the_numbers_of_the_records(cli, tmp_path, runs):
    assert cli("report", "expert", "middling", "--out", "page.html").returncode == 0
    page = (tmp_path / "page.html").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\xa0", " ").replace("&nbsp;", " ")
    for name, kept in runs.items():
        row = text[text.index(f" {name} ", text.index("policy success")) :][:400]
        for axis in ("id", "semantic", "visual", "execution"):
            by_task = []
            for task in TASKS:
                mine = [r for r in kept if r.axis == axis and r.task == task and r.success is not None]
                by_task.append(np.mean([r.success for r in mine]))
            assert f" {100 * np.mean(by_task):.1f} % " in row
    assert re.search(r"expert.{0,80}control.{0,80}privileged", text)


def test_json_equals_the_records(cli, runs):
    found = json.loads(cli("report", "expert", "middling", "--format", "json").stdout)
    for run, kept in zip(found, runs.values(), strict=True):
        for cell in run["cells"]:
            mine = [r for r in kept if (r.task, r.shift, r.severity) == (cell["task"], cell["shift"], cell["severity"])]
            assert cell["successes"] == sum(bool(r.success) for r in mine)
            assert cell["errors"] == sum(r.error is not None for r in mine)
            assert cell["n"] + cell["errors"] == len(mine)
        assert len(run["cells"]) == 3 * (1 + 3 * len(SHIFTS))
        assert run["gap"]["scenes"] <= 12, "of each task, the four seeds that were also played under shift"


def test_the_page_stands_alone_and_runs_nothing(cli, tmp_path, runs):
    cli("report", "expert", "--out", "page.html")
    page = (tmp_path / "page.html").read_text()
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    assert "<script" not in page
    assert "url(" not in re.sub(r"url\(#[^)]*\)", "", page)
    assert "<svg" in page


def test_untrusted_text_is_escaped(tmp_path, runs):
    from oodbench.report import html, summary

    film = tmp_path / "expert" / "videos" / "x.mp4"
    film.parent.mkdir()
    film.write_bytes(b"0")
    lines = (tmp_path / "expert" / "episodes.jsonl").read_text().splitlines()
    first = json.loads(lines[0]) | {"video": "videos/x.mp4"}
    (tmp_path / "expert" / "episodes.jsonl").write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")
    page = html.render(summary.load([tmp_path / "expert"]), tmp_path / "page.html")
    assert "alert(1)" in page
    assert "<script>" not in page
    assert "data:video/mp4;base64,MA==" in page


def test_a_partial_run_is_said_to_be_partial(cli, tmp_path):
    kept = _write(tmp_path / "half", "half", 0.5, planned=1000)
    cli("report", "half")
    assert f"partial, {len(kept)} of 1000 episodes" in (tmp_path / "half" / "report.html").read_text()


def test_runs_of_different_suites_are_refused(cli, tmp_path, runs):
    _write(tmp_path / "other", "other", 0.5, suite="b" * 64)
    result = cli("report", "expert", "other")
    assert result.returncode == 2
    assert "different suites" in result.stderr


def test_markdown_has_a_row_a_policy(cli, runs):
    text = cli("report", "expert", "middling", "--format", "markdown").stdout
    assert re.search(r"^\| expert \|", text, re.MULTILINE)
    assert re.search(r"^\| middling \|", text, re.MULTILINE)


def test_the_gap_is_paired_by_scene(tmp_path, runs):
    from oodbench.report.summary import load

    (run,) = load([tmp_path / "middling"])
    by_hand = []
    for task in TASKS:
        apart = []
        for seed in range(4):
            mine = [r for r in runs["middling"] if r.task == task and r.seed == seed and r.success is not None]
            plain = [r.success for r in mine if r.axis == "id"]
            apart += [plain[0] - r.success for r in mine if r.axis != "id" and plain]
        by_hand.append(sum(apart) / len(apart))
    assert run.gap.value == pytest.approx(sum(by_hand) / 3)


def test_think_and_language_are_reported(cli, tmp_path):
    """Placing apart from choosing, the score corrected for chance, and what words are worth."""
    kept = []
    for seed in range(30):
        chosen = seed % 3
        common = {"task": "think-shape", "severity": 0.0, "seed": seed, "steps": 9}
        choice = f"on(target, {('left', 'middle', 'right')[chosen]})"
        kept.append(EpisodeRecord(shift="none", axis="id", success=chosen == 0, choice=choice, **common))
        common = {"task": "put-on", "seed": seed, "steps": 9}
        kept.append(EpisodeRecord(shift="none", severity=0.0, axis="id", success=True, **common))
        for name in ("control.blank", "control.scrambled"):
            kept.append(EpisodeRecord(shift=name, severity=1.0, axis="control", success=chosen == 0, **common))
    _write(tmp_path / "it", "it", 1.0)
    (tmp_path / "it" / "episodes.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in kept))
    (found,) = json.loads(cli("report", "it", "--format", "json").stdout)
    assert found["think"]["think-shape"]["value"] == pytest.approx(0.0)
    assert found["language_use"]["none"]["value"] == pytest.approx(2 / 3)
    assert found["ood"]["n"] == 0, "controls are no shifts to withstand"
    assert found["gap"] is None
    assert found["severity_area"] is None
    text = cli("report", "it", "--format", "markdown").stdout
    assert "| it | think-shape | 100.0 %, n 30 | 33.3 %, n 30 | 0.00 (" in text
    cli("report", "it", "--out", "page.html")
    assert "Language use" in (tmp_path / "page.html").read_text()


def test_a_papers_settings_go_by_their_names(cli, tmp_path):
    _write(tmp_path / "it", "it", 1.0, errors=False)
    info = json.loads((tmp_path / "it" / "run.json").read_text())
    cell = {"setting": "Whole05", "shifts": ["visual.noise"], "severities": [5.0]}
    info["suite"]["content"]["cells"] = [cell, {"setting": None, "shifts": ["none"], "severities": []}]
    (tmp_path / "it" / "run.json").write_text(json.dumps(info))
    wins = [json.loads(line) for line in (tmp_path / "it" / "episodes.jsonl").read_text().splitlines()]
    mine = [r["success"] for r in wins if r["shift"] == "visual.noise" and r["severity"] == 5.0]
    text = cli("report", "it", "--format", "markdown").stdout
    assert "| policy | Whole05 |" in text
    assert f"| it | {100 * sum(mine) / len(mine):.1f} %, n {len(mine)} |" in text
