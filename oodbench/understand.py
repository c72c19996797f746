"""What an instruction means in a scene, worked out from the words and the scene alone.

`oodbench audit` compares it with the goal that is scored. It shares no code with the shifts that write instructions: it
looks for every description that fits any object, and for the sense of "left", "even" and "lift" in pictures, digits
and predicates. Raises nothing; `disagreement` says in words what does not fit.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

import mujoco
import numpy as np

from oodbench.catalogue import GLYPHS, OBJECTS, TEXTURES
from oodbench.goal import PREDICATES, Condition, objects_of
from oodbench.scene import Object, Say, Scene
from oodbench.sim.build import camera_quat
from oodbench.task import CAMERAS, TASKS

IDENTIFIER = re.compile(r"[{}_@#]|(semantic|visual|execution|control)\.|\b(distractor|receptacle|other)-\d")
NOUNS = {
    "fruit": ("piece of fruit",),
    "cleaning": ("cleaning thing",),
    "stationery": ("piece of stationery",),
    "cosmetics": ("bathroom product",),
    "dairy": ("dairy product",),
    "bread": ("baked good",),
}
RELATIONS = {  # direction in the third-person picture: right, towards the viewer
    r"to (the )?left": (-1, 0),
    r"to (the )?right": (1, 0),
    r"in front": (0, 1),
    r"behind": (0, -1),
}
SIDES = {
    "object farthest to the left": (-1, 0),
    "object farthest to the right": (1, 0),
    "object nearest to the camera": (0, 1),
    "object nearest to the robot": (0, -1),
}
MENDINGS = 300  # ways to mend an instruction that are tried at the most
DROPPED = ("the", "a", "an", "and", "of", "it", "so", "that")
VERBS = {  # how words begin that ask for it, by the predicate of the goal; predicates of other packages bring theirs
    "raised": ("lift", "pick", "rais", "hoist", "take up", "air", "off", "go up", "not touch", "held"),
    "opened": ("open", "pull", "slid", "draw", "tug", "bring", "look into", "inside", "stay closed"),
    "closed": (
        "clos",
        "shut",
        "push",
        "slid",
        "shov",
        "press",
        "bring",
        "not stay open",
        "look inside",
        "see into",
        "leave",
    ),
    "pressed": ("press", "push", "hit", "tap", "depress", "down", "up"),
    "turned": ("turn", "rotat", "twist", "swivel", "spin", "mark", "switch"),
    "at": ("push", "slid", "move", "shov", "nudg", "glid", "on", "onto", "cover", "get", "rest"),
    "inside": ("in", "into", "inside", "hold"),
    "on": ("on", "onto", "above", "tower", "beneath", "carry", "over", "standing"),
}


def disagreement(scene: Scene) -> str | None:
    """Why the instruction does not ask for what the goal scores, or None when it does."""
    said = [event.text for event in scene.events if isinstance(event, Say)]
    text = said[-1] if said else scene.instruction.text
    if IDENTIFIER.search(text):
        return f"the instruction {text!r} holds an identifier"
    words = _plain(text)
    if not words:
        return "the instruction is empty"
    words = re.sub(r"^no not the .*?: ", "", words)
    problem = _problem(words, scene)
    return problem and next((None for mended in _mendings(words, scene) if not _problem(mended, scene)), problem)


def _problem(words: str, scene: Scene) -> str | None:
    return _wrong_things(words, scene) or _wrong_relation(words, scene) or _wrong_verb(words, scene)


def _plain(text: str) -> str:
    return re.sub(
        r"\s+", " ", re.sub(r"[^\w\s:'-]", " ", text.lower().replace(" uh ", " ").replace(", uh,", ""))
    ).strip()


def _mendings(words: str, scene: Scene) -> Iterable[str]:
    """The words with every slip of the keyboard mended towards a word of the scene, in every way that there is."""
    likely = set(_plain(scene.instruction.wording).split())
    known = set(likely)
    for item in scene.objects:
        known |= set(_plain(" ".join(_names(item, scene))).split())
    for option in TASKS.get(scene.key.task).option:
        known |= set(_plain(" ".join(option.words.values())).split())
    order = sorted(known, key=lambda other: (other not in likely, -len(other), other))
    ways = [[word] if word in known else [o for o in order if _slip(word, o)] or [word] for word in words.split()]
    return (" ".join(chosen) for chosen in itertools.islice(itertools.product(*ways), MENDINGS))


def _slip(typed: str, meant: str) -> bool:
    """Whether `typed` is `meant` with one letter dropped, doubled, replaced or swapped with the next."""
    for i in range(len(meant)):
        head, tail = meant[:i], meant[i + 1 :]
        doubled, swapped = head + 2 * meant[i] + tail, head + tail[:1] + meant[i] + tail[1:]
        replaced = len(typed) == len(meant) and typed[:i] == head and typed[i + 1 :] == tail
        if replaced or typed in (head + tail, doubled, swapped):
            return True
    return False


def _names(item: Object, scene: Scene) -> list[str]:
    """Everything that the object may be called."""
    asset = OBJECTS.get(item.asset)
    if item.face:
        concept, name, *variant = item.face.split("/")
        if concept == "parity":
            name = "odd" if int(variant[0]) % 2 else "even"
        return [GLYPHS.get(concept).named(f"{concept}/{name}").removeprefix("the ")]
    nouns = NOUNS.get(asset.category, (asset.category,))
    found = [
        asset.label,
        *asset.synonyms,
        f"{asset.colour} object",
        f"object made of {asset.material}",
        f"thing {asset.hint}",
    ]
    found += [f"{asset.colour} object made of {asset.material}", f"thing that is there {asset.affordance}"]
    found += [
        *nouns,
        *(f"{asset.colour} {noun}" for noun in nouns),
        f"{asset.colour} thing that is there {asset.affordance}",
    ]
    found += [side for side in SIDES if _is_outermost(item, side, scene)]
    short = [" ".join(word for word in name.split() if word not in DROPPED) for name in found]  # as in a telegram
    return [name.strip() for name in (*found, *short)]


def _wrong_things(words: str, scene: Scene) -> str | None:
    """Compare the objects that are named with those that the goal is about."""
    negated = re.search(
        r"object that is (?:not|neither) the (.+?)(?= (?:on|onto|in|into|inside|to|up|and|off|down)\b|$)", words
    )
    meant: set[str] = set()
    names = {item.id: [_plain(name) for name in _names(item, scene)] for item in scene.objects}
    if negated:
        out = {id for id, called in names.items() if any(_said(name, negated[0]) for name in called[:1])}
        pool = {o.id for o in scene.objects if OBJECTS.get(o.asset).kind == "object"} - out
        if len(pool) != 1:
            return f"{words!r} leaves {sorted(pool)}"
        meant |= pool
        words = words.replace(negated[0], "")
    phrases = sorted({name for called in names.values() for name in called if name}, key=len, reverse=True)
    for phrase in phrases:
        if not _said(phrase, words):
            continue
        fits = {id for id, called in names.items() if phrase in called}
        if len(fits) > 1:
            return f"{phrase!r} fits {sorted(fits)}"
        meant |= fits
        words = re.sub(rf"\b{re.escape(phrase)}\b", " ", words)
    wanted = (text for text in scene.goal.success if not text.startswith("untouched"))
    about = {*scene.goal.manipulated, *objects_of(wanted, names)}
    return None if meant == about else f"the words mean {sorted(meant)}, the goal is about {sorted(about)}"


def _said(phrase: str, words: str) -> bool:
    return bool(phrase) and re.search(rf"\b{re.escape(phrase)}\b", words) is not None


def _wrong_relation(words: str, scene: Scene) -> str | None:
    """Compare the side that is named with the goal's direction, as the camera sees it."""
    words = re.sub(r"farthest to the (left|right)", "", words)
    for condition in (Condition.parse(text, [o.id for o in scene.objects]) for text in scene.goal.success):
        if condition.name == "beside":
            x, y = condition.args[2:]
            said = [relation for relation in RELATIONS if re.search(rf"\b{relation}\b", words)]
            if len(said) != 1 or RELATIONS[said[0]] != _in_picture(np.array([x, y, 0.0])):
                return f"{words!r} says {said}, the goal's direction is ({x}, {y})"
    return None


def _in_picture(direction: np.ndarray) -> tuple[int, int]:
    """(right, towards the viewer) of a direction on the table in the training view's picture, each -1, 0 or 1."""
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, camera_quat(CAMERAS[0]))
    right, _, back = rotation.reshape(3, 3).T
    return round(float(direction @ right)), round(float(direction @ back))


def _is_outermost(item: Object, side: str, scene: Scene) -> bool:
    """Whether of all everyday objects this one lies farthest to a side of the picture."""
    if OBJECTS.get(item.asset).kind != "object":
        return False
    wanted = SIDES[side]

    def far(other: Object) -> float:
        right, near = _axes(other)
        return wanted[0] * right + wanted[1] * near

    others = [o for o in scene.objects if o.id != item.id and OBJECTS.get(o.asset).kind == "object"]
    return all(far(item) > far(other) for other in others)


def _axes(item: Object) -> tuple[float, float]:
    """Where an object is in the training view: to the right, and towards the viewer (m)."""
    return item.position[1], item.position[0]


def _wrong_verb(words: str, scene: Scene) -> str | None:
    for condition in scene.goal.success:
        name = condition.partition("(")[0]
        verbs = VERBS.get(name) or PREDICATES.get(name).verbs
        if verbs and not any(re.search(rf"\b{verb}", words) for verb in verbs):
            return f"{words!r} does not ask for {name!r}"
    return None


def not_of_training(scene: Scene) -> Iterable[str]:
    """What of an in-distribution scene is not of the train split."""
    for item in scene.objects:
        if OBJECTS.get(item.asset).split != "train":
            yield item.asset
    for name in ("table", "floor", "wall"):
        surface = getattr(scene.surfaces, name)
        if TEXTURES.get(surface.texture).split != "train":
            yield surface.texture
    wordings = {w.text for w in TASKS.get(scene.key.task).wording if w.split == "train"}
    if scene.instruction.wording not in wordings:
        yield scene.instruction.wording
