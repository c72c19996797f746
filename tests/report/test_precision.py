"""What docs/suites.md promises of the released suites, and what recorded runs come to."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from oodbench.report import precision
from oodbench.report.summary import load
from oodbench.suite import SUITES, Suite

PAGE = Path(__file__).parents[2] / "docs" / "suites.md"


def section(name: str) -> str:
    return PAGE.read_text(encoding="utf-8").split(f"## {name}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", SUITES.shipped_names())
def test_the_page_states_the_design_of_every_suite(name):
    assert precision.design(SUITES.get(name)) in section(name), "run `make docs`"


def test_the_page_keeps_what_core_was_designed_for():
    """Axes within 3 points and the gap within 4 for a middling policy; at most 2 or 3 episodes for one."""
    text = section("core-2")
    head, _, *rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    found = {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows}
    assert set(found) == set(precision.POLICIES)
    half = {name: float(re.search(r"± ([\d.]+)", cell)[1]) for name, cell in found["middling"].items()}
    assert max(half[axis] for axis in ("in-distribution", "semantic", "visual", "execution")) <= 3
    assert half["gap"] <= 4
    for cells in found.values():
        for name, cell in cells.items():
            if name != "gap":
                success, effect = float(cell.split()[0]), float(cell.split(", ")[1])
                assert effect <= (2 if 10 <= success <= 90 else 3)
    assert float(re.search(r"held the truth in ([\d.]+) %", text)[1]) > 94


def test_more_scenes_make_a_score_surer_and_its_design_effect_smaller():
    def suite(scenes: int) -> Suite:
        block = {"tasks": ["put-on", "stack"], "shifts": ["visual.n*", "visual.d*"], "severities": [1, 3, 5]}
        content = {"name": "x", "version": 1, "summary": "", "scenes": scenes}
        return Suite.model_validate(content | {"cells": [{"shifts": ["none"]}, block | {"episodes": 6}]})

    few, many = (precision.simulated(suite(n), precision.POLICIES["replay"], runs=40) for n in (6, 60))
    assert many["visual"].half < few["visual"].half
    assert many["visual"].effect < few["visual"].effect
    assert set(many) == {"id", "visual", precision.ALL, "gap"}


def test_a_recorded_run_is_shown_beside_its_suites_promise(tmp_path, capsys, monkeypatch):
    suite = SUITES.get("smoke")
    rng = np.random.default_rng(0)
    lines = [
        {
            "task": e.task, "shift": e.shift.name, "severity": e.shift.severity, "seed": e.seed, "axis": e.shift.axis,
            "success": bool(rng.random() < 0.6),
        }
        for e in suite.plan()
    ]  # fmt: skip
    (tmp_path / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    info = {"policy": {"uri": "mine"}, "suite": {"name": "smoke", "version": 2, "sha256": "0" * 64}}
    (tmp_path / "run.json").write_text(json.dumps(info))
    (run,) = load([tmp_path])
    found = precision.recorded(run)
    assert found["visual"].rate == run.axes["visual"].value
    assert found["visual"].effect == run.axes["visual"].design_effect
    monkeypatch.setattr("sys.argv", ["precision", str(tmp_path)])
    precision.main()
    assert f"| mine | {100 * run.axes['id'].value:.1f} ± " in capsys.readouterr().out
