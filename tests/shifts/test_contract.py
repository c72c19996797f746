"""The contract of every shift in every task: identity at 0, only declared channels, and a change that is there."""

import itertools
from functools import lru_cache

import numpy as np
import pytest

from oodbench.catalogue import OBJECTS, TEXTURES
from oodbench.errors import SpecError, UnknownNameError
from oodbench.scene import Restage, Scene, Surfaces, changed_channels
from oodbench.shift import AXES, SHIFTS, ShiftSpec
from oodbench.sim.world import World
from oodbench.spacing import measure
from oodbench.task import TASKS
from oodbench.understand import disagreement

SEVERITIES = (0.0, 1.0, 3.0, 5.0)
SEEDS = (0, 1, 2)
# Their severity counts things, or goes from one texture to the next, so that steps are what they are made of. Every
# other semantic shift does, too.
COUNTING = {
    *("visual.clutter", "execution.obstacle", "execution.action-latency", "execution.stale-observations"),
    *("visual.table-texture", "visual.background", "visual.theme-switch"),
}
CONTINUOUS_SEMANTIC = {"semantic.other-goal", "semantic.correction"}
FAMILIES = [name for name in TASKS.names() if not name.startswith("think-")] + ["think-shape", "think-parity"]
QUICK = ("put-on", "open-drawer", "think-parity")  # what the fast lane looks at
CELLS = [
    pytest.param(task, shift, id=f"{task}/{shift}", marks=[] if task in QUICK else [pytest.mark.slow])
    for task, shift in itertools.product(FAMILIES, SHIFTS.names())
    if SHIFTS.get(shift).applies(TASKS.get(task))
]


def _tasks(shift: str) -> list[str]:
    """The tasks in which a shift makes sense."""
    return [task for task in FAMILIES if SHIFTS.get(shift).applies(TASKS.get(task))]


@pytest.fixture(scope="module")
def world() -> World:
    return World("fast")


@lru_cache(maxsize=256)
def _plain(task: str, seed: int) -> Scene:
    return TASKS.get(task).sample(seed)


def _pair(task: str, shift: str, severity: float, seed: int, split: str = "test") -> tuple[Scene, Scene]:
    plain = _plain(task, seed)
    return plain, SHIFTS.get(shift)(plain, severity, task=TASKS.get(task), split=split)


@pytest.mark.parametrize(("task", "shift"), CELLS)
def test_contract(task, shift):
    for severity, seed in itertools.product(SEVERITIES, SEEDS):
        plain, shifted = _pair(task, shift, severity, seed)
        if severity == 0:
            assert shifted.canonical_json() == plain.canonical_json()
            continue
        changed = changed_channels(plain, shifted)
        assert changed <= SHIFTS.get(shift).channels, "touches what it did not declare"
        assert changed, "changes nothing"
        assert shifted.key == plain.key
        assert shifted.goal == plain.goal or "goal" in SHIFTS.get(shift).channels
        _carries_no_name(shift, shifted.instruction.text.lower())
        _draws_from(shift, plain, shifted, "test")


def _carries_no_name(shift: str, text: str) -> None:
    """The instruction does not give the shift away."""
    words = {shift, shift.split(".")[1], *(w for w in shift.split(".")[1].split("-") if len(w) > 5)}
    assert not any(word in text.replace(" ", "-") for word in words - {"object"})
    assert "{" not in text
    assert text.isascii()


def _draws_from(shift: str, plain: Scene, shifted: Scene, split: str) -> None:
    """What a shift adds is of the split that was asked for, and what was there was of train."""
    old = {item.asset for item in plain.objects}
    added = [item for item in shifted.objects if item.asset not in old]
    new = {item.asset for item in added if OBJECTS.get(item.asset).kind != "prop"}
    allowed = "train" if _is_about_reference(shift) else split
    assert all(OBJECTS.get(name).split == allowed for name in new), shift
    staged = [shifted.surfaces, *(e.surfaces for e in shifted.events if isinstance(e, Restage) and e.surfaces)]
    for surfaces, name in itertools.product(staged, Surfaces.model_fields):
        now, was = getattr(surfaces, name), getattr(plain.surfaces, name)
        assert now == was or TEXTURES.get(now.texture).split == split, shift
        assert TEXTURES.get(was.texture).split == "train"
    assert all(OBJECTS.get(name).split == "train" for name in old)


@pytest.mark.parametrize("shift", SHIFTS.names())
def test_what_a_shift_declares_is_there_in_the_world(shift, world):
    """Not only in the description: seen, said, moved, at the first severity that is reported and at the last."""
    for task, severity in itertools.product(_tasks(shift)[:2], (1.0, 5.0)):
        _realised(world, shift, *_pair(task, shift, severity, 3), severity)


def _realised(world: World, shift: str, plain: Scene, shifted: Scene, severity: float) -> None:
    world.reset(plain)
    cameras = [camera.name for camera in plain.cameras]
    frames, joints = [world.see(c, 96).astype(int) for c in cameras], world.data.qpos[world.built.arm_qpos].copy()
    world.reset(shifted)
    if shift.startswith("visual.") and not shifted.events:
        wait = max((c.since for c in shifted.sensors.corruptions), default=0)
        for _ in range(wait):
            world.step(np.zeros(7))
        difference = [np.abs(world.see(c, 96).astype(int) - was).mean() for c, was in zip(cameras, frames, strict=True)]
        assert max(difference) > (0.02 if severity == 1 else 0.3), "nobody would see it"
    if SHIFTS.get(shift).channels == {"robot"} and shift.startswith("execution."):
        realised = world.data.qpos[world.built.arm_qpos]
        assert np.allclose(realised, shifted.robot.qpos, atol=1e-9)
        assert np.abs(realised - joints).max() > 0.01
    if "instruction" in SHIFTS.get(shift).channels:
        assert world.observation().instruction == shifted.instruction.text != plain.instruction.text
    if shift == "execution.object-pose" and shifted.goal.manipulated[0] in world.built.free:
        there = world.position(shifted.goal.manipulated[0])
        assert np.allclose(there[:2], shifted.object(shifted.goal.manipulated[0]).position[:2], atol=1e-6)


@pytest.mark.parametrize("shift", SHIFTS.names())
def test_the_same_request_gives_the_same_scene(shift):
    for task in _tasks(shift):
        first = _pair(task, shift, 3.0, 5)[1]
        _plain.cache_clear()
        assert _pair(task, shift, 3.0, 5)[1] == first


@pytest.mark.parametrize(
    "shift",
    [
        name
        for name in SHIFTS.names()
        if name in CONTINUOUS_SEMANTIC or (name.startswith(("visual.", "execution.")) and name not in COUNTING)
    ],
)
def test_severity_grows_without_changing_kind(shift):
    """Neighbouring severities of one seed draw the same numbers: nothing jumps between 2.999 and 3."""
    for task in _tasks(shift):
        _, a = _pair(task, shift, 2.999, 0)
        _, b = _pair(task, shift, 3.0, 0)
        flat_a, flat_b = (_numbers(x.model_dump()) for x in (a, b))
        assert np.abs(flat_a - flat_b).max() < 0.05


def _numbers(value: object) -> np.ndarray:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        parts = [_numbers(item) for item in value]
        return np.concatenate(parts) if parts else np.zeros(0)
    return np.array([value] if isinstance(value, float) else [], dtype=float)


@pytest.mark.slow
def test_distractors_are_never_of_a_category_that_the_task_is_about():
    for task, seed in itertools.product(FAMILIES, range(15)):
        plain, shifted = _pair(task, "semantic.distractors", 5.0, seed)
        about = {OBJECTS.get(item.asset).category for item in plain.objects}
        added = [item for item in shifted.objects if item.id.startswith("distractor")]
        assert len(added) == 5
        assert not about & {OBJECTS.get(item.asset).category for item in added}
        assert len({item.asset for item in added}) == 5


@pytest.mark.slow
@pytest.mark.parametrize("axis", AXES)
def test_tuning_never_meets_the_things_of_the_test(axis):
    """As the contract has it for the test split, for dev."""
    for shift in [name for name in SHIFTS.names() if name.startswith(f"{axis}.")]:
        for task, severity, seed in itertools.product(_tasks(shift), (1.0, 5.0), range(2)):
            _draws_from(shift, *_pair(task, shift, severity, seed, "dev"), "dev")


def _is_about_reference(shift: str) -> bool:
    """Their other objects are training objects, so that nothing but the reference is new."""
    names = ("semantic.reference-", "semantic.negation", "semantic.correction", "semantic.other-goal", "control.")
    return shift.startswith(names)


def test_unseen_object_is_named_in_the_instruction():
    for task, seed in itertools.product(_tasks("semantic.unseen-object"), range(8)):
        _, shifted = _pair(task, "semantic.unseen-object", 3.0, seed)
        asset = OBJECTS.get(shifted.object(shifted.goal.manipulated[0]).asset)
        assert asset.label in shifted.instruction.text
        assert asset.novelty > 0


@pytest.mark.slow
def test_a_second_thing_is_never_the_one_that_is_meant():
    """The defect of RL4VLA's MultiCarrot, where in 12.5 % of episodes the distractor was the target."""
    for shift in ("semantic.two-object", "semantic.two-receptacle", "semantic.similar-distractors"):
        for task, seed, severity in itertools.product(_tasks(shift), range(12), (1.0, 3.0, 5.0)):
            _, shifted = _pair(task, shift, severity, seed)
            labels = [OBJECTS.get(item.asset).label for item in shifted.objects]
            assert len(set(labels)) == len(labels)


@pytest.mark.slow
def test_every_semantic_instruction_asks_for_what_is_scored():
    """Worked out anew from the words and the scene (oodbench/understand.py)."""
    for shift in [name for name in SHIFTS.names() if name.startswith("semantic.")]:
        for task, severity, seed in itertools.product(_tasks(shift), (1.0, 2.0, 5.0), range(2)):
            assert disagreement(_pair(task, shift, severity, seed)[1]) is None


def test_a_wrong_goal_is_noticed():
    """The check above can fail: an instruction for another object, side or parity is found out."""
    put, place, parity = (TASKS.get(name) for name in ("put-on", "place-relative", "think-parity"))
    scene = put.sample(0)
    other = scene.but(instruction=scene.instruction.but(text="put the receptacle-1 on the plate"))
    assert "identifier" in disagreement(other)
    assert "mean" in disagreement(scene.but(instruction=scene.instruction.but(text="put it away")))
    sides = place.sample(0)
    turned = sides.but(goal=sides.goal.but(success=place.sample(1).goal.success))
    assert "direction" in disagreement(turned)
    numbers = parity.sample(0)
    swapped = numbers.but(goal=numbers.goal.but(success=parity.sample(1).goal.success))
    assert "goal is about" in disagreement(swapped)


def test_a_correction_is_heard_at_its_step(world):
    _, shifted = _pair("put-on", "semantic.correction", 2.0, 0)
    world.reset(shifted)
    heard = []
    for _ in range(16):
        heard.append(world.observation().instruction)
        world.step(np.zeros(7))
    first = OBJECTS.get(shifted.object("other-1").asset).label
    assert heard[0] == heard[12]
    assert first in heard[0]
    assert heard[13].startswith(f"no, not the {first}: ")


def test_a_habit_is_scored_beside_the_goal(world):
    """Where another object is asked for, doing what demonstrations do is seen, and is no success."""
    _, shifted = _pair("put-on", "semantic.other-goal", 3.0, 1)
    assert shifted.goal.habit == ("on(other-1, receptacle)",)
    there = shifted.object("receptacle").position
    decoy = shifted.replace_object("other-1", position=(there[0], there[1], 0.012))
    world.reset(decoy)
    for _ in range(10):
        world.step(np.zeros(7))
    assert world.status.habit
    assert not world.status.final


def test_a_shift_that_makes_no_sense_in_a_task_is_refused():
    with pytest.raises(SpecError, match=r"unseen-receptacle.*makes no sense in task 'open-drawer'"):
        _pair("open-drawer", "semantic.unseen-receptacle", 3.0, 0)


@pytest.mark.slow
def test_visual_levels_are_evenly_spaced_in_what_is_seen():
    """In scenes that the spacing was not measured on: a step is never much more or less than a fifth."""
    for shift in ("visual.noise", "visual.fog", "visual.exposure"):
        steps = np.diff(np.concatenate([[0.0], measure(shift, (1.0, 2.0, 3.0, 4.0, 5.0), range(20, 28), 64)]))
        assert steps.min() > 0.08 * steps.sum(), shift
        assert steps.max() < 0.36 * steps.sum(), shift


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
