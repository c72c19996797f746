"""The contract of every shift in every task: identity at 0, only declared channels, and a change that is there."""

import itertools

import numpy as np
import pytest

from oodbench.catalogue import OBJECTS, TEXTURES
from oodbench.errors import SpecError, UnknownNameError
from oodbench.scene import Scene, changed_channels
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.sim.world import World
from oodbench.task import TASKS

SEVERITIES = (0.0, 1.0, 3.0, 5.0)
SEEDS = (0, 1, 2)
COUNTING = {  # their severity counts things, so that whole steps are what they are made of
    "semantic.paraphrase",
    "semantic.unseen-object",
    "semantic.distractors",
    "execution.action-latency",
}
CELLS = [
    pytest.param(task, shift, severity, id=f"{task}/{shift}@{severity:g}")
    for task, shift, severity in itertools.product(TASKS.names(), SHIFTS.names(), SEVERITIES)
]


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


def _pair(task: str, shift: str, severity: float, seed: int, split: str = "test") -> tuple[Scene, Scene]:
    plain = TASKS.get(task).sample(seed)
    return plain, SHIFTS.get(shift)(plain, severity, task=TASKS.get(task), split=split)


@pytest.mark.parametrize(("task", "shift", "severity"), CELLS)
def test_contract(task, shift, severity, world):
    for seed in SEEDS:
        plain, shifted = _pair(task, shift, severity, seed)
        if severity == 0:
            assert shifted.canonical_json() == plain.canonical_json()
            continue
        changed = changed_channels(plain, shifted)
        assert changed <= SHIFTS.get(shift).channels, "touches what it did not declare"
        assert changed, "changes nothing"
        assert shifted.key == plain.key
        assert shifted.goal == plain.goal or "goal" in SHIFTS.get(shift).channels
    if severity:
        _realised(world, shift, plain, shifted)


def _realised(world: World, shift: str, plain: Scene, shifted: Scene) -> None:
    """What is declared is there in the world, not only in the description."""
    world.reset(plain)
    frame, joints = world.render().astype(int), world.data.qpos[world.built.arm_qpos].copy()
    world.reset(shifted)
    if shift.startswith("visual."):
        difference = np.abs(world.render().astype(int) - frame).mean()
        assert difference > 0.5, "nobody would see it"
    if "robot" in SHIFTS.get(shift).channels:
        realised = world.data.qpos[world.built.arm_qpos]
        assert np.allclose(realised, shifted.robot.qpos, atol=1e-9)
        assert np.abs(realised - joints).max() > 0.01
    if shift == "semantic.paraphrase":
        assert world.observation().instruction != plain.instruction.text
    if shift == "execution.object-pose" and shifted.goal.manipulated in world.built.free:
        there = world.position(shifted.goal.manipulated)
        assert np.allclose(there[:2], shifted.object(shifted.goal.manipulated).position[:2], atol=1e-6)


@pytest.mark.parametrize("shift", SHIFTS.names())
def test_the_same_request_gives_the_same_scene(shift):
    for task in TASKS.names():
        assert _pair(task, shift, 3.0, 5)[1] == _pair(task, shift, 3.0, 5)[1]


@pytest.mark.parametrize("shift", [name for name in SHIFTS.names() if name not in COUNTING])
def test_severity_grows_without_changing_kind(shift):
    """Neighbouring severities of one seed draw the same numbers: nothing jumps between 2.999 and 3."""
    for task in TASKS.names():
        _, a = _pair(task, shift, 2.999, 0)
        _, b = _pair(task, shift, 3.0, 0)
        flat_a, flat_b = (_numbers(x.model_dump()) for x in (a, b))
        assert np.abs(flat_a - flat_b).max() < 0.01


def _numbers(value: object) -> np.ndarray:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        parts = [_numbers(item) for item in value]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.array([value] if isinstance(value, float) else [], dtype=float)


@pytest.mark.parametrize("shift", SHIFTS.names())
def test_instructions_never_carry_the_name_of_the_shift(shift):
    words = {shift, shift.split(".")[1], *(w for w in shift.split(".")[1].split("-") if len(w) > 5)}
    for task, severity, seed in itertools.product(TASKS.names(), (1.0, 3.0, 5.0), range(10)):
        text = _pair(task, shift, severity, seed)[1].instruction.text.lower()
        assert not any(word in text.replace(" ", "-") for word in words)
        assert "{" not in text
        assert text.isascii()


def test_distractors_are_never_of_a_category_that_the_task_is_about():
    for task, seed in itertools.product(TASKS.names(), range(30)):
        plain, shifted = _pair(task, "semantic.distractors", 5.0, seed)
        about = {OBJECTS.get(item.asset).category for item in plain.objects}
        added = [item for item in shifted.objects if item.id.startswith("distractor")]
        assert len(added) == 5
        assert not about & {OBJECTS.get(item.asset).category for item in added}
        assert len({item.asset for item in added}) == 5


@pytest.mark.parametrize("split", ["dev", "test"])
def test_shifts_draw_from_their_split_only(split):
    for shift, task, severity in itertools.product(SHIFTS.names(), TASKS.names(), (1.0, 3.0, 5.0)):
        for seed in range(5):
            plain, shifted = _pair(task, shift, severity, seed, split)
            old = {item.asset for item in plain.objects}
            new = {item.asset for item in shifted.objects} - old
            assert all(OBJECTS.get(name).split == split for name in new)
            other = shifted.surfaces.table.other
            assert other is None or TEXTURES.get(other).split == split
            assert all(OBJECTS.get(name).split == "train" for name in old)


def test_unseen_object_is_named_in_the_instruction():
    for task, seed in itertools.product(TASKS.names(), range(20)):
        _, shifted = _pair(task, "semantic.unseen-object", 3.0, seed)
        asset = OBJECTS.get(shifted.object(shifted.goal.manipulated).asset)
        assert asset.label in shifted.instruction.text
        assert asset.novelty > 0


def test_composition_applies_both_and_keeps_each_ones_draws():
    task = TASKS.get("put-on")
    plain = task.sample(4)
    both = ShiftSpec.parse("visual.lighting@3+execution.action-latency@2").apply(plain, task=task)
    light = ShiftSpec.parse("visual.lighting@3").apply(plain, task=task)
    assert both.lights == light.lights
    assert both.timing.action_delay == 2
    assert changed_channels(plain, both) == {"lights", "timing"}


def test_a_shift_does_not_move_another_ones_draws():
    task = TASKS.get("put-on")
    plain = task.sample(4)
    first = ShiftSpec.parse("execution.object-pose@3+semantic.distractors@2").apply(plain, task=task)
    alone = ShiftSpec.parse("execution.object-pose@3").apply(plain, task=task)
    assert first.object("target") == alone.object("target")


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("visual.lightning@3", UnknownNameError, "visual.lighting"),
        ("lighting@3", UnknownNameError, "visual.lighting"),
        ("visual.lighting@7", SpecError, r"\[0, 5\]"),
        ("visual.lighting@-1", SpecError, r"\[0, 5\]"),
        ("visual.lighting@high", SpecError, "number"),
        ("visual.lighting", SpecError, "visual.lighting@3"),
        ("visual.lighting@1+visual.lighting@2", SpecError, "twice"),
    ],
)
def test_bad_specs_say_what_is_wrong(text, error, says):
    with pytest.raises(error, match=says):
        ShiftSpec.parse(text)


def test_spec_text_round_trip():
    for text in ("none", "visual.lighting@3", "visual.lighting@3+execution.action-latency@2.5"):
        assert str(ShiftSpec.parse(text)) == text
