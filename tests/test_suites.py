"""Released suites do not change: not their files, not the scenes that tasks and shifts make of them."""

import pytest

from oodbench.errors import SpecError
from oodbench.pool import standard
from oodbench.run.plan import PlanFile
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS

# The hash of the file's content, and of the plan: all its episodes (of full-1, the first of each cell) and what they
# show. A change of either needs a new version. `python tests/test_suites.py` prints the table.
RELEASED = {
    "core-1": ("d38783093db5f94d", "aee68906b2f6be2d"),
    "full-1": ("f03f76976adb28a6", "6dcd87a74d8d2684"),
    "think-1": ("5fd2b51aa75ad7db", "a0b35d0842564ae3"),
    "language-1": ("4c094c1196923721", "be3dd1409542dac7"),
    "sensor-1": ("3811a5a76a40b87d", "cb9eea8c4980fc12"),
    "physical-1": ("6627a314240b765b", "8e9c49a455c39b03"),
    "compound-1": ("a87d89f2baf4d39e", "81468790a18054e2"),
    "blindvla-13": ("ca833952e2005bd4", "50a5df85e4cae681"),
}


def pins(name: str) -> tuple[str, str]:
    suite = SUITES.get(name)
    plan = PlanFile.of(suite, suite.plan(limit=1 if name == "full-1" else None))
    assert None not in plan.closures, "a scene cannot be made"
    return suite.sha256[:16], plan.sha256[:16]


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_suite_is_what_it_was(name):
    assert pins(name) == RELEASED[name]


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
    assert names == {name for name in standard().names("shifts") if not name.startswith("control.")}
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


if __name__ == "__main__":
    for name in RELEASED:
        print(f'    "{name}": {pins(name)},'.replace("'", '"'))
