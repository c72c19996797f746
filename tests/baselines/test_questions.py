"""Pretraining pictures and questions: right about what they show, and never about what must stay unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oodbench.catalogue import OBJECTS
from oodbench.concepts import concept_of
from vla import pictures
from vla.pictures import PicturePlan
from vla.questions import PLACES, TYPES, answers, ask, captions, heat_target


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> pictures.Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "SETS", 2)
        patch.setattr(pictures, "ARRANGEMENTS", 10)
        pictures.render_all(folder, PicturePlan(20, "test"), workers=0)
        return pictures.load(folder)


def test_pictures_show_nothing_of_c_none(some: pictures.Pictures) -> None:
    shown = {thing["asset"] for things in some.things for thing in things}
    assert len(shown) > 8
    assert all(concept_of(OBJECTS.get(name)) != "none" for name in shown)
    assert 2.0 < np.mean([len(things) for things in some.things]) < 5.0


def test_masks_are_where_the_things_are(some: pictures.Pictures) -> None:
    for things, mask in zip(some.things, some.arrays["mask"], strict=True):
        columns = {thing["k"]: np.argwhere(mask == thing["k"])[:, 1].mean() for thing in things}
        order = sorted(things, key=lambda thing: thing["y"])
        apart = [(a, b) for a in order for b in order if b["y"] - a["y"] > 0.15 and abs(a["x"] - b["x"]) < 0.1]
        assert all(columns[a["k"]] < columns[b["k"]] for a, b in apart)  # the robot's right is the picture's left


def test_every_type_of_question_is_asked_and_can_be_answered(some: pictures.Pictures) -> None:
    rng, known, seen = np.random.default_rng(0), set(answers()), set()
    for _ in range(200):
        for things in some.things:
            question = ask(things, rng)
            if question is None:
                continue
            seen.add(question.type)
            assert question.answer is None or question.answer in known
            assert set(question.look) <= {thing["k"] for thing in things}
    assert seen >= set(TYPES) - {"glyph"}  # boards are not in every handful of pictures


def test_answers_are_right() -> None:
    mug = {"k": 0, "asset": "mug", "face": None, "label": "mug", "x": 0.05, "y": -0.2}
    plum = {"k": 3, "asset": "plum", "face": None, "label": "plum", "x": -0.2, "y": 0.15}
    board = {"k": 5, "asset": "board", "face": "shape/circle/red", "label": "the board with the circle", "x": 0, "y": 0}
    rng = np.random.default_rng(0)
    facts = {}
    for _ in range(400):
        for kind in ("name", "colour", "position", "relation", "count", "presence"):
            question = ask([mug, plum], rng, kind)
            if question:
                facts[question.text] = question.answer
    assert facts["what is the leftmost thing"] == "mug"
    assert facts["what is the farthest thing"] == "plum"
    assert facts["what colour is the plum"] == "purple"
    assert facts["how many things are there"] == "two"
    assert facts["is the mug left of the plum"] == "yes"
    assert facts["is the plum in front of the mug"] == "no"
    assert facts["where is the mug"] == "near left"
    assert facts["where is the plum"] == "far right"
    assert facts["is there a mug"] == "yes"
    assert {answer for text, answer in facts.items() if text.startswith("where")} <= set(PLACES)
    assert captions([mug, board]) == {0: "mug", 5: "circle"}


def test_heat_is_shared_out_by_pixels() -> None:
    mask = np.full((8, 8), -1)
    mask[0, 0] = mask[7, 6] = mask[7, 7] = 2
    heat = heat_target(mask, (2,), grid=2)
    assert heat.tolist() == pytest.approx([1 / 3, 0, 0, 2 / 3])
    assert heat_target(mask, (4,), grid=2).sum() == 0.0


def test_rendering_goes_on_where_it_was_and_refuses_another_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SETS", 1)
    monkeypatch.setattr(pictures, "ARRANGEMENTS", 2)
    pictures.render_all(tmp_path, PicturePlan(4, "test"), workers=0)
    first = pictures.load(tmp_path)
    (tmp_path / "pictures-00001.npz").unlink()
    pictures.render_all(tmp_path, PicturePlan(4, "test"), workers=0)
    assert np.array_equal(pictures.load(tmp_path).arrays["image"], first.arrays["image"])
    with pytest.raises(Exception, match="holds other pictures"):
        pictures.render_all(tmp_path, PicturePlan(4, "test", dense=True), workers=0)
