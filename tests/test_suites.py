"""Released suites do not change: not their files, not the scenes that tasks and shifts make of them."""

from collections import Counter, defaultdict
from itertools import combinations

import pytest

from oodbench.errors import SpecError
from oodbench.pool import standard
from oodbench.run.plan import PlanFile
from oodbench.suite import SUITES, Suite, first, select
from oodbench.task import TASKS

# The hash of the file's content, and of the plan: all its episodes (of full-2, the first of each cell) and what they
# show. A change of either needs a new version. `python tests/test_suites.py` prints the table.
RELEASED = {
    "core-2": ("971bde9f1572a577", "c83acb200af89940"),
    "full-2": ("33e9865d4a71163b", "cef967134fec4302"),
    "think-2": ("fd777c75e5f94459", "70fea5d198a0bd6f"),
    "language-2": ("42e347424915bc4e", "d1026c656908f89f"),
    "sensor-2": ("bab428db7cebaff5", "0c10a123729030bc"),
    "physical-2": ("1bacbf70538bfaed", "758aad01a8e21c49"),
    "compound-2": ("05c9f9319e4c4c1d", "a9ee8a8177f9b62b"),
    "blindvla-13": ("8dcc70400c48129c", "623c06c1b13cfaad"),
}


def pins(name: str) -> tuple[str, str]:
    suite = SUITES.get(name)
    plan = PlanFile.of(suite, suite.plan(limit=1 if name == "full-2" else None))
    assert None not in plan.closures, "a scene cannot be made"
    return suite.sha256[:16], plan.sha256[:16]


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_suite_is_what_it_was(name):
    assert pins(name) == RELEASED[name]


def test_core_covers_tasks_axes_and_severities():
    plan = SUITES.get("core-2").plan()
    assert 5500 <= len(plan) <= 6500
    assert len({episode.task for episode in plan}) >= 8
    assert {episode.shift.axis for episode in plan} == {"id", "semantic", "visual", "execution"}
    assert {episode.shift.severity for episode in plan} == {0.0, 1.0, 3.0, 5.0}
    assert len({episode.key for episode in plan}) == len(plan)


@pytest.mark.parametrize("name", SUITES.shipped_names())
def test_every_shifted_episode_has_its_in_distribution_twin(name):
    for limit in (None, 1, 2):
        plan = SUITES.get(name).plan(limit=limit)
        plain = {(e.task, e.seed) for e in plan if not e.shift.parts}
        assert all((e.task, e.seed) in plain for e in plan)


@pytest.mark.parametrize(("name", "most"), [("core-2", 3), ("sensor-2", 3), ("physical-2", 3)])
def test_scenes_are_shared_by_few_cells_and_no_two_levels_of_a_shift(name, most):
    suite = SUITES.get(name)
    scenes, together = defaultdict(list), Counter()
    for e in suite.plan():
        if e.shift.parts:
            scenes[e.task, e.seed].append(e.shift)
    assert {task for task, _ in scenes} == {e.task for e in suite.plan()}
    for (task, _), shifts in scenes.items():
        assert len(shifts) <= most
        assert len({shift.name for shift in shifts}) == len(shifts)
        together.update((task, *sorted(map(str, pair))) for pair in combinations(shifts, 2))
    assert max(together.values()) == 1, "two cells meet in more than one scene"
    for task in {task for task, _ in scenes}:
        counts = [len(scenes[task, seed]) for seed in range(suite.scene_count)]
        assert max(counts) - min(counts) <= 1 + (name == "physical-2")


@pytest.mark.parametrize("name", SUITES.shipped_names())
def test_any_prefix_is_balanced_over_the_cells_of_a_block(name):
    suite = SUITES.get(name)
    plan = suite.plan()
    whole = Counter((e.task, str(e.shift)) for e in plan)
    cells = defaultdict(list)  # those with as many episodes
    for (task, shift), count in whole.items():
        cells[task, count].append((task, shift))
    for part in (len(plan) // 7, len(plan) // 3, len(plan) // 2):
        seen = Counter((e.task, str(e.shift)) for e in plan[:part])
        for group in cells.values():
            counts = [seen[cell] for cell in group]
            assert max(counts) - min(counts) <= 2


def test_a_cell_sees_every_option_of_a_task():
    """Tasks take their options in turn, by the seed: no cell may be tied to one of them."""
    options = defaultdict(Counter)
    for e in SUITES.get("core-2").plan():
        if e.task == "place-relative" and e.shift.parts:
            options[str(e.shift)][e.seed % len(TASKS.get(e.task).option)] += 1
    assert {tuple(sorted(found.values())) for found in options.values()} == {(1, 2, 2, 2)}


def test_a_limit_keeps_the_first_episodes_of_each_cell():
    suite = SUITES.get("core-2")
    plan, part = suite.plan(), suite.plan(limit=2)
    counts = Counter((e.task, str(e.shift)) for e in part if e.shift.parts)
    assert set(counts.values()) == {2}
    assert {e.seed for e in part} == set(range(2 * suite.scene_count // 7))
    kept = {e.key for e in part}
    assert [e for e in plan if e.key in kept] == part
    assert suite.plan(limit=10**6) == plan


def test_a_choice_of_shifts_is_played_with_the_twins_of_its_episodes():
    plan = SUITES.get("core-2").plan()
    part = select(plan, ["put-on"], ["visual.noise"])
    scenes = {e.seed for e in part if e.shift.parts}
    assert len(scenes) == 21
    assert {e.seed for e in part if not e.shift.parts} == scenes
    assert len(select(plan, ["put-on"], ["none"])) == 168
    assert [e.seed for e in first(select(plan, ["put-on"], ["none"]), 2)] == [0, 1]


def test_controls_are_played_in_the_scenes_of_their_shift():
    scenes = defaultdict(set)
    for e in SUITES.get("language-2").plan():
        scenes[e.task, str(e.shift)].add(e.seed)
    for (task, shift), seeds in scenes.items():
        if shift.startswith("semantic.") and "+" not in shift:
            assert scenes[task, f"{shift}+control.blank@1"] == scenes[task, f"{shift}+control.scrambled@1"] == seeds


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scenes": 12}, "no multiple of 5 episodes"),
        ({"scenes": 4}, "no multiple of 5 episodes"),
        ({"scenes": -1}, "scenes"),
        ({"scenes": "many"}, "scenes"),
        ({"cells": [{"shifts": ["none"]}]}, "say how many a task has"),
        ({"cells": [{"shifts": ["none"], "episodes": 3}], "scenes": 5}, "leave `episodes` out"),
        ({"cells": [{"shifts": ["visual.noise@3"]}], "scenes": 5}, "say how many episodes a cell has"),
        ({"cells": [{"shifts": ["visual.noise@3"], "episodes": 0}]}, "episodes"),
        ({"cells": [{"shifts": ["visual.noise@3"], "controls": ["visual.noise@1"], "episodes": 1}]}, "twice"),
    ],
)
def test_a_design_that_cannot_be_says_why(change, said):
    cells = [{"tasks": ["put-on"], "shifts": ["visual.noise@3"], "episodes": 5}]
    with pytest.raises((SpecError, ValueError), match=said):
        Suite.model_validate({"name": "x", "version": 1, "summary": "", "cells": cells} | change)


def test_without_a_pool_every_cell_is_played_in_every_scene():
    cells = [{"tasks": ["put-on"], "shifts": ["none", "visual.noise@3"], "episodes": 5}]
    plan = Suite.model_validate({"name": "x", "version": 1, "summary": "", "cells": cells}).plan()
    assert [(e.seed, str(e.shift)) for e in plan] == [
        (s, shift) for s in range(5) for shift in ("none", "visual.noise@3")
    ]


def test_full_has_all_its_shifts_at_every_level():
    plan = SUITES.get("full-2").plan()
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
    (episode, *_) = [e for e in suite.plan() if (e.shift.name, e.shift.severity) == ("visual.object-overlay", 3.0)]
    assert episode.scene(suite).sensors.corruptions[0].amount == pytest.approx(0.3)


def test_compound_has_every_pair_and_its_parts():
    names = {str(episode.shift) for episode in SUITES.get("compound-2").plan(limit=1)}
    pairs = [name for name in names if "+" in name]
    assert len(pairs) == 15
    assert {part for pair in pairs for part in pair.split("+")} <= names


def test_every_side_is_right_equally_often_in_think():
    suite = SUITES.get("think-2")
    for task in {episode.task for episode in suite.plan()}:
        goals = [e.scene(suite).goal.success for e in suite.plan() if e.task == task]
        counts = {goal: goals.count(goal) for goal in goals}
        assert len(set(counts.values())) == 1


def test_pairs_that_make_no_sense_are_not_planned():
    for episode in SUITES.get("full-2").plan(limit=1):
        assert episode.shift.applies(TASKS.get(episode.task))
    nothing = {"name": "x", "version": 1, "summary": "", "cells": ()}
    cells = [{"tasks": ["open-drawer"], "shifts": ["semantic.unseen-receptacle"], "severities": [3], "episodes": 1}]
    with pytest.raises((SpecError, ValueError), match="makes sense"):
        Suite.model_validate(nothing | {"cells": cells})


if __name__ == "__main__":
    for name in RELEASED:
        print(f'    "{name}": {pins(name)},'.replace("'", '"'))
