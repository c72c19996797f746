"""The concept splits: halves of the test things, and nothing that was demonstrated among them."""

from __future__ import annotations

import pytest

from oodbench import concepts
from oodbench.catalogue import OBJECTS
from oodbench.concepts import CONCEPTS, SPLIT_KINDS, concept_file, concept_of, concept_of_scene, things
from oodbench.errors import SpecError
from oodbench.pool import standard
from oodbench.shift import ShiftSpec
from oodbench.suite import SUITES, Episode


def test_every_thing_is_of_one_concept_split() -> None:
    for kind in SPLIT_KINDS:
        found = [asset.name for concept in CONCEPTS for asset in things(kind, concept)]
        assert sorted(found) == sorted(asset.name for asset in standard().all_objects() if asset.kind == kind)
        assert {asset.split for asset in things(kind, "robot")} == {"train"}
        assert {asset.split for asset in things(kind, "none")} == {"test"}
        assert things(kind, "web")


def test_both_halves_have_every_level_of_novelty() -> None:
    for level in range(1, 6):
        halves = {concept: [a for a in things("object", concept) if a.novelty == level] for concept in ("web", "none")}
        assert all(halves.values()), level


def test_a_scene_is_as_known_as_the_least_known_of_its_things() -> None:
    suite = SUITES.get("blindvla-13")
    seen = set()
    for seed in range(20):
        for shift in ("semantic.unseen-object", "semantic.unseen-receptacle"):
            scene = Episode("put-on", ShiftSpec.parse(shift, 3.0), seed).scene(suite)
            found = {concept_of(OBJECTS.get(scene.object(id).asset)) for id in ("target", "receptacle")}
            assert concept_of_scene(scene) == max(found, key=CONCEPTS.index)
            seen.add(concept_of_scene(scene))
    assert seen == {"web", "none"}
    assert concept_of_scene(Episode("put-on", ShiftSpec.parse("none", 0.0), 0).scene(suite)) == "robot"


def test_a_thing_that_is_no_test_thing_or_named_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = concept_file()
    for name in ("apple", file.none[0]):
        other = file.model_copy(update={"web": (*file.web, name)})
        monkeypatch.setattr(concepts.toml, "load", lambda path, model, other=other: other)
        concept_file.cache_clear()
        with pytest.raises(SpecError, match=name):
            concept_file()
    monkeypatch.undo()
    concept_file.cache_clear()


def test_a_test_thing_of_ones_own_is_one_that_nothing_was_trained_on() -> None:
    file = concept_file()
    listed = {*file.web, *file.none}
    assert {a.name for a in OBJECTS if a.name in OBJECTS.shipped_names() and concept_of(a) == "web"} >= set(file.web)
    own = OBJECTS.get(file.web[0]).model_copy(update={"name": "my-thing"})
    assert own.name not in listed
    assert concept_of(own) == "none"
