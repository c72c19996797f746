"""The robot: light, in a cache that can be carried to a machine without robosuite."""

import json
import shutil
import subprocess
import sys

import mujoco
import pytest

from oodbench import paths
from oodbench.errors import AssetError
from oodbench.sim import robots

PLAY = """
import sys, importlib.metadata as metadata
real = metadata.distribution
def without(name):
    if name == "robosuite":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.distribution = without
sys.modules["robosuite"] = sys.modules["trimesh"] = sys.modules["fast_simplification"] = None
import numpy as np
from oodbench.sim.world import World
from oodbench.task import TASKS
world = World("fast")
world.reset(TASKS.get("put-on").sample(0))
for _ in range(10):
    world.step(np.full(7, 0.3))
print(world.outcome_sha256())
"""


def _play(cache, fresh):
    code = PLAY if fresh else PLAY[PLAY.index("import numpy") :]
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "MUJOCO_GL": "egl", "OODBENCH_CACHE": str(cache)},
    )


@pytest.mark.slow
def test_a_copied_cache_needs_no_robosuite_and_gives_the_same_physics(tmp_path):
    robots.ensure("panda")
    shutil.copytree(paths.cache_dir(), tmp_path / "cache")
    away, here = _play(tmp_path / "cache", True), _play(paths.cache_dir(), False)
    assert away.returncode == 0, away.stderr
    assert away.stdout == here.stdout


def test_without_cache_and_robosuite_the_way_out_is_said(tmp_path):
    result = _play(tmp_path / "empty", True)
    assert "AssetError" in result.stderr
    assert "pip install 'oodbench[robosuite]'" in result.stderr.splitlines()[-1]


@pytest.mark.slow
def test_preparing_twice_gives_the_same_files(tmp_path, monkeypatch):
    hashes = []
    for name in ("a", "b"):
        monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / name))
        hashes.append(robots.cache_sha256("panda"))
    assert hashes[0] == hashes[1]
    manifest = json.loads((robots.folder("panda") / "manifest.json").read_text())
    assert manifest["robosuite"] == "1.5.2"


def test_a_folder_that_cannot_be_written_is_one_error(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("OODBENCH_CACHE", str(blocked))
    with pytest.raises(AssetError, match="OODBENCH_CACHE"):
        robots.prepare(robots.ROBOTS.get("panda"))


def test_the_panda_is_light_and_has_its_joints():
    model = robots.spec("panda").compile()
    assert model.nmeshvert < 12_000, "robosuite's has 329,000 vertices"
    assert model.nu == 9
    assert [model.joint(i).name for i in range(7)] == list(robots.ROBOTS.get("panda").joints)
    assert mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SITE, "grip_site") >= 0
