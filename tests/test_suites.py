"""Released suites do not change: not their files, not the scenes that tasks and shifts make of them."""

import hashlib

import pytest

from oodbench.errors import SpecError
from oodbench.shift import SHIFTS
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS

RELEASED = {  # sha256 of the file's content, and of every 97th scene; a change of either needs a new version
    "core-1": ("7ef5d9865b8cb86c", "d2ee7d3efd6b3d10"),
    "full-1": ("297c95a1ab98865f", "8ff3f62494f7d1d8"),
    "think-1": ("bf396b63f4f03d9c", "11789d7d818e33b4"),
    "language-1": ("1be2f91e4e107515", "9f8ea6590649707b"),
    "sensor-1": ("cee51b1a7016590a", "8000472517b315a4"),
    "physical-1": ("340c294bbfdbb796", "4a6b1008763593f7"),
    "compound-1": ("f30b15b2f80206b3", "794e1076db9d8a7e"),
    "blindvla-13": ("6981f369a042c268", "f0b2329aa270b133"),
}


def _scenes(suite: Suite) -> str:
    digest = hashlib.sha256()
    for episode in suite.plan()[::97]:
        digest.update(episode.scene(suite).sha256.encode())
    return digest.hexdigest()


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_suite_is_what_it_was(name):
    suite = SUITES.get(name)
    assert (suite.sha256[:16], _scenes(suite)[:16]) == RELEASED[name]


def test_core_covers_tasks_axes_and_severities():
    plan = SUITES.get("core-1").plan()
    assert 4500 <= len(plan) <= 5500
    assert len({episode.task for episode in plan}) >= 8
    assert {episode.shift.axis for episode in plan} == {"id", "semantic", "visual", "execution"}
    assert {episode.shift.severity for episode in plan} == {0.0, 1.0, 3.0, 5.0}
    assert len({episode.key for episode in plan}) == len(plan)


def test_full_has_all_its_shifts_at_every_level():
    plan = SUITES.get("full-1").plan()
    names = {episode.shift.name for episode in plan} - {"none"}
    assert len(names) >= 50, "all that there were when it was released; later ones are not in it"
    assert names <= {name for name in SHIFTS.names() if not name.startswith("control.")}
    assert {episode.shift.severity for episode in plan} == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}


def test_blindvla_has_the_thirteen_settings_of_table_1():
    suite = SUITES.get("blindvla-13")
    settings = {cells.setting: cells for cells in suite.cells}
    assert list(settings)[1:] == [
        "Carrot", "Instruct", "MultiCarrot", "MultiPlate", "Plate", "VisImg", "Tex03", "Tex05", "Whole03", "Whole05",
        "Position", "EEPose", "PosChangeTo",
    ]  # fmt: skip
    (episode,) = [e for e in suite.plan(limit=1) if (e.shift.name, e.shift.severity) == ("visual.object-overlay", 3.0)]
    assert episode.scene(suite).sensors.corruptions[0].amount == pytest.approx(0.3)


def test_compound_has_every_pair_and_its_parts():
    names = {str(episode.shift) for episode in SUITES.get("compound-1").plan(limit=1)}
    pairs = [name for name in names if "+" in name]
    assert len(pairs) == 15
    assert {part for pair in pairs for part in pair.split("+")} <= names


def test_every_side_is_right_equally_often_in_think():
    suite = SUITES.get("think-1")
    for task in {episode.task for episode in suite.plan()}:
        goals = [e.scene(suite).goal.success for e in suite.plan() if e.task == task]
        counts = {goal: goals.count(goal) for goal in goals}
        assert len(set(counts.values())) == 1


def test_pairs_that_make_no_sense_are_not_planned():
    for episode in SUITES.get("full-1").plan(limit=1):
        assert episode.shift.applies(TASKS.get(episode.task))
    nothing = {"name": "x", "version": 1, "summary": "", "cells": ()}
    cells = [{"tasks": ["open-drawer"], "shifts": ["semantic.unseen-receptacle"], "severities": [3], "episodes": 1}]
    with pytest.raises((SpecError, ValueError), match="makes sense"):
        Suite.model_validate(nothing | {"cells": cells})
