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


def test_a_thing_that_is_in_neither_half_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    file = concept_file()
    monkeypatch.setattr(concepts.toml, "load", lambda path, model: file.model_copy(update={"web": file.web[1:]}))
    concept_file.cache_clear()
    with pytest.raises(SpecError, match=file.web[0]):
        concept_file()
    monkeypatch.undo()
    concept_file.cache_clear()
