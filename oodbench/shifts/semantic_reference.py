"""Semantic shifts of reference: the object is not called by its name, and others stand by that it could be.

The others are training objects, so that nothing but the reference is new; the words fit exactly one of all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from oodbench.catalogue import OBJECTS, ObjectAsset
from oodbench.errors import SpecError
from oodbench.scene import Object, Say, Scene
from oodbench.shift import Context, shift
from oodbench.shifts import placing
from oodbench.task import Task

NOUNS = {  # of categories, where the category's name is not a noun for one thing
    "fruit": "piece of fruit",
    "cleaning": "cleaning thing",
    "stationery": "piece of stationery",
    "cosmetics": "bathroom product",
    "dairy": "dairy product",
    "bread": "baked good",
    "seasoning": "seasoning",
}
FOOD = ("to eat", "to cook")  # too near to each other to tell things apart by
NOT_SAID = ("organic",)  # materials that nobody names
SIDES: dict[str, Callable[[Object], float]] = {  # what is largest for the object that is meant; as the picture shows it
    "object farthest to the left": lambda item: -item.position[1],
    "object farthest to the right": lambda item: item.position[1],
    "object nearest to the camera": lambda item: item.position[0],
    "object nearest to the robot": lambda item: -item.position[0],
}
MARGIN = 0.04  # by which it must be so (m)
OTHERS = "number of other objects that the words must tell it apart from"
CORRECTION = 6  # control steps a level


def names_an_object(task: Task) -> bool:
    """Whether the task handles an everyday object, so that others can stand by and be meant instead."""
    return task.handled.kind == "object" and task.concept is None


def with_others(
    scene: Scene,
    context: Context,
    fits: Callable[[ObjectAsset], bool],
    count: int | None = None,
    accept: Callable[[Object], bool] = lambda item: True,
) -> Scene:
    """The scene with `count` (else the level's number of) training objects that the words for the target do not fit."""
    present = {item.asset for item in scene.objects}
    pool = [a for a in context.pool.objects_of("object", "train") if a.name not in present and not fits(a)]
    wanted = context.level if count is None else count
    return placing.add(scene, context, placing.shuffled(pool, context), wanted, "other", accept)


def called(scene: Scene, context: Context, phrase: str) -> Scene:
    """The scene in which the instruction calls the (first) handled object "the <phrase>"."""
    instead = {scene.goal.manipulated[0]: phrase}
    return scene.but(instruction=context.task.instruct(scene, scene.instruction.wording, **instead))


def with_habit(scene: Scene, other: str) -> Scene:
    """The scene in which doing with object `other` what is asked for the handled one is scored as the habit."""
    me = scene.goal.manipulated[0]
    return scene.but(
        goal=scene.goal.but(habit=tuple(text.replace(f"({me}", f"({other}") for text in scene.goal.success))
    )


def _target(scene: Scene) -> ObjectAsset:
    return OBJECTS.get(scene.object(scene.goal.manipulated[0]).asset)


def _unlike_the_rest(scene: Scene, fits: Callable[[ObjectAsset], bool]) -> bool:
    """Whether of the task's own objects only the handled one fits."""
    rest = [OBJECTS.get(o.asset) for o in scene.objects if o.id != scene.goal.manipulated[0]]
    return not any(map(fits, rest))


@shift(
    "semantic.reference-property",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="STAR-Gen S-PROP; REALM (properties)",
    star_gen="S-PROP",
    applies=names_an_object,
)
def reference_property(scene: Scene, context: Context) -> Scene:
    """The object is called by its colour, or by what it is made of."""
    target = _target(scene)
    ways = [(f"{target.colour} object", lambda a: a.colour == target.colour)]
    if target.material not in NOT_SAID:
        ways.append((f"object made of {target.material}", lambda a: a.material == target.material))
    good = [way for way in ways if _unlike_the_rest(scene, way[1])]
    if not good:
        noun, both = NOUNS.get(target.category, target.category), (target.colour, target.category)
        good = [(f"{target.colour} {noun}", lambda a: (a.colour, a.category) == both)]
    phrase, fits = good[context.rng.integers(len(good))]
    return called(with_others(scene, context, fits), context, phrase)


@shift(
    "semantic.reference-category",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="VLABench (category track); VLA-Arena (hypernyms)",
    star_gen="S-PROP",
    applies=names_an_object,
)
def reference_category(scene: Scene, context: Context) -> Scene:
    """The object is called by the class of things it belongs to."""
    target = _target(scene)
    crowded = with_others(scene, context, lambda a: a.category == target.category)
    return called(crowded, context, NOUNS.get(target.category, target.category))


@shift(
    "semantic.reference-affordance",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="STAR-Gen S-AFF; REALM (affordances); VLABench (common sense)",
    star_gen="S-AFF",
    applies=names_an_object,
)
def reference_affordance(scene: Scene, context: Context) -> Scene:
    """The object is called by what it is for."""
    target = _target(scene)
    same = FOOD if target.affordance in FOOD else (target.affordance,)
    crowded = with_others(scene, context, lambda a: a.affordance in same)
    return called(crowded, context, f"thing that is there {target.affordance}")


@shift(
    "semantic.reference-knowledge",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="STAR-Gen S-INT; REALM (internet knowledge); VLABench (common sense)",
    star_gen="S-INT",
    applies=names_an_object,
)
def reference_knowledge(scene: Scene, context: Context) -> Scene:
    """The object is called by something that everybody knows about it, and no demonstration says."""
    target = _target(scene)
    return called(with_others(scene, context, lambda a: a.hint == target.hint), context, f"thing {target.hint}")


@shift(
    "semantic.reference-spatial",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="LIBERO-Spatial; LIBERO-CTRL; STAR-Gen S-MO (reference by other objects)",
    star_gen="S-MO",
    applies=names_an_object,
)
def reference_spatial(scene: Scene, context: Context) -> Scene:
    """The object is called by where it lies among the others, as the third-person picture shows it."""
    target = scene.object(scene.goal.manipulated[0])
    rest = [o for o in scene.objects if o.id != target.id and OBJECTS.get(o.asset).kind == "object"]
    for index in context.rng.permutation(len(SIDES)):
        name, far = list(SIDES.items())[index]
        less = lambda item, far=far: far(item) <= far(target) - MARGIN  # noqa: E731
        if all(map(less, rest)):
            with contextlib.suppress(SpecError):  # no room on that side: try the next
                return called(with_others(scene, context, lambda a: False, accept=less), context, name)
    raise SpecError(f"{scene.key}: no arrangement in which a side singles the object out")


@shift(
    "semantic.negation",
    channels=("instruction", "objects"),
    unit=OTHERS,
    source="INT-ACT (negation)",
    star_gen="S-LANG",
    applies=lambda task: names_an_object(task) and sum(role.kind == "object" for role in task.role) == 1,
)
def negation(scene: Scene, context: Context) -> Scene:
    """The object is called by what it is not."""
    crowded = with_others(scene, context, lambda a: False)
    others = [f"the {OBJECTS.get(o.asset).label}" for o in crowded.objects if o.id.startswith("other-")]
    listed = f"not {others[0]}" if len(others) == 1 else f"neither {', '.join(others[:-1])} nor {others[-1]}"
    return called(crowded, context, f"object that is {listed}")


@shift(
    "semantic.correction",
    channels=("instruction", "objects", "events"),
    unit=f"delay of the correction: {CORRECTION} control steps (0.3 s at 20 Hz) a level",
    source="LIBERO-MAX (online events), in words; the delay is ours",
    star_gen="S-LANG",
    applies=names_an_object,
)
def correction(scene: Scene, context: Context) -> Scene:
    """Another object is asked for at first; then comes: no, the other one."""
    crowded = with_others(scene, context, lambda a: False, 1)
    (other,) = [OBJECTS.get(o.asset) for o in crowded.objects if o.id.startswith("other-")]
    wrong = called(crowded, context, other.label)
    right = f"no, not the {other.label}: {scene.instruction.text}"
    return wrong.but(events=(*scene.events, Say(step=round(CORRECTION * context.severity), text=right)))
