"""What needs no simulator works without MuJoCo and without OpenGL; what needs no pictures, without OpenGL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.run.records import EpisodeRecord

pytestmark = pytest.mark.xdist_group("bare")  # one worker makes what they share

LISTS = (
    "tasks", "shifts", "suites", "pools", "policies", "objects", "textures", "glyphs", "presets", "predicates",
    "metrics",
)  # fmt: skip
IMPORTED = (
    "oodbench.policies", "oodbench.scene", "oodbench.task", "oodbench.goal", "oodbench.suite", "oodbench.run.records",
    "oodbench.run.columns", "oodbench.run.runner", "oodbench.stats.validation", "oodbench.report.html",
    "oodbench.report.figures", "oodbench.report.catalogue", "oodbench.leaderboard.site", "oodbench.leaderboard.entry",
    "oodbench.leaderboard.validate", "oodbench.gate.decide", "oodbench.gate.outputs", "oodbench.remote.server",
    "oodbench.remote.native", "oodbench.remote.openpi", "oodbench.remote.groot", "oodbench.remote.vla_eval",
    "oodbench.remote.openvla", "oodbench.demos.store",
)  # fmt: skip
BARE = """
import importlib, io, json, sys, traceback
from contextlib import redirect_stdout
sys.modules["mujoco"] = sys.modules["OpenGL"] = None  # to import them is an ImportError
lines, modules = json.loads(sys.argv[1])
found = {}
for name in modules:
    importlib.import_module(name)
from oodbench.cli import app
for line in lines:
    out = io.StringIO()
    try:
        with redirect_stdout(out):
            app(line, standalone_mode=False)
        found[" ".join(line)] = out.getvalue()
    except BaseException as error:
        traceback.print_exc()
        found[" ".join(line)] = None
from oodbench.suite import SUITES  # scenes are sampled and shifted, too
smoke = SUITES.get("smoke")
found["scenes"] = len({episode.scene(smoke).sha256 for episode in smoke.plan()})
from oodbench.policies.loading import load_policy
from oodbench.remote.hub import Hub
hub = Hub(load_policy("random"))
found["served"] = hub.spec.execute
hub.close()
print(json.dumps(found))
"""


def write_run(folder: Path, policy: str, wins: int) -> None:
    """A small run folder: 8 scenes, plain and at one severity."""
    folder.mkdir()
    cells = (("none", 0.0, "id"), ("visual.lighting", 3.0, "visual"))
    records = [
        EpisodeRecord(task="lift", shift=shift, severity=severity, seed=seed, axis=axis, success=seed < wins)
        for shift, severity, axis in cells
        for seed in range(8)
    ]
    (folder / "episodes.jsonl").write_text("".join(record.model_dump_json() + "\n" for record in records))
    suite = {"name": "quick", "version": 1, "sha256": "a" * 64, "content": {"summary": "a look"}}
    info = {"policy": {"uri": policy, "name": policy, "files": {}}, "suite": suite, "plan": {"episodes": len(records)}}
    (folder / "run.json").write_text(json.dumps(info))


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> dict[str, str | None]:
    """What commands print where there is neither MuJoCo nor OpenGL; None for those that fail."""
    folder = tmp_path_factory.mktemp("bare")
    write_run(folder / "one", "one", 5)
    write_run(folder / "other", "other", 7)
    lines = [
        ["report", "one", "other", "--out", "page.html"],
        ["report", "one", "--format", "json"],
        ["compare", "one", "other"],
        ["plan", "--episodes", "200"],
        *(["list", what] for what in LISTS),
    ]
    code = [sys.executable, "-c", BARE, json.dumps([lines, IMPORTED])]
    env = os.environ | {"MUJOCO_GL": "osmesa"}
    done = subprocess.run(code, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "page.html").is_file(), done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("what", LISTS)
def test_what_there_is_can_be_listed_without_mujoco(bare, what):
    assert bare[f"list {what}"]


def test_a_run_is_reported_and_compared_without_mujoco(bare):
    assert "one" in bare["report one other --out page.html"]
    assert json.loads(bare["report one --format json"])[0]["episodes"] == 16
    assert "visual" in bare["compare one other"]
    assert "200 pairs" in bare["plan --episodes 200"]


def test_scenes_are_made_and_policies_served_without_mujoco(bare):
    assert bare["scenes"]
    assert bare["served"] == 8


def test_an_episode_that_nobody_looks_at_is_played_without_opengl(tmp_path):
    """MuJoCo cannot even be imported with an OpenGL that is not there; the world is played all the same."""
    code = """
import sys
sys.modules["OpenGL"] = None  # what every backend of MuJoCo imports
from oodbench.errors import RenderError
from oodbench.sim.world import World
from oodbench.task import TASKS
world = World("fast")
world.reset(TASKS.get("lift").sample(0))
world.step([0.0] * 7)
try:
    world.render()
except RenderError as error:
    print(world.steps, error)
"""
    env = os.environ | {"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "osmesa"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 no OpenGL")
    assert "apt-get install" in done.stdout
