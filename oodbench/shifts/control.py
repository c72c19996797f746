"""Language controls: what a policy does when the words say nothing, or something else.

They are no shifts that a policy should withstand, and count in no score: they show whether it listens. Each can follow
another shift (``semantic.paraphrase@3+control.blank@1``); the severity does not matter.
"""

from __future__ import annotations

from oodbench.catalogue import OBJECTS
from oodbench.scene import Scene
from oodbench.shift import Context, shift
from oodbench.shifts.semantic_reference import called, names_an_object, with_habit, with_others
from oodbench.shifts.semantic_words import gibberish

SOURCE = "LIBERO-plus (blank, goal replacement), LIBERO-Infinity, LIBERO-CF"


@shift("control.blank", channels=("instruction",), unit="none: severity does not matter", source=SOURCE, star_gen="-")
def blank(scene: Scene, context: Context) -> Scene:
    """No instruction at all; the goal stays."""
    return scene.but(instruction=scene.instruction.but(text="", informative=False))


@shift(
    "control.scrambled", channels=("instruction",), unit="none: severity does not matter", source=SOURCE, star_gen="-"
)
def scrambled(scene: Scene, context: Context) -> Scene:
    """Words of the same lengths that mean nothing; the goal stays."""
    text = gibberish(scene.instruction.text, context.rng)
    return scene.but(instruction=scene.instruction.but(text=text, informative=False))


@shift(
    "control.other-object",
    channels=("instruction", "objects", "goal"),
    unit="none: severity does not matter",
    source=SOURCE,
    star_gen="SB-NOUN",
    applies=names_an_object,
)
def other_object(scene: Scene, context: Context) -> Scene:
    """Another object, added to the same scene, is asked for; what was the goal before is scored as the habit."""
    me = scene.goal.manipulated[0]
    present = {o.id for o in scene.objects}
    limit = context.task.handled.max_radius
    crowded = scene if "other-1" in present else with_others(scene, context, lambda a: a.radius > limit, 1)
    mine, other = crowded.object(me), crowded.object("other-1")
    swapped = crowded.but(
        objects=tuple(
            other.but(id=me) if o.id == me else mine.but(id="other-1") if o.id == "other-1" else o
            for o in crowded.objects
        )
    )
    return called(with_habit(swapped, "other-1"), context, OBJECTS.get(other.asset).label)
