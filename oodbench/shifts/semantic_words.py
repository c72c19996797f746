"""Semantic shifts of the words: the same request, said otherwise."""

from __future__ import annotations

import re
import string
from functools import lru_cache

import numpy as np

from oodbench.catalogue import OBJECTS
from oodbench.errors import SpecError
from oodbench.pool import Pool
from oodbench.scene import Scene
from oodbench.shift import Context, shift
from oodbench.task import TASKS, Task

KEYS = (  # a letter, then those beside it on a keyboard
    "qwa wqes ewrd retf trgy ytuh uyij iuok oipl pol aqsz sawdx dsefc fdrgv gfthb hgyjn jhukm kjil lkop zasx xzsdc "
    "cxdfv vcfgb bvghn nbhjm mnjk"
)
NEIGHBOURS = {keys[0]: keys[1:] for keys in KEYS.split()}
REGISTERS = (  # what each level does to a request
    lambda text: f"hey, {text}, will you?",
    lambda text: f"It would be much appreciated if the robot were kindly to {text}.",
    lambda text: text.upper() + "!",
    lambda text: " ".join(w for w in text.split() if w not in ("the", "a", "an", "and", "of", "it", "so", "that")),
    lambda text: f"ok so um {text.replace(' the ', ' the, uh, the ', 1)} pls thx",
)


def held_out(context: Context, task: Task, level: int) -> str:
    """A wording that no demonstration used."""
    choices = [w.text for w in task.wording if w.split == context.split and w.level == level]
    if not choices:
        raise SpecError(f"task {task.name!r} has no wording of split {context.split!r} at level {level}")
    return choices[context.rng.integers(len(choices))]


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
    wording = held_out(context, context.task, context.level)
    return scene.but(instruction=context.task.instruct(scene, wording))


@shift(
    "semantic.synonym",
    channels=("instruction",),
    unit="1 and 2: another name of the handled object; 3 to 5: the least usual one, and another of what it goes to",
    source="REALM (synonyms); VLA-Arena (word nets); STAR-Gen S-LANG",
    star_gen="S-LANG",
    applies=lambda task: task.handled.kind == "object" and task.concept is None,
)
def synonym(scene: Scene, context: Context) -> Scene:
    """Things are called by other names; fractional severities round up."""
    rare = context.level >= 3
    me, place = scene.goal.manipulated[0], context.task.place
    instead = {me: _other_name(scene, me, rare)}
    if rare and place is not None:
        instead[place.id] = _other_name(scene, place.id, rare)
    return scene.but(instruction=context.task.instruct(scene, scene.instruction.wording, **instead))


def _other_name(scene: Scene, id: str, rare: bool) -> str:
    asset = OBJECTS.get(scene.object(id).asset)
    return (asset.label, *asset.synonyms)[-1 if rare else min(1, len(asset.synonyms))]


@shift(
    "semantic.typos",
    channels=("instruction",),
    unit="slips of the keyboard (letters swapped, dropped, doubled, or the key beside): one a level, in "
    "different words",
    source="LIBERO-Para, LIBERO-PRO (corrupted tokens); the count is ours",
    star_gen="S-LANG",
)
def typos(scene: Scene, context: Context) -> Scene:
    """The request is typed badly; fractional severities round up."""
    words = re.split(r"([^a-zA-Z]+)", scene.instruction.text)
    long = [i for i, word in enumerate(words) if len(word) >= 3 and word.isalpha()]
    chosen = [long[i] for i in context.rng.permutation(len(long))]
    draws = context.rng.random((len(chosen), 3))
    known = vocabulary(context.pool, context.task)
    for place, draw in [*zip(chosen, draws, strict=True)][: context.level]:
        kind, where, which = draw
        words[place] = slipped(words[place], kind, where, which, known)
    return scene.but(instruction=scene.instruction.but(text="".join(words)))


def slipped(word: str, kind: float, where: float, which: float, known: frozenset[str]) -> str:
    """`word` with one slip, chosen by three numbers in [0, 1); never one that makes another word that is known."""
    i = int(where * (len(word) - 1))
    near = NEIGHBOURS[word[i].lower()]
    slips = (
        word[:i] + word[i + 1] + word[i] + word[i + 2 :],
        word[:i] + word[i + 1 :],
        word[:i] + near[int(which * len(near))] + word[i + 1 :],
        word[: i + 1] + word[i:],
    )
    first = int(kind * len(slips))
    good = [slip for slip in (*slips[first:], *slips[:first]) if slip != word and slip not in known]
    return good[0]


def vocabulary(pool: Pool, task: Task) -> frozenset[str]:
    """All words that the instructions of a pool's tasks, and of `task`, are made of."""
    return _words_of_pool(pool) | _words_of_task(task)


@lru_cache(maxsize=8)
def _words_of_pool(pool: Pool) -> frozenset[str]:
    labels = re.findall(r"[a-zA-Z]+", " ".join(asset.label for asset in pool.all_objects()))
    return frozenset(labels).union(*(_words_of_task(TASKS.get(name)) for name in pool.names("tasks")))


def _words_of_task(task: Task) -> frozenset[str]:
    texts = [wording.text for wording in task.wording]
    options = [text for option in task.option for text in option.words.values()]
    return frozenset(re.findall(r"[a-zA-Z]+", " ".join(texts + options)))


@shift(
    "semantic.register",
    channels=("instruction",),
    unit="manner of speech: 1 chatty, 2 formal, 3 shouted, 4 telegram, 5 dictated with fillers",
    source="STAR-Gen S-LANG; REALM (language); the manners are ours",
    star_gen="S-LANG",
)
def register(scene: Scene, context: Context) -> Scene:
    """The same words in another manner of speech; fractional severities round up to the next."""
    text = REGISTERS[context.level - 1](scene.instruction.text)
    return scene.but(instruction=scene.instruction.but(text=text))


@shift(
    "semantic.other-verb",
    channels=("instruction", "goal"),
    unit="wording family of the new request, as semantic.paraphrase has them",
    source="REALM SB-VRB; STAR-Gen; LIBERO-PRO (task)",
    star_gen="SB-VRB",
    applies=lambda task: task.handled.kind in ("object", "block") and task.goal.released and not task.concept,
)
def other_verb(scene: Scene, context: Context) -> Scene:
    """In a scene that demonstrations put things away in, the request is only to pick the object up."""
    lift = TASKS.get("lift")
    wording = held_out(context, lift, context.level)
    role = scene.goal.manipulated[0]
    name = context.task.words(scene)[role]
    stages = tuple(s.but(condition=s.condition.replace("target", role)) for s in lift.goal.stages)
    goal = scene.goal.but(
        manipulated=(role,),
        success=tuple(text.replace("target", role) for text in lift.goal.success),
        stages=stages,
        released=False,
        habit=scene.goal.success,
        options=(),
    )
    instruction = scene.instruction.but(text=wording.format(target=name), wording=wording)
    return scene.but(instruction=instruction, goal=goal)


def gibberish(text: str, rng: np.random.Generator) -> str:
    """The text with other letters: words of the same lengths that mean nothing."""
    letters = rng.choice(list(string.ascii_lowercase), len(text))
    return "".join(other if c.isalpha() else c for c, other in zip(text, letters, strict=True))
