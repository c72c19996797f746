"""The built wheel, installed in an empty environment and folder under every Python and numpy: the same episodes."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from wheel_envs import ENVIRONMENTS, ROOT, Environment, Missing

# What the modules that a light install cannot import want, each an extra of pyproject.toml.
EXTRAS = {
    "torch",
    "safetensors",
    "sklearn",
    "pyarrow",
    "pandas",
    "websockets",
    "msgpack",
    "zmq",
    "lerobot",
    "vla_eval",
    "pytest",
}
IMPORT_ALL = """
import importlib, json, pkgutil, sys
import numpy, oodbench
missing = {}
for module in pkgutil.walk_packages(oodbench.__path__, "oodbench."):
    if module.name.endswith("__main__") or "lerobot_plugin" in module.name:
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        missing[module.name] = str(error.name).split(".")[0]
try:
    import robosuite
except ImportError:
    robosuite = None
print(json.dumps([oodbench.__file__, numpy.__version__, missing, robosuite is None]))
"""


def _run(*command: object, cwd: Path, **environment: str) -> str:
    """Runs it as a user of that folder would who has nothing else of oodbench's."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OODBENCH", "XDG_"))}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=plain | environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def _wheel(project: Path, target: Path) -> Path:
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    _run(*pip, "--wheel-dir", target, project, cwd=project)
    (found,) = target.glob("oodbench-*.whl")
    return found


def _outcomes(folder: Path) -> dict[str, tuple[str, bool]]:
    """The outcome of each episode of a run by its key."""
    records = map(json.loads, (folder / "episodes.jsonl").read_text().splitlines())
    key = ("task", "shift", "severity", "seed")
    return {"/".join(str(r[name]) for name in key): (r["outcome_sha256"], r["success"]) for r in records}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return _wheel(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """What the checkout plays, in the environment of the tests."""
    folder = tmp_path_factory.mktemp("here")
    run = (sys.executable, "-m", "oodbench", "run", "smoke", "--policy", "expert", "--out", folder / "run")
    _run(*run, cwd=folder, PYTHONPATH=str(ROOT))
    return _outcomes(folder / "run")


@pytest.mark.slow
@pytest.mark.xdist_group("wheel")
@pytest.mark.parametrize("environment", ENVIRONMENTS, ids=lambda item: item.folder.name)
def test_the_wheel_plays_the_same_episodes_without_robosuite(environment: Environment, wheel, here, tmp_path):
    try:
        environment.make()
    except Missing as missing:
        pytest.skip(str(missing))
    except subprocess.CalledProcessError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{environment.folder.name} cannot be made: {(error.stderr or '').strip()[-200:]}")
    python = environment.bin / "python"
    pip = (python, "-m", "pip", "--quiet", "--disable-pip-version-check")
    _run(*pip, "install", "--no-deps", "--no-compile", "--force-reinstall", wheel, cwd=tmp_path)
    _run(*pip, "check", cwd=tmp_path)
    home = tmp_path / "home"
    home.mkdir()

    file, numpy, missing, without_robosuite = json.loads(_run(python, "-c", IMPORT_ALL, cwd=home, HOME=str(home)))
    assert Path(file).is_relative_to(environment.folder)
    assert numpy.startswith(environment.numpy.removeprefix("numpy") + ".")
    assert without_robosuite
    assert set(missing.values()) <= EXTRAS, "a module wants what pip was not asked for"

    oodbench = environment.bin / "oodbench"
    _run(oodbench, "run", "smoke", "--policy", "expert", "--out", "run", cwd=home, HOME=str(home))
    _run(oodbench, "report", "run", "--out", "report.html", cwd=home, HOME=str(home))
    assert not list(home.glob(".*/oodbench*")), "nothing is kept elsewhere"
    outcomes = _outcomes(home / "run")
    assert outcomes.keys() == here.keys()
    assert {key: outcomes[key] for key in here if outcomes[key] != here[key]} == {}


def test_the_wheel_has_all_data_and_licences_and_no_more(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("tasks", "assets"):
        tracked = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in tracked.stdout.split():
            assert f"oodbench/_data/{name}" in names
    top = {name.split("/")[0] for name in names}
    assert top == {"oodbench", *(name for name in top if name.endswith(".dist-info"))}
    licences = {name.split("/licenses/")[1] for name in names if "/licenses/" in name}
    assert licences == {"LICENSE", "assets/robots/LICENSE-robosuite"}
    assert wheel.stat().st_size < 3e6


def test_the_source_distribution_builds_the_same_wheel(wheel, tmp_path):
    _run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(tmp_path, filter="data")
    again = _wheel(tmp_path / archive.name.removesuffix(".tar.gz"), tmp_path / "again")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert {name: one.read(name) for name in one.namelist()} == {
            name: other.read(name) for name in other.namelist()
        }


def test_an_environment_is_made_once_and_a_missing_python_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(Missing, match=r"no Python 3\.99 on this machine"):
        Environment("3.99", "numpy2").make()
    ready = next((item for item in ENVIRONMENTS if item.ready()), None)
    if ready:
        monkeypatch.setattr(shutil, "rmtree", None)
        assert ready.make() is ready
