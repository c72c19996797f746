"""CONTRIBUTING's worked examples, word for word, on a copy: files where the text puts them, then its commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".*_cache")
pytestmark = pytest.mark.slow


def _section(title: str) -> str:
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)[1]


def _blocks(title: str, language: str = "") -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", _section(title), re.DOTALL | re.MULTILINE)
    return [block for written, block in found if written == language]


def _named(title: str, pattern: str) -> str:
    """The file that the section says its example stands in."""
    return re.search(rf"`({pattern})`", _section(title))[1]


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A checkout in which somebody has followed the text."""
    folder = tmp_path_factory.mktemp("contributing")
    for name in ("oodbench", "tasks", "assets", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    (folder / "docs").mkdir()
    for name in ("CONTRIBUTING.md", "README.md", "pyproject.toml", "docs/catalogue.md"):
        shutil.copy(ROOT / name, folder / name)
    task, suite = _blocks("A task", "toml")
    (folder / _named("A task", r"tasks/[\w-]+\.toml")).write_text(task)
    (folder / _named("A task", r"[\w-]+suite\.toml")).write_text(suite)
    (function,) = _blocks("A shift", "python")
    with (folder / _named("A shift", r"oodbench/shifts/\w+\.py")).open("a") as module:
        module.write(f"\n\n{function}")
    return folder


def _do(command: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "PYTHONPATH": str(folder), "PYTEST_ADDOPTS": "-q -p no:cacheprovider"}
    env.pop("PYTEST_XDIST_WORKER", None)
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, env=env, cwd=folder, timeout=300, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("title", ["A task", "A shift", "A policy"])
def test_the_commands_of_the_text_work(copy, title):
    (lines,) = _blocks(title)
    said = [_do(command, copy) for command in lines.splitlines()]
    if title == "A task":
        assert (copy / "tasks.png").stat().st_size > 10_000
        assert re.search(r"(\d+) of \1 rows pass", said[1])
    if title == "A shift":
        assert (copy / "execution.tilted-gravity.png").stat().st_size > 10_000
    passed = [int(n) for text in said for n in re.findall(r"(\d+) passed", text)]
    assert not passed or min(passed) >= 5, "the tests ran over it"


def test_the_rest_of_the_suite_holds_there(copy):
    """Nothing that is pinned or counted changes with a task and a shift of one's own."""
    tests = ["tests/test_suites.py", "tests/test_concepts.py", "tests/sim/test_assets.py", "tests/test_docs.py"]
    chosen = "released or covers or full or concept or splits or surfaces or catalogue or counts"
    said = _do(f"python -m pytest {' '.join(tests)} -k '{chosen}'", copy)
    assert int(re.search(r"(\d+) passed", said)[1]) >= 14


def test_nor_with_data_of_ones_own(copy, tmp_path):
    """Nor with objects and textures in every split."""
    folder = tmp_path / "copy"
    shutil.copytree(copy, folder)
    for kind, name in {"objects": "apple", "textures": "oak"}.items():
        text = (folder / "assets" / kind / f"{name}.toml").read_text()
        for split, novelty in (("train", 0), ("dev", 3), ("test", 3)):
            own = text.replace('split = "train"', f'split = "{split}"').replace("novelty = 0", f"novelty = {novelty}")
            own = re.sub(r'label = "(.*)"', rf'label = "\1 of {split}"', own)
            (folder / "assets" / kind / f"my-{name}-{split}.toml").write_text(own)
    _do(
        "python -m pytest tests/test_concepts.py tests/sim/test_assets.py -k 'concept or splits or my-'",
        folder,
    )
    _do("python -m pytest tests/test_suites.py tests/test_docs.py -k 'released or catalogue or counts'", folder)


def test_the_table_of_entry_points_is_complete():
    """Each registry's group stands in it, and the tests' plug-in has one of each but robots, which need meshes."""
    import oodbench.expert
    import oodbench.policies.loading
    import oodbench.report.tables
    import oodbench.robots
    import oodbench.sim.shapes
    import oodbench.sim.world
    import oodbench.suite  # noqa: F401
    from oodbench.registry import _registries

    table = re.findall(r"^\| [^|]+ \| `(oodbench\.\w+)` \|", _section("From a package of your own"), re.MULTILINE)
    groups = {registry.group for registry in _registries if registry.shipped_names()}
    assert groups <= set(table)
    assert set(table) - groups <= {"oodbench.pools"}
    plugin = (ROOT / "tests/plugin/pyproject.toml").read_text()
    assert set(re.findall(r'entry-points\."(.*?)"', plugin)) == set(table) - {"oodbench.robots"}
