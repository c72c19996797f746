"""A scene is data: frozen, exact, with one JSON text and one hash."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oodbench.scene import CHANNELS, Scene, changed_channels
from oodbench.task import TASKS


@pytest.fixture(scope="module")
def scene() -> Scene:
    return TASKS.get("put-on").sample(0)


def test_json_round_trip_keeps_scene_and_hash(scene):
    again = Scene.model_validate(json.loads(scene.canonical_json()))
    assert again == scene
    assert again.sha256 == scene.sha256


def test_scenes_cannot_be_changed_in_place(scene):
    with pytest.raises(ValidationError):
        scene.timing = scene.timing.but(horizon=3)


@given(x=st.floats(-0.4, 0.4), nudge=st.floats(-4e-7, 4e-7))
def test_hash_ignores_what_is_below_a_micrometre(x, nudge):
    scene = TASKS.get("put-on").sample(0)
    coarse = round(x, 6)
    a = scene.replace_object("target", position=(coarse, 0.0, 0.0))
    b = scene.replace_object("target", position=(coarse + nudge, 0.0, 0.0))
    assert a.sha256 == b.sha256


def _places(value, place=()):
    """Where the numbers and words of a scene's JSON are."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _places(part, (*place, key))
    elif value is not None:
        yield place


def _changed(value):
    """Other values, of which one is allowed wherever this one is."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, str):
        return [value + "x"]
    return [value + 1] if isinstance(value, int) else [value + 0.001, value - 0.001]


def test_every_number_and_word_counts(scene):
    places = [p for p in _places(json.loads(scene.canonical_json())) if p[0] != "cameras" or p[-1] != "mount"]
    assert len(places) > 100
    assert {place[0] for place in places} == {"key", *CHANNELS} - {"events"}
    hashes = {scene.sha256}
    for place in places:
        content = json.loads(scene.canonical_json())
        part = content
        for key in place[:-1]:
            part = part[key]
        for other in _changed(part[place[-1]]):
            part[place[-1]] = other
            try:
                hashes.add(Scene.model_validate(content).sha256)
            except ValidationError:
                continue
            break
        else:
            pytest.fail(f"{place} could not be changed")
    assert len(hashes) == 1 + len(places)


def test_changed_channels_names_exactly_what_differs(scene):
    assert changed_channels(scene, scene) == set()
    assert changed_channels(scene, scene.but(timing=scene.timing.but(action_delay=2))) == {"timing"}
    assert set(CHANNELS) == set(Scene.model_fields) - {"key"}


def test_a_misspelt_field_and_a_number_that_is_not_finite_are_refused(scene):
    with pytest.raises(ValidationError, match="positon"):
        scene.replace_object("target", positon=(0, 0, 0))
    with pytest.raises(ValidationError):
        scene.replace_object("target", yaw=float("nan"))


def test_the_same_seed_gives_the_same_scene_in_another_process(scene):
    code = "from oodbench.task import TASKS; print(TASKS.get('put-on').sample(0).sha256)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == scene.sha256
