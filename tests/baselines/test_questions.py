"""Pretraining pictures and questions: right about what they show, and never about what must stay unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from oodbench.catalogue import OBJECTS
from oodbench.concepts import concept_of
from oodbench.errors import RunFolderError
from oodbench.sim.world import World
from vla import pictures
from vla.pictures import PicturePlan
from vla.pretrain import heat_loss, heat_target, spot_loss
from vla.questions import PLACES, TYPES, answers, ask, ask_all, captions
from vla.questions import load as load_questions


@pytest.fixture(scope="module")
def some_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "SETS", 2)
        patch.setattr(pictures, "ARRANGEMENTS", 10)
        pictures.render_all(folder, PicturePlan(20, "test"), workers=0)
    return folder


@pytest.fixture
def some(some_folder: Path) -> pictures.Pictures:
    return pictures.load(some_folder)


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


def test_heat_is_shared_out_by_what_is_covered() -> None:
    """Two things on four patches; the first question looks at one, the second at both, the third at nothing."""
    cover = torch.tensor([[[0.1, 0.0, 0.0, 0.3], [0.0, 0.4, 0.0, 0.0]]])
    look = torch.tensor([[[True, False], [True, True], [False, False]]])
    heat = heat_target(cover, look)[0]
    assert heat[0].tolist() == pytest.approx([0.25, 0.0, 0.0, 0.75])
    assert heat[1].tolist() == pytest.approx([0.125, 0.5, 0.0, 0.375])
    assert heat[2].tolist() == [0.0] * 4


def test_a_map_on_the_thing_has_the_least_loss() -> None:
    cover, look = torch.tensor([[[0.5, 0.5, 0.0, 0.0]]]), torch.ones(1, 1, 1, dtype=torch.bool)
    right = heat_loss(torch.tensor([[[9.0, 9.0, 0.0, 0.0]]]), [cover], look)
    wrong = heat_loss(torch.tensor([[[0.0, 0.0, 9.0, 9.0]]]), [cover], look)
    assert right.item() == pytest.approx(np.log(2), abs=1e-3)
    assert wrong.item() > 5


def test_questions_are_asked_once_and_the_same_again(some_folder: Path) -> None:
    ask_all(some_folder, workers=0)
    first = load_questions(some_folder).questions
    assert all(len(row) == 16 for row in first)
    files = sorted(some_folder.glob("questions-*.json"))
    kept = [file.stat().st_mtime_ns for file in files]
    ask_all(some_folder, workers=0)
    assert [file.stat().st_mtime_ns for file in files] == kept
    files[0].unlink()
    with pytest.raises(RunFolderError, match="no questions were asked"):
        load_questions(some_folder)
    ask_all(some_folder, workers=0)
    assert load_questions(some_folder).questions == first


def test_rendering_goes_on_where_it_was_and_refuses_another_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "SETS", 1)
    monkeypatch.setattr(pictures, "ARRANGEMENTS", 2)
    made: list[str] = []
    monkeypatch.setattr(pictures, "World", lambda quality: made.append(quality) or World(quality))
    pictures._world.cache_clear()
    pictures.render_all(tmp_path, PicturePlan(4, "test"), workers=0)
    first = pictures.load(tmp_path)
    (tmp_path / "pictures-00001.npz").unlink()
    pictures.render_all(tmp_path, PicturePlan(4, "test"), workers=0)
    assert np.array_equal(pictures.load(tmp_path).arrays["image"], first.arrays["image"])
    assert len(made) == 1, "one world for all shards"
    with pytest.raises(Exception, match="holds other pictures"):
        pictures.render_all(tmp_path, PicturePlan(4, "test", dense=True), workers=0)


def test_the_spot_is_the_middle_of_the_thing_in_both_pictures() -> None:
    mask, wrist = torch.full((1, 64, 64), -1), torch.full((1, 32, 32), -1)
    mask[0, 16:32, 32:64] = 0  # middle: 0.75 across, 0.375 down
    wrist[0, :16, :8] = 0  # 0.125 across, 0.25 down
    look = torch.zeros(1, 2, 8, dtype=torch.bool)
    look[0, 0, 0] = True
    look[0, 1, :2] = True  # two things: no one spot
    batch = {"mask": mask, "wrist_mask": wrist, "look": look}
    right = torch.tensor([[[[0.75, 0.375], [0.125, 0.25]], [[9.0, 9.0], [9.0, 9.0]]]])
    assert spot_loss(right, batch).item() == pytest.approx(0.0, abs=1e-6)
    aside = right + torch.tensor([0.1, 0.0])
    assert spot_loss(aside, batch).item() == pytest.approx(0.05, abs=1e-6)
    batch["wrist_mask"] = torch.full((1, 32, 32), -1)  # out of the wrist camera's view: only the other counts
    assert spot_loss(aside, batch).item() == pytest.approx(0.025, abs=1e-6)
