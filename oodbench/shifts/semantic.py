"""Semantic shifts: what is asked for, and what things there are."""

from __future__ import annotations

import math

from oodbench.catalogue import OBJECTS, ObjectAsset, objects
from oodbench.errors import SpecError
from oodbench.scene import Object, Scene
from oodbench.shift import Context, shift
from oodbench.task import is_clear

DISTRACTOR_GAP = 0.05  # between a distractor and anything else (m): the hand is wider than the fingers
TABLE_AREA = ((-0.26, 0.15), (-0.34, 0.34))  # where distractors may stand: x and y ranges (m)


@shift(
    "semantic.paraphrase",
    channels=("instruction",),
    unit="wording family: 1 another verb, 2 a polite frame, 3 another clause order, 4 an indirect request, "
    "5 idle talk around it",
    source="RL4VLA Instruct-v1 (held-out templates); families after LIBERO-Para and STAR-Gen",
    star_gen="S-LANG",
)
def paraphrase(scene: Scene, context: Context) -> Scene:
    """The same request in words that no demonstration used; fractional severities round up to the next family."""
    level = math.ceil(context.severity)
    choices = [w.text for w in context.task.wording if w.split == context.split and w.level == level]
    if not choices:
        raise SpecError(f"task {context.task.name!r} has no wording of split {context.split!r} at level {level}")
    wording = choices[context.rng.integers(len(choices))]
    return scene.but(instruction=context.task.instruct(scene, wording))


@shift(
    "semantic.unseen-object",
    channels=("objects", "instruction"),
    unit="novelty of the object to be handled: 1 new colour or size, 2 new shape of a known category, 3 new category "
    "of a familiar shape, 4 new category and shape, 5 unlike anything in training",
    source="RL4VLA Carrot-v1 (9 held-out objects); graded by oodbench (field `novelty` of assets/objects)",
    star_gen="VSB-NOBJ",
)
def unseen_object(scene: Scene, context: Context) -> Scene:
    """The object to be handled is one that no demonstration shows; fractional severities round up."""
    level = math.ceil(context.severity)
    old = scene.object(scene.goal.manipulated[0])
    pool = objects(OBJECTS.get(old.asset).kind, context.split)
    near = min((abs(asset.novelty - level) for asset in pool), default=None)
    choices = [asset for asset in pool if abs(asset.novelty - level) == near]
    if not choices:
        raise SpecError(f"no object of kind {OBJECTS.get(old.asset).kind!r} in split {context.split!r}")
    new = choices[context.rng.integers(len(choices))]
    swapped = scene.replace_object(old.id, asset=new.name)
    swapped = make_room(swapped, old.id, context)
    return swapped.but(instruction=context.task.instruct(swapped, scene.instruction.wording))


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
    pool = [a for kind in ("object", "block") for a in objects(kind, context.split) if a.category not in taken]
    placed, added = scene.objects, 0
    for index in context.rng.permutation(len(pool)):
        if added == math.ceil(context.severity):
            break
        item = _stand_clear(f"distractor-{added + 1}", pool[index], placed, context)
        if item is not None:  # one that finds no place makes way for the next
            placed, added = (*placed, item), added + 1
    if added < math.ceil(context.severity):
        raise SpecError(f"{scene.key}: no room on the table for {math.ceil(context.severity)} distractors")
    return scene.but(objects=placed)


def make_room(scene: Scene, id: str, context: Context) -> Scene:
    """The scene with object `id` moved, within its region, only if it is now too close to another."""
    item = scene.object(id)
    for _ in range(500):
        if is_clear(item, scene.objects):
            return scene.replace_object(id, position=item.position, yaw=item.yaw)
        x, y, yaw = context.task.region(id).sample(context.rng)
        item = item.but(position=(x, y, 0.0), yaw=yaw)
    raise SpecError(f"{scene.key}: no room for {item.asset}")


def _stand_clear(id: str, asset: ObjectAsset, others: tuple[Object, ...], context: Context) -> Object | None:
    """A place on the table away from everything else, or None when there is none."""
    for gap in (DISTRACTOR_GAP, DISTRACTOR_GAP / 2):
        for _ in range(200):
            x, y = (context.rng.uniform(low, high) for low, high in TABLE_AREA)
            item = Object(id=id, asset=asset.name, position=(x, y, 0.0), yaw=context.rng.uniform(-math.pi, math.pi))
            if is_clear(item, others, gap):
                return item
    return None
