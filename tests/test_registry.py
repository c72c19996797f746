"""The registry: things of this package, of other packages through entry points, and from paths."""

from __future__ import annotations

import logging
import multiprocessing
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from oodbench import registry, toml
from oodbench.catalogue import OBJECTS
from oodbench.errors import SpecError, UnknownNameError
from oodbench.paths import data_dir
from oodbench.registry import Registry
from oodbench.sim.world import World
from oodbench.task import TASKS

MANGO = (data_dir("assets") / "objects" / "apple.toml").read_text()


class Thing(BaseModel):
    name: str
    size: int = 0
    part: str | None = None


READ: list[Path] = []


def _read(path: Path) -> Thing:
    READ.append(path)
    thing = toml.load(path, Thing)
    if thing.part:
        THINGS[0].get(thing.part)
    return thing


THINGS: list[Registry[Thing]] = []


@pytest.fixture
def things(tmp_path):
    """A registry of things, of which "stone" is shipped."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "stone.toml").write_text("size = 1")
    READ.clear()
    made = Registry("thing", tmp_path / "shipped", _read, of=Thing)
    THINGS[:] = [made]
    return made


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Installs a package of one module with entry points, for this process."""

    def do(points: str, code: str = "", files: dict[str, str] | None = None, name: str = "lemon") -> None:
        site = tmp_path / f"site-{name}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        (site / name).mkdir()
        (site / name / "__init__.py").write_text(code)
        for file, content in (files or {}).items():
            (site / name / file).parent.mkdir(parents=True, exist_ok=True)
            (site / name / file).write_text(content)
        monkeypatch.syspath_prepend(site)
        registry.points.cache_clear()

    yield do
    registry.points.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("lemon", "lime")]:
        del sys.modules[name]


# --- entry points ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "DATA = Path(__file__).parent / 'data'",
        "DATA = str(Path(__file__).parent / 'data')",
        "import importlib.resources; DATA = importlib.resources.files('lemon') / 'data'",
        "def DATA(): return Path(__file__).parent / 'data'",
        "def DATA(): return [Path(__file__).parent / 'data' / f'{n}.toml' for n in ('peel', 'pip')]",
        "from test_registry import Thing; DATA = [Thing(name='peel', size=2), Thing(name='pip', size=3)]",
    ],
)
def test_an_entry_point_may_stand_for_many(things, install, value, monkeypatch):
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    data = {"data/peel.toml": "size = 2", "data/pip.toml": "size = 3"}
    install("[oodbench.things]\nlemon = lemon:DATA\n", f"from pathlib import Path\n{value}\n", data)
    assert things.names() == ["peel", "pip", "stone"]
    assert [thing.size for thing in things] == [2, 3, 1]
    assert things.shipped_names() == ["stone"]


@pytest.mark.parametrize("value", ["Path(__file__).parent / 'peel.toml'", "Thing(name='peel', size=2)"])
def test_an_entry_point_may_stand_for_one_whose_name_it_has(things, install, value, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "test_registry", sys.modules[__name__])
    code = f"from pathlib import Path\nfrom test_registry import Thing\nDATA = {value}\n"
    install("[oodbench.things]\npeel = lemon:DATA\nskin = lemon:DATA\n", code, {"peel.toml": "size = 2"})
    assert things.get("peel").size == 2
    assert things.names() == ["peel", "stone"]
    with pytest.raises(
        SpecError, match=r"'skin' \(entry point 'lemon:DATA' of package lemon\).*its own name is 'peel'"
    ):
        things.get("skin")


def test_decorators_register_when_an_entry_point_names_their_module_or_their_thing(install):
    verbs: Registry[object] = Registry("verb")
    sys.modules["verbs_of_this_test"] = type(sys)("verbs_of_this_test")
    sys.modules["verbs_of_this_test"].VERBS = verbs  # type: ignore[attr-defined]
    code = "from verbs_of_this_test import VERBS\ndef squeeze(): pass\ndef peel(): pass\n"
    code += "VERBS.add('squeeze', squeeze)\nVERBS.add('peel', peel)\ndef plain(): pass\n"
    install("[oodbench.verbs]\nsqueeze = lemon:squeeze\nall = lemon\nplain = lemon:plain\n", code)
    assert verbs.names() == ["peel", "plain", "squeeze"]
    assert verbs.shipped_names() == []


def test_shifts_of_another_package_are_listed_and_travel_to_other_processes(install):
    """A decorator behind an entry point was once "registered twice", and broke `oodbench list shifts`."""
    code = """
from oodbench.shift import shift
@shift("execution.tilted-gravity", channels=("actuation",), unit="-", source="-", star_gen="-")
def tilted_gravity(scene, context):
    \"\"\"The hand drifts.\"\"\"
    return scene.but(actuation=scene.actuation.but(bias=(0.0, -0.02 * context.severity, 0.0, 0.0, 0.0, 0.0)))
"""
    install("[oodbench.shifts]\nexecution.tilted-gravity = lemon.shifts:tilted_gravity\n", "", {"shifts.py": code})
    program = (
        "import pickle, sys\nfrom oodbench.shift import SHIFTS, ShiftSpec\nassert [s.name for s in SHIFTS]\n"
        "spec = pickle.loads(pickle.dumps(ShiftSpec.parse('execution.tilted-gravity@2')))\nprint(spec)\n"
        "assert 'execution.tilted-gravity' not in SHIFTS.shipped_names()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=_env(), check=False, timeout=60
    )
    assert done.stdout == "execution.tilted-gravity@2\n", done.stderr
    assert done.stderr == ""


def _env() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_what_cannot_be_loaded_is_one_warning_and_breaks_nothing_else(things, install, caplog):
    code = "NUMBER = 3\nfrom pathlib import Path\nDATA = Path(__file__).parent / 'data'\n"
    data = {"data/peel.toml": "size = 'big'", "data/pip.toml": "size = 3", "data/stone.toml": "size = 4"}
    install("[oodbench.things]\nall = lemon:DATA\nbroken = lemon:NUMBER\nlost = limes:none\n", code, data)
    install("[oodbench.things]\npip = lime:DATA\n", "raise RuntimeError('sour')", name="lime")
    with caplog.at_level(logging.WARNING, "oodbench"):
        for _ in range(2):
            assert [thing.name for thing in things] == ["pip", "stone"]
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 5
    for words in (
        "'stone' (entry point 'lemon:DATA' of package lemon) cannot be loaded: thing 'stone' is registered twice",
        "'broken' (entry point 'lemon:NUMBER' of package lemon) cannot be loaded: it gives a int",
        "'lost' (entry point 'limes:none' of package lemon) cannot be loaded: ModuleNotFoundError",
        "'pip' (entry point 'lime:DATA' of package lime) cannot be loaded: RuntimeError('sour')",
        "'peel' (package lemon) cannot be loaded: ",
    ):
        assert any(words in text for text in said), (words, said)
    assert things.get("stone").size == 1
    with pytest.raises(SpecError, match=r"peel\.toml:1: size"):
        things.get("peel")
    with pytest.raises(SpecError, match="No module named 'limes'"):
        things.get("lost")
    with pytest.raises(UnknownNameError, match="'stone'"):
        things.get("stones")


def test_what_is_costly_is_loaded_when_it_is_asked_for(install, caplog):
    lazy: Registry[object] = Registry("engine", lazy=True)
    install("[oodbench.engines]\nslow = lemon:make\nbad = limes:make\n", "def make(): return 7\n")
    assert lazy.names() == ["bad", "slow"]
    assert "lemon" not in sys.modules
    assert not caplog.records
    assert lazy.get("slow")() == 7
    with pytest.raises(SpecError, match="limes"):
        lazy.get("bad")


# --- paths ----------------------------------------------------------------------------------------------------------


def test_a_file_is_read_once_and_again_when_it_was_changed(things, tmp_path):
    """Each of 1980 episodes of a task given by its path once read and checked the file anew."""
    path = tmp_path / "mine.toml"
    path.write_text("size = 5")
    assert things.get(str(path)) is things.get(str(path))
    assert len(READ) == 1
    assert things.get("mine").size == 5
    assert "mine" not in things.names(), "what has a name only here must not enter pools and patterns"
    path.write_text("size = 6")
    assert things.get(str(path)).size == things.get("mine").size == 6


def test_a_relative_path_in_a_file_is_taken_from_its_folder(things, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "whole.toml").write_text("part = 'parts/half.toml'")
    (tmp_path / "a" / "parts").mkdir()
    (tmp_path / "a" / "parts" / "half.toml").write_text("size = 7")
    monkeypatch.chdir(tmp_path)
    whole = things.get("a/whole.toml")
    assert things.get(whole.part).size == things.get("half").size == 7


def test_two_things_of_one_name_are_refused_and_equal_ones_are_one(things, tmp_path):
    for name, text in {"a": "size = 5", "b": "size = 6", "c": "size = 5"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.toml").write_text(text)
    mine = things.get(str(tmp_path / "a" / "mine.toml"))
    with pytest.raises(SpecError, match=r"b/mine\.toml: there is another thing 'mine' \(.*a/mine\.toml\); rename"):
        things.get(str(tmp_path / "b" / "mine.toml"))
    assert things.get(str(tmp_path / "c" / "mine.toml")) is mine
    (tmp_path / "stone.toml").write_text("size = 9")
    with pytest.raises(SpecError, match=r"another thing 'stone' \(of oodbench\)"):
        things.get(str(tmp_path / "stone.toml"))


def _own_object(folder: Path, where: str) -> Path:
    (folder / "mango.toml").write_text(MANGO)
    text = (data_dir("tasks") / "put-on.toml").read_text()
    role = 'kind = "object"\n'
    assert role in text
    path = folder / "put-mango.toml"
    path.write_text(text.replace(role, f'{role}asset = "{where}"\n', 1))
    return path


def test_an_object_given_by_its_path_is_played(tmp_path):
    """The scene names it by its own name, which nobody knew: "unknown object 'mango'"."""
    task = TASKS.get(str(_own_object(tmp_path, "mango.toml")))
    scene = task.sample(0)
    assert scene.objects[0].asset == "mango"
    world = World("fast")
    world.reset(scene)
    assert world.position(scene.objects[0].id)[2] < 0.1
    assert "mango" not in OBJECTS.names()


def _in_a_worker(names: tuple[str, str]) -> tuple[str, str]:
    return TASKS.get(names[0]).sample(0).objects[0].asset, OBJECTS.get(names[1]).name


def test_workers_know_what_was_read_from_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _own_object(tmp_path, "mango.toml")
    TASKS.get("put-mango.toml")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(_in_a_worker, [("put-mango", "mango"), ("put-mango.toml", "mango")]) == [("mango", "mango")] * 2
        (tmp_path / "mango.toml").write_text(MANGO.replace("mass = ", "mass = 1"))
    with multiprocessing.get_context("spawn").Pool(1) as pool, pytest.raises(SpecError, match="was changed since"):
        pool.map(_in_a_worker, [("put-mango", "mango")])


@pytest.mark.slow
def test_a_suite_elsewhere_with_a_task_and_an_object_beside_it_is_played_by_workers(tmp_path, cli):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    _own_object(folder, "mango.toml")
    cells = '[[cells]]\ntasks = ["put-mango.toml"]\nshifts = ["none"]\nepisodes = 1\n'
    (folder / "mine.toml").write_text(f'version = 1\nsummary = "mine"\n{cells}')
    result = cli("run", "elsewhere/mine.toml", "--policy", "no-op", "--workers", 1, "--out", "out")
    assert result.returncode == 0, result.stderr
    (record,) = (tmp_path / "out" / "episodes.jsonl").read_text().splitlines()
    assert '"error":null' in record
    assert "apple" in record, "the label of the object's file"
