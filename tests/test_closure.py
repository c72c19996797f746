"""Identity is content: what is installed beside a suite changes none of its episodes, what it shows changes them."""

from __future__ import annotations

import dataclasses

import pytest

from oodbench import closure
from oodbench.catalogue import GLYPHS, OBJECTS, TEXTURES
from oodbench.errors import RunFolderError, UnknownNameError
from oodbench.pool import POOLS, Pool, standard
from oodbench.registry import Registry
from oodbench.run.plan import PlanFile
from oodbench.run.runner import evaluate
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.shifts import semantic_words
from oodbench.sim.world import World
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS

RELEASED = ("core-2", "full-2", "think-2", "language-2", "sensor-2", "physical-2", "compound-2", "blindvla-13", "quick",
            "smoke")  # fmt: skip


def closures(limit: int = 1) -> dict[str, tuple[str | None, ...]]:
    """Of a part of every released suite."""
    found = {}
    for name in RELEASED:
        suite = SUITES.get(name)
        plan = suite.plan(limit=limit)
        found[name] = (str(len(suite.plan())), *PlanFile.of(suite, plan[::7]).closures)
    return found


def add(monkeypatch: pytest.MonkeyPatch, registry: Registry, thing: object) -> None:
    """As `registry.add`, for one test."""
    monkeypatch.setitem(registry._things, thing.name, thing)
    assert thing.name in registry.names()


def test_what_is_installed_besides_changes_no_released_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    before = closures()
    mango = {"name": "aaa-mango", "label": "mango", "category": "mango"}
    add(monkeypatch, OBJECTS, OBJECTS.get("carrot").model_copy(update=mango))
    add(monkeypatch, TEXTURES, TEXTURES.get("oak").model_copy(update={"name": "aaa-oak"}))
    wording = TASKS.get("put-on").wording[0].model_copy(update={"text": "chuck the {target} at the {receptacle}"})
    add(monkeypatch, TASKS, TASKS.get("put-on").model_copy(update={"name": "aaa-put", "wording": (wording,)}))
    add(monkeypatch, SHIFTS, dataclasses.replace(SHIFTS.get("visual.noise"), name="visual.aaa-noise"))
    semantic_words._words_of_pool.cache_clear()
    assert closures() == before


def test_editing_an_object_changes_exactly_the_episodes_that_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    suite = SUITES.get("smoke")
    plan = suite.plan()
    before = PlanFile.of(suite, plan).closures
    thing = OBJECTS.get(next(e for e in plan if e.task == "put-on").scene(suite).object("target").asset)
    shows = [any(item.asset == thing.name for item in episode.scene(suite).objects) for episode in plan]
    assert 0 < sum(shows) < len(plan)
    monkeypatch.setitem(OBJECTS._things, thing.name, thing.model_copy(update={"mass": thing.mass + 0.01}))
    after = PlanFile.of(suite, plan).closures
    assert [a != b for a, b in zip(before, after, strict=True)] == shows


@pytest.mark.parametrize("shift", ["visual.table-texture@2", "visual.object-overlay@3", "visual.theme-switch@3"])
def test_textures_are_named_wherever_a_scene_has_them(shift: str) -> None:
    task = TASKS.get("put-on")
    plain = task.sample(0)
    scene = ShiftSpec.parse(shift).apply(plain, task=task)
    old, new = ({name for what, name, _ in closure.contents(s) if what == "texture"} for s in (plain, scene))
    assert new - old


def test_boards_and_robots_are_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = TASKS.get("think-letter").sample(0)
    named = {(kind, name) for kind, name, _ in closure.contents(scene)}
    assert {("glyphs", "letter"), ("robot", "panda"), ("object", "board")} <= named
    was = closure.sha256(scene)
    letters = GLYPHS.get("letter")
    monkeypatch.setitem(GLYPHS._things, "letter", letters.model_copy(update={"phrase": "the sign {phrase}"}))
    assert closure.sha256(scene) != was


def test_the_outcome_hash_starts_from_the_closure(monkeypatch: pytest.MonkeyPatch) -> None:
    world, scene = World("fast"), TASKS.get("put-on").sample(0)
    world.reset(scene)
    was = world.outcome_sha256()
    name = scene.object("target").asset
    monkeypatch.setitem(OBJECTS._things, name, OBJECTS.get(name).model_copy(update={"hint": "that is another now"}))
    world.reset(scene)
    assert world.outcome_sha256() != was


def test_a_pool_lists_what_there_is_and_extends_another(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Pool(name="mine", summary="", extends=("standard-1",), objects=("aaa-mango",))
    monkeypatch.setitem(POOLS._things, "mine", mine)
    mango = OBJECTS.get("carrot").model_copy(update={"name": "aaa-mango"})
    monkeypatch.setitem(OBJECTS._things, "aaa-mango", mango)
    names = [asset.name for asset in mine.objects_of("object", "train")]
    assert names == ["aaa-mango", *(asset.name for asset in standard().objects_of("object", "train"))]
    cells = [{"tasks": ["put-on"], "shifts": ["none"], "episodes": 200}]
    suite = Suite.model_validate({"name": "x", "version": 1, "summary": "", "pool": "mine", "cells": cells})
    assert "aaa-mango" in {episode.scene(suite).object("target").asset for episode in suite.plan()}
    with pytest.raises(UnknownNameError, match="did you mean 'standard-1'"):
        TASKS.get("put-on").sample(0, pool="standard-2")


TASK = """
version = 1
summary = "Push a block"
horizon = 30
manipulated = ["target"]
[[role]]
id = "target"
kind = "block"
region = { center = [-0.10, -0.12], half = [0.08, 0.08] }
[goal]
success = ["lifted(target)"]
stages = []
[[wording]]
split = "train"
text = "lift the {target}"
[[wording]]
split = "dev"
level = 1
text = "raise the {target}"
[[wording]]
split = "test"
level = 1
text = "pick up the {target}"
"""


def test_a_task_that_was_edited_in_mid_run_is_refused_and_named(tmp_path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(TASK)
    cells = [{"tasks": [str(path)], "shifts": ["none"], "episodes": 2}]
    suite = Suite.model_validate({"name": "x", "version": 1, "summary": "", "cells": cells})
    evaluate("no-op", suite, out=tmp_path / "run", workers=0)
    evaluate("no-op", suite, out=tmp_path / "run", workers=0)  # the same: nothing to do
    path.write_text(TASK.replace("[-0.10, -0.12]", "[-0.05, 0.12]"))
    with pytest.raises(RunFolderError, match=r"mine.toml/none/0 is another scene now: its task, a shift or an asset"):
        evaluate("no-op", suite, out=tmp_path / "run", workers=0)


def test_a_suite_of_ones_own_draws_from_a_pool_and_an_object_by_their_paths(tmp_path) -> None:
    from oodbench.paths import data_dir

    (tmp_path / "things").mkdir()
    carrot = (data_dir("assets") / "objects" / "carrot.toml").read_text()
    (tmp_path / "things" / "mango.toml").write_text(carrot.replace('label = "carrot"', 'label = "mango"'))
    (tmp_path / "pool.toml").write_text(
        'summary = "Mangoes only"\nobjects = ["things/mango.toml", "plate"]\n'
        'textures = ["oak", "parquet", "white-wall", "checked-floor", "cream-wall", "linen"]\ntasks = ["put-on"]\n'
    )
    (tmp_path / "suite.toml").write_text(
        'version = 1\nsummary = "x"\npool = "pool.toml"\n[[cells]]\ntasks = ["*"]\nshifts = ["none"]\nepisodes = 2\n'
    )
    suite = SUITES.get(str(tmp_path / "suite.toml"))
    assert {episode.task for episode in suite.plan()} == {"put-on"}
    assert {episode.scene(suite).object("target").asset for episode in suite.plan()} == {"mango"}
    folder = evaluate("no-op", str(tmp_path / "suite.toml"), out=tmp_path / "run", workers=1)
    assert [(record.error, record.instruction.count("mango")) for record in folder.records()] == [(None, 1)] * 2
