"""A package of its own plugs in one of everything, is installed, and is used from outside as a user would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent / "plugin"
LISTED = {
    "tasks": "hover", "suites": "lemon-1", "policies": "Sinks slowly.", "objects": "lemon-slice",
    "textures": "lemon-zest", "glyphs": "citrus", "presets": "lemon", "predicates": "hovering", "metrics": "haste",
    "shifts": "visual.haze",
}  # fmt: skip
pytestmark = pytest.mark.slow
SHIFTS = ("execution.sour-hand", "visual.haze", "semantic.whisper")

# What the released suites play, episode by episode.
IDENTITY = """
import json
from oodbench.run.plan import PlanFile
from oodbench.suite import SUITES
found = {}
for name in SUITES.shipped_names():
    suite = SUITES.get(name)
    plan = suite.plan()
    found[name] = [suite.sha256, len(plan), *PlanFile.of(suite, plan[::97]).closures]
print(json.dumps(found))
"""

USE = """
import json, sys, warnings
import gymnasium, numpy as np
import oodbench
from typer.testing import CliRunner
from oodbench.cli import app
said = {}
for line in json.loads(sys.argv[1]):
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, (line, done.output, done.exception)
    said[" ".join(line)] = done.output
env = gymnasium.make("oodbench/hover-v1", shift="visual.haze@5", size=64)
observation, info = env.reset(seed=0)
said["yellow"] = [float(v) for v in observation["image"].mean((0, 1))]
from oodbench.policies import preset
from oodbench.policies.loading import load_policy
said["preset"] = preset("lemon").image_size
said["policies"] = [load_policy(uri).make().speed for uri in ("lemon?speed=0.2", "lemon://here?speed=0.3")]
from oodbench.catalogue import GLYPHS, TEXTURES
from oodbench.sim import glyphs, textures
said["pictures"] = [
    float(np.std(glyphs.render("citrus/lemon"))), float(np.std(textures.render(TEXTURES.get("lemon-zest"), 64)))
]
from oodbench.scene import Scene
from oodbench.shift import ShiftSpec
from oodbench.task import TASKS
from oodbench.understand import disagreement
task = TASKS.get("hover")
scene = ShiftSpec.parse("semantic.whisper@3").apply(task.sample(0), task=task)
assert Scene.model_validate_json(scene.canonical_json()) == scene
plain = task.sample(0)
other = plain.but(instruction=task.instruct(plain, "eat the {target}"))
said["understood"] = [disagreement(plain), disagreement(other)]
print(json.dumps(said))
"""


def _python(
    *arguments: object, plugged: Path | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with the package or without."""
    path = [str(plugged)] if plugged else []
    env = os.environ | {"PYTHONPATH": os.pathsep.join([*path, *(p for p in sys.path if p)]), "COLUMNS": "300"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, cwd=cwd, timeout=300, check=False)


@pytest.fixture(scope="session")
def lemon(tmp_path_factory) -> Path:
    """The folder that the package is installed into, without a network."""
    target = tmp_path_factory.mktemp("lemon") / "site"
    install = ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    done = _python(*install, "--quiet", "--target", target, PACKAGE)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="session")
def run(lemon, tmp_path_factory) -> Path:
    """Its suite, played by the expert with its skill, in worker processes."""
    folder = tmp_path_factory.mktemp("lemon-run")
    done = _python("-m", "oodbench", "run", "lemon-1", "--policy", "expert", "--out", "run", plugged=lemon, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "cannot be loaded" not in done.stderr
    return folder / "run"


@pytest.fixture(scope="session")
def said(lemon, run) -> dict[str, object]:
    """What the command line and the library say of it."""
    lists = [["list", what] for what in LISTED]
    reports = [["report", "run", "--format", kind] for kind in ("markdown", "json", "csv", "terminal")]
    page = ["report", "run", "--out", "page.html"]
    sheet = ["view", "semantic.whisper", "--task", "hover", "--severities", "0,5", "--size", "64", "--out", "sheet.png"]
    lines = [*lists, *reports, page, sheet]
    done = _python("-c", USE, json.dumps(lines), plugged=lemon, cwd=run.parent)
    assert done.returncode == 0, done.stderr
    assert "cannot be loaded" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_expert_plays_its_suite_with_its_skill(run):
    records = [json.loads(line) for line in (run / "episodes.jsonl").read_text().splitlines()]
    assert sorted(record["shift"] for record in records) == sorted(["none", "none", *SHIFTS])
    assert all(record["success"] for record in records), records


def test_lists_show_it(said):
    for what, name in LISTED.items():
        assert name in said[f"list {what}"], what
    assert all(name in said["list shifts"] for name in SHIFTS)


def test_reports_have_its_section_and_its_metric_in_every_format(said, run):
    markdown = said["report run --format markdown"]
    assert "Lemons. How many" in markdown
    assert "haste (successes per 100 control steps)" in markdown
    (found,) = json.loads(said["report run --format json"])
    assert found["metrics"]["haste"]["id"]["value"] > 0
    assert set(found["metrics"]) >= {"haste", "steps-to-success"}
    assert "metric haste,visual," in said["report run --format csv"]
    assert "5 in all" in said["report run --format terminal"]
    page = (run.parent / "page.html").read_text()
    assert '<svg role="img" aria-label="lemons"' in page
    assert "haste (successes" in page


def test_its_things_are_seen_and_used(said):
    red, green, blue = said["yellow"]
    assert blue < min(red, green) - 20
    assert said["preset"] == 96
    assert said["policies"] == [0.2, 0.3]
    assert min(said["pictures"]) > 1
    assert said["understood"][0] is None
    assert "does not ask for 'hovering'" in said["understood"][1]


def test_released_suites_are_what_they_are_without_it(lemon):
    """The package adds a train object, a texture and shifts: nothing that was scored may change."""
    without, with_it = (_python("-c", IDENTITY, plugged=plugged) for plugged in (None, lemon))
    assert without.returncode == with_it.returncode == 0, without.stderr + with_it.stderr
    before, after = json.loads(without.stdout), json.loads(with_it.stdout)
    assert [name for name in before if before[name] != after[name]] == []


def test_what_stands_on_the_leaderboard_stands_with_it(lemon):
    entries = Path(__file__).resolve().parents[1] / "leaderboard" / "entries" / "no-op"
    done = _python("-m", "oodbench", "leaderboard", "validate", *entries.iterdir(), "--replays", 2, plugged=lemon)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "stands, 2 episodes replayed" in done.stdout
