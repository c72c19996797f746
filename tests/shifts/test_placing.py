"""What shifts add to the table can be seen, touches nothing, and waits where nobody sees it."""

import itertools

import numpy as np
import pytest

from oodbench.catalogue import OBJECTS
from oodbench.shift import SHIFTS
from oodbench.shifts import placing
from oodbench.sim.world import World
from oodbench.task import CAMERAS, TASKS, is_clear

ADDING = (
    "semantic.distractors",
    "semantic.similar-distractors",
    "semantic.reference-spatial",
    "semantic.negation",
    "semantic.two-object",
    "semantic.two-receptacle",
    "semantic.other-goal",
    "visual.clutter",
)
FAMILIES = [task for task in TASKS if task.concept is None]


@pytest.mark.slow
@pytest.mark.parametrize("name", ADDING)
def test_added_objects_touch_nothing(name):
    for task, seed in itertools.product((t for t in FAMILIES if SHIFTS.get(name).applies(t)), range(6)):
        scene = SHIFTS.get(name)(task.sample(seed), 5.0, task=task)
        for i, item in enumerate(scene.objects):
            assert is_clear(item, scene.objects[:i], 0.02), (task.name, seed, item.id)


def test_other_objects_are_in_the_picture():
    """A word that tells the object from others is fair only when the others can be seen."""
    world = World("fast")
    for name, task_name in itertools.product(("semantic.reference-spatial", "semantic.negation"), ("put-on", "lift")):
        for seed in range(4):
            scene = SHIFTS.get(name)(TASKS.get(task_name).sample(seed), 5.0, task=TASKS.get(task_name))
            world.reset(scene)
            seen = set(np.unique(world.segmentation("image", 128)))
            assert all(i in seen for i, item in enumerate(scene.objects)), (name, task_name, seed)


def test_what_comes_later_is_not_seen_before():
    world, task = World("fast"), TASKS.get("put-on")
    for name in ("semantic.distractor-burst", "execution.obstacle"):
        for seed in range(3):
            scene = SHIFTS.get(name)(task.sample(seed), 5.0, task=task)
            new = [i for i, item in enumerate(scene.objects) if item.id not in ("target", "receptacle")]
            world.reset(scene)
            assert not set(new) & set(np.unique(world.segmentation("image", 128)))
            while world.steps <= scene.events[0].step:
                world.step(np.zeros(7))
            assert set(new) <= set(np.unique(world.segmentation("image", 128))), (name, seed)


def test_nothing_is_put_in_the_way_of_a_push():
    task = TASKS.get("push-to")
    for seed in range(20):
        scene = SHIFTS.get("semantic.distractors")(task.sample(seed), 5.0, task=task)
        added = [item for item in scene.objects if item.id.startswith("distractor")]
        assert len(added) == 5
        assert not any(placing.in_lane(item, scene) for item in added)


def test_a_point_is_in_view_as_the_camera_shows_it():
    """The projection agrees with what is rendered."""
    world, task = World("fast"), TASKS.get("lift")
    plain = task.sample(0)
    for x, y in itertools.product((-0.3, 0.0, 0.2), (-0.5, -0.3, 0.0, 0.3, 0.5)):
        scene = plain.replace_object("target", position=(x, y, 0.0), asset="lemon")
        world.reset(scene)
        rows, columns = np.nonzero(world.segmentation("image", 128) == 0)
        inside = len(rows) > 0 and 6 < columns.mean() < 121 and 6 < rows.mean() < 121
        assert placing.in_view(CAMERAS[0], (x, y, OBJECTS.get("lemon").height / 2)) == inside or len(rows) < 40, (x, y)
