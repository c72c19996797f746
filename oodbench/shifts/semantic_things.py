"""Semantic shifts of the things: unseen objects and places, and others that could be meant."""

from __future__ import annotations

import contextlib

from oodbench.catalogue import OBJECTS, Kind, ObjectAsset
from oodbench.errors import SpecError
from oodbench.scene import Scene
from oodbench.shift import Context, shift
from oodbench.shifts import placing
from oodbench.shifts.semantic_reference import called, names_an_object, with_habit
from oodbench.task import Task

NOVELTY = (
    "1 new colour or size, 2 new shape of a known category, 3 new category of a familiar shape, 4 new category and "
    "shape, 5 unlike anything in training"
)
BEYOND = 0.02  # m a level
SMALL: tuple[Kind, ...] = ("object", "block")


def unseen(kind: Kind, context: Context, avoid: set[str], role_limit: float = 1.0) -> ObjectAsset:
    """An object of the split whose novelty is nearest to the level, and whose label is not one of `avoid`."""
    pool = [
        asset
        for asset in context.pool.objects_of(kind, context.split)
        if asset.label not in avoid and asset.radius <= role_limit
    ]
    near = min((abs(asset.novelty - context.level) for asset in pool), default=None)
    choices = [asset for asset in pool if abs(asset.novelty - context.level) == near]
    if not choices:
        raise SpecError(f"no object of kind {kind!r} in split {context.split!r}")
    return choices[context.rng.integers(len(choices))]


def replaced(scene: Scene, id: str, context: Context) -> Scene:
    """The scene with an unseen object of the same kind in role `id`, and the instruction that names it."""
    role = context.task.named(id)
    others = {OBJECTS.get(o.asset).label for o in scene.objects if o.id != id}
    new = unseen(role.kind, context, others, role.max_radius)
    swapped = placing.make_room(scene.replace_object(id, asset=new.name), id, context)
    return swapped.but(instruction=context.task.instruct(swapped, scene.instruction.wording))


def has_place(task: Task) -> bool:
    return task.place is not None


@shift(
    "semantic.unseen-object",
    channels=("objects", "instruction"),
    unit=f"novelty of the object to be handled: {NOVELTY}",
    source="RL4VLA Carrot-v1 (9 held-out objects); graded by oodbench (field `novelty` of assets/objects)",
    star_gen="VSB-NOBJ",
    applies=lambda task: task.handled.asset is None,
)
def unseen_object(scene: Scene, context: Context) -> Scene:
    """The object to be handled is one that no demonstration shows; fractional severities round up."""
    return replaced(scene, scene.goal.manipulated[0], context)


@shift(
    "semantic.unseen-receptacle",
    channels=("objects", "instruction"),
    unit=f"novelty of what the object goes to: {NOVELTY}",
    source="RL4VLA Plate-v1 (16 held-out receptacles); graded by oodbench",
    star_gen="VSB-NOBJ",
    applies=has_place,
)
def unseen_receptacle(scene: Scene, context: Context) -> Scene:
    """The object goes onto or into something that no demonstration shows; fractional severities round up."""
    assert context.task.place is not None
    return replaced(scene, context.task.place.id, context)


@shift(
    "semantic.two-object",
    channels=("objects", "instruction"),
    unit=f"novelty of the object to be handled and of the second one: {NOVELTY}",
    source="RL4VLA MultiCarrot-v1 (there, the distractor was the target in 12.5 % of episodes; here never)",
    star_gen="S-MO",
    applies=lambda task: task.handled.kind in ("object", "block") and not task.concept,
)
def two_object(scene: Scene, context: Context) -> Scene:
    """Two unseen objects lie there, and the words name one; fractional severities round up."""
    return _with_second(scene, scene.goal.manipulated[0], context, "other")


@shift(
    "semantic.two-receptacle",
    channels=("objects", "instruction"),
    unit=f"novelty of what the object goes to and of the second such thing: {NOVELTY}",
    source="RL4VLA MultiPlate-v1",
    star_gen="S-MO",
    applies=lambda task: task.place is not None and task.place.kind != "block",
)
def two_receptacle(scene: Scene, context: Context) -> Scene:
    """Two unseen places lie there, and the words name one; fractional severities round up."""
    assert context.task.place is not None
    return _with_second(scene, context.task.place.id, context, "other-place")


def _with_second(scene: Scene, id: str, context: Context, prefix: str) -> Scene:
    """The scene with an unseen thing in role `id`, and a second one of its kind with another name beside it."""
    swapped = replaced(scene, id, context)
    labels = {OBJECTS.get(o.asset).label for o in swapped.objects}
    pool = [
        asset
        for asset in context.pool.objects_of(context.task.named(id).kind, context.split)
        if asset.label not in labels
    ]
    pool = placing.shuffled(pool, context, lambda asset: abs(asset.novelty - context.level))
    return placing.add(swapped, context, pool, 1, prefix)


@shift(
    "semantic.distractors",
    channels=("objects",),
    unit="number of distractors",
    source="LIBERO-plus (objects layout), Colosseum (1-4 distractors), LIBERO-Infinity (1-5)",
    star_gen="V-SC",
)
def distractors(scene: Scene, context: Context) -> Scene:
    """Objects of other categories, which no demonstration shows, stand around; fractional severities round up."""
    taken = {OBJECTS.get(item.asset).category for item in scene.objects}
    pool = [a for kind in SMALL for a in context.pool.objects_of(kind, context.split) if a.category not in taken]
    return placing.add(scene, context, placing.shuffled(pool, context), context.level, "distractor")


@shift(
    "semantic.similar-distractors",
    channels=("objects",),
    unit="number of distractors",
    source="RL4VLA MultiCarrot-v1; LIBERO-PRO (object); ordered by likeness by oodbench",
    star_gen="V-SC",
    applies=lambda task: task.handled.kind in ("object", "block") and not task.concept,
)
def similar_distractors(scene: Scene, context: Context) -> Scene:
    """Unseen objects like the one to be handled stand around: of its category first, then of its colour."""
    target = OBJECTS.get(scene.object(scene.goal.manipulated[0]).asset)
    labels = {OBJECTS.get(item.asset).label for item in scene.objects}
    pool = [a for kind in SMALL for a in context.pool.objects_of(kind, context.split) if a.label not in labels]
    unlike = lambda a: (  # noqa: E731
        4 * (a.kind != target.kind) + 2 * (a.category != target.category) + (a.colour != target.colour)
    )
    return placing.add(scene, context, placing.shuffled(pool, context, unlike), context.level, "distractor")


@shift(
    "semantic.other-goal",
    channels=("objects", "instruction", "goal"),
    unit=f"distance of the object that is asked for from the training region: {100 * BEYOND:g} cm a level",
    source="LIBERO-CF, LIBERO-PRO (task): another goal in the same scene; REALM SB-NOUN",
    star_gen="SB-NOUN",
    applies=names_an_object,
)
def other_goal(scene: Scene, context: Context) -> Scene:
    """What demonstrations would handle lies in its usual place, and something else is asked for."""
    me = scene.goal.manipulated[0]
    usual = scene.object(me)
    decoy = usual.but(id="other-1")
    rest = tuple(o for o in scene.objects if o.id != me)
    present = {o.asset for o in scene.objects}
    pool = [a for a in context.task.handled.candidates("train", context.pool) if a.name not in present]
    for asset in placing.shuffled(pool, context):
        with contextlib.suppress(SpecError):  # a long one may find no room where a short one does
            region, item = context.task.handled.region, usual.but(asset=asset.name)
            asked = placing.outside(scene, item, region, BEYOND, 0.0, context, (*rest, decoy))
            break
    else:
        raise SpecError(f"{scene.key}: no free place for another object")
    swapped = scene.but(objects=(*(asked if o.id == me else o for o in scene.objects), decoy))
    return called(with_habit(swapped, decoy.id), context, asset.label)
