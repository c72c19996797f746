"""Questions about labelled pictures, with their answers and where to look: what pretraining teaches.

Every question is of a type: name, kind, colour, glyph, presence, count, relation, position, point. Things are
referred to by their label, by synonyms, by colour and category, and by common knowledge ("the thing that rabbits like
to eat"), as long as only one visible thing can be meant.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.catalogue import GLYPHS, OBJECTS, ObjectAsset
from oodbench.concepts import concept_of, things
from oodbench.errors import RunFolderError
from oodbench.pool import standard
from oodbench.progress import Meter
from oodbench.seeding import generator
from oodbench.task import TASKS
from vla.pictures import GLYPH_SETS, Pictures
from vla.pictures import load as load_pictures
from vla.words import Vocabulary

Thing = dict[str, Any]
NUMBERS = ("one", "two", "three", "four", "five", "six")
SIDES, DEPTHS = ("left", "middle", "right"), ("near", "far")
PLACES = tuple(f"{depth} {side}" for depth in DEPTHS for side in SIDES)
THIRD = 0.09  # what lies farther than this from the middle is to the left or right (m)
APART = 0.04  # things nearer to each other than this are neither left nor right (m)
VERSION = 1  # of the questions; those of another are asked anew
EACH = 16  # questions a picture
NOTHING = "nothing"  # what the caption of an empty patch says


@dataclass(frozen=True)
class Question:
    """look: the mask indices of what is asked about. concept: the least known concept that the question turns on."""

    type: str
    text: str
    answer: str | None  # None: only look
    look: tuple[int, ...] = ()
    concept: str = "robot"


Maker = Callable[[list[Thing], np.random.Generator], Question | None]


def vocabulary() -> Vocabulary:
    """The words of the training wordings, of everything in C_robot and C_web, and of the questions."""
    tasks = [TASKS.get(name) for name in standard().names("tasks")]
    texts = [wording.text for task in tasks for wording in task.wording if wording.split in ("train", "dev")]
    texts += [word for task in tasks for option in task.option for word in option.words.values()]
    for asset in _known():
        texts += [asset.label, *asset.synonyms, asset.category, asset.affordance, asset.hint, asset.colour]
    for name in GLYPH_SETS:
        glyphs = GLYPHS.get(name)
        texts += [glyphs.phrase, *(glyph.phrase for glyph in glyphs.glyph), *glyphs.colours]
    texts += [
        *NUMBERS,
        *PLACES,
        "what is where how many are there colour kind of thing things leftmost rightmost nearest farthest",
    ]
    texts += ["is a an the board with show shows point to that something yes no behind in front of left right on table"]
    return Vocabulary.of(text.replace("{", " ").replace("}", " ") for text in texts)


def answers() -> tuple[str, ...]:
    """Everything that can be answered; nothing of C_none is in it."""
    known = _known()
    listed = [NOTHING, "yes", "no", *NUMBERS, *PLACES]
    listed += [asset.label for asset in known] + [asset.category for asset in known] + [a.colour for a in known]
    listed += [glyph.phrase for name in GLYPH_SETS for glyph in GLYPHS.get(name).glyph]
    return tuple(dict.fromkeys(listed))


def _known() -> list[ObjectAsset]:
    kept = [asset for kind in ("object", "receptacle") for asset in things(kind, "robot", "web")]
    for kind in ("block", "container", "puck", "zone", "button", "knob", "cabinet"):
        kept += standard().objects_of(kind, "train")
    return kept


# --- asking -------------------------------------------------------------------------------------------------------


def ask(picture: list[Thing], rng: np.random.Generator, type_: str | None = None) -> Question | None:
    """A question about a picture, of a random type or a given one; None when it gives no occasion for that type."""
    if not picture:  # the hand may hide everything
        return None
    kinds = list(_TYPES) if type_ is None else [type_]
    weights = np.array([_WEIGHTS[kind] for kind in kinds])
    for _ in range(8):
        made = _TYPES[kinds[rng.choice(len(kinds), p=weights / weights.sum())]](picture, rng)
        if made is not None:
            return made
    return None


def reference(thing: Thing, picture: list[Thing], rng: np.random.Generator) -> str | None:
    """A phrase that only `thing` answers to."""
    if thing["face"]:
        return str(thing["label"]) if sum(o["label"] == thing["label"] for o in picture) == 1 else None
    asset = _asset(thing)
    ways: list[tuple[str, Callable[[ObjectAsset], object]]] = [(f"the {asset.label}", lambda a: a.label)] * 4
    ways += [(f"the {name}", lambda a, name=name: name in (a.label, *a.synonyms)) for name in asset.synonyms]  # type: ignore[misc]
    ways.append((f"the {asset.colour} thing", lambda a: a.colour))
    ways.append((f"the {asset.category}", lambda a: a.category))
    if asset.hint:
        ways.append((f"the thing {asset.hint}", lambda a: a.hint))
    text, key = ways[rng.integers(len(ways))]
    alike = [o for o in picture if not o["face"] and key(_asset(o)) == key(asset)]
    boards = any(o["face"] for o in picture) and text.endswith(" thing")  # whose colour is another matter
    return text if len(alike) == 1 and not boards else None


def _asset(thing: Thing) -> ObjectAsset:
    return OBJECTS.get(thing["asset"])


def _concept(*things_: Thing) -> str:
    order = ("robot", "web", "none")
    return max((("web" if t["face"] else concept_of(_asset(t))) for t in things_), key=order.index, default="robot")


def _pick(picture: list[Thing], rng: np.random.Generator, boards: bool | None = False) -> Thing | None:
    pool = [t for t in picture if boards is None or bool(t["face"]) == boards]
    return pool[rng.integers(len(pool))] if pool else None


def _singled_out(picture: list[Thing], rng: np.random.Generator) -> tuple[str, Thing] | None:
    """A thing by where it is, or by its colour, not by what it is."""
    if rng.random() < 0.4:
        thing = _pick(picture, rng)
        if thing is None or any(t["face"] for t in picture):
            return None
        colour = _asset(thing).colour
        alone = sum(_asset(t).colour == colour for t in picture) == 1
        return (f"the {colour} thing", thing) if alone else None
    ways = {
        "leftmost": lambda t: -t["y"],
        "rightmost": lambda t: t["y"],
        "nearest": lambda t: t["x"],
        "farthest": lambda t: -t["x"],
    }
    word = list(ways)[rng.integers(len(ways))]
    order = sorted(picture, key=ways[word])
    first = order[-1]
    if len(order) > 1 and abs(ways[word](order[-2]) - ways[word](first)) < APART:
        return None
    return f"the {word} thing", first


def _identity(type_: str, words: str, attribute: str) -> Maker:
    """Asks for an attribute of a thing that is singled out."""

    def make(picture: list[Thing], rng: np.random.Generator) -> Question | None:
        found = _singled_out(picture, rng)
        if found is None or found[1]["face"]:
            return None
        text, thing = found
        return Question(type_, words.format(text), getattr(_asset(thing), attribute), (thing["k"],), _concept(thing))

    return make


def _colour(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    thing = _pick(picture, rng)
    text = thing and reference(thing, picture, rng)
    if not thing or not text or text.endswith(" thing") or thing["face"] or _asset(thing).colour in text:
        return None
    return Question("colour", f"what colour is {text}", _asset(thing).colour, (thing["k"],), _concept(thing))


def _glyph(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    boards = [t for t in picture if t["face"]]
    if not boards:
        return None
    side = ("left", "right")[rng.integers(2)]
    if len(boards) > 1 and abs(boards[0]["y"] - boards[1]["y"]) < APART:
        return None
    order = sorted(boards, key=lambda t: t["y"])
    board = order[0] if side == "left" else order[-1]
    text = "what is on the board" if len(boards) == 1 else f"what is on the {side} board"
    return Question("glyph", text, captions([board])[board["k"]], (board["k"],), "web")


def _presence(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    there = [t for t in picture if not t["face"]]
    if rng.random() < 0.5 and there:
        thing = there[rng.integers(len(there))]
        return Question("presence", f"is there a {_asset(thing).label}", "yes", (), _concept(thing))
    pool = [*things("object", "robot", "web"), *things("receptacle", "robot", "web")]
    asset = pool[rng.integers(len(pool))]
    if any(_asset(t).label == asset.label for t in there):
        return None
    return Question("presence", f"is there a {asset.label}", "no", (), concept_of(asset))


def _count(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    if not 1 <= len(picture) <= len(NUMBERS):
        return None
    return Question("count", "how many things are there", NUMBERS[len(picture) - 1], tuple(t["k"] for t in picture))


def _relation(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    if len(picture) < 2:
        return None
    a, b = (picture[i] for i in rng.permutation(len(picture))[:2])
    words = (("left of", "y", -1), ("right of", "y", 1), ("in front of", "x", 1), ("behind", "x", -1))
    word, coordinate, sign = words[rng.integers(4)]
    first, second = reference(a, picture, rng), reference(b, picture, rng)
    way = sign * (a[coordinate] - b[coordinate])
    if not first or not second or abs(way) < APART:
        return None
    text = f"is {first} {word} {second}"
    return Question("relation", text, "yes" if way > 0 else "no", (a["k"],), _concept(a, b))


def _position(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    thing = _pick(picture, rng, None)
    text = thing and reference(thing, picture, rng)
    if not thing or not text:
        return None
    side = SIDES[0] if thing["y"] < -THIRD else SIDES[2] if thing["y"] > THIRD else SIDES[1]
    depth = DEPTHS[0] if thing["x"] > -0.08 else DEPTHS[1]
    return Question("position", f"where is {text}", f"{depth} {side}", (thing["k"],), _concept(thing))


def _point(picture: list[Thing], rng: np.random.Generator) -> Question | None:
    thing = _pick(picture, rng, None)
    text = thing and reference(thing, picture, rng)
    if not thing or not text:
        return None
    return Question("point", f"point to {text}", None, (thing["k"],), _concept(thing))


_TYPES: dict[str, Maker] = {
    "name": _identity("name", "what is {}", "label"),
    "kind": _identity("kind", "what kind of thing is {}", "category"),
    "colour": _colour,
    "glyph": _glyph,
    "presence": _presence,
    "count": _count,
    "relation": _relation,
    "position": _position,
    "point": _point,
}
_WEIGHTS = {
    "name": 5,
    "kind": 2,
    "colour": 1,
    "glyph": 3,
    "presence": 1,
    "count": 1,
    "relation": 2,
    "position": 3,
    "point": 2,
}
TYPES = tuple(_TYPES)


def captions(things_: list[Thing]) -> dict[int, str]:
    """What each thing of a picture is called, by its index in the mask."""
    named = {}
    for thing in things_:
        if thing["face"]:
            concept, name = thing["face"].split("/")[:2]
            named[thing["k"]] = next(glyph.phrase for glyph in GLYPHS.get(concept).glyph if glyph.name == name)
        else:
            named[thing["k"]] = _asset(thing).label
    return named


# --- asking about all of them ---------------------------------------------------------------------------------------


def ask_all(folder: Path, workers: int = 2) -> None:
    """Ask `EACH` questions about every picture of a folder, and keep them beside the pictures."""
    todo = [path for path in sorted(folder.glob("pictures-*.npz")) if not _asked(path)]
    if not todo:
        return
    with Meter(f"questions about {folder.name}", len(todo)) as meter:
        if workers == 0:
            for path in todo:
                _ask_shard(path)
                meter.advance()
            return
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            for _ in pool.map(_ask_shard, todo):
                meter.advance()


def load(folder: Path) -> Pictures:
    """The pictures of a folder with their questions. Raises RunFolderError when they were not asked."""
    pictures = load_pictures(folder)
    for path in sorted(folder.glob("pictures-*.npz")):
        if not _asked(path):
            raise RunFolderError(f"{path}: no questions were asked about it; the stage `pictures` does it")
        rows = json.loads(_questions_path(path).read_text())["asked"]
        pictures.questions.extend([Question(q[0], q[1], q[2], tuple(q[3]), q[4]) for q in row] for row in rows)
    return pictures


def _questions_path(shard: Path) -> Path:
    return shard.with_name(shard.name.replace("pictures-", "questions-")).with_suffix(".json")


def _asked(shard: Path) -> bool:
    path = _questions_path(shard)
    return path.exists() and json.loads(path.read_text())["version"] == VERSION


def _ask_shard(path: Path) -> None:
    with np.load(path, allow_pickle=False) as file:
        things = json.loads(str(file["things"]))
    asked = []
    for i, picture in enumerate(things):
        rng = generator("questions", VERSION, path.parent.name, path.stem, i)
        made = [ask(picture, rng) or Question("none", "", None) for _ in range(EACH)]
        asked.append([astuple(question) for question in made])
    unfinished = _questions_path(path).with_suffix(".part")
    unfinished.write_text(json.dumps({"version": VERSION, "asked": asked}))
    unfinished.replace(_questions_path(path))
