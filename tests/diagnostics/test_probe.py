"""Probes on features whose content is known, the probe set, and the command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oodbench.catalogue import OBJECTS
from oodbench.concepts import CONCEPTS, concept_of
from oodbench.diagnostics import linear, listening, scenes
from oodbench.diagnostics.inside import Inside, look
from oodbench.diagnostics.probe import thing_tokens
from oodbench.errors import OodbenchError, PolicyError

GLASS = '''
import numpy as np
from oodbench.diagnostics.inside import Inside
from oodbench.policies.base import PolicySpec

class Glass:
    """Its tokens are the mean colours of 8 x 8 patches, its attention is on what is not like the rest."""
    spec = PolicySpec(image_size=64)
    def __init__(self, turn=0):
        self.turn = turn
    def reset(self, episode):
        pass
    def act(self, observation):
        return np.zeros((1, 7))
    def inside(self, images, wrist_images, states, instructions):
        n = len(images)
        tokens = images.reshape(n, 8, 8, 8, 8, 3).mean((2, 4)).reshape(n, 64, 3) / 255
        if self.turn:
            q, _ = np.linalg.qr(np.random.default_rng(self.turn).standard_normal((3, 3)))
            tokens = 2 * tokens @ q
        odd = np.abs(tokens - tokens.mean(1, keepdims=True)).sum(2)
        actions = np.zeros((n, 2, 7))
        actions[:, :, 0] = [[len(text) / 100] for text in instructions]
        return Inside({"patches": tokens, "more": tokens**2}, {"patches": odd}, actions)
'''


@pytest.fixture(scope="module")
def probes() -> scenes.ProbeSet:
    return scenes.render(22, image_size=64, workers=0)


@pytest.mark.slow
def test_every_scene_offers_two_candidates_of_its_concept(probes: scenes.ProbeSet) -> None:
    assert len(probes) == 2 * 3 * 22
    for concept in CONCEPTS:
        chosen = probes.chosen(concept, "start")
        assert len(chosen) == 22
        assert {concept_of(OBJECTS.get(probes.label[i])) for i in chosen} == {concept}
        assert len({probes.label[i] for i in chosen}) >= 11  # every thing in turn
    assert all(a != b for a, b in zip(probes.instruction, probes.swapped, strict=True))


@pytest.mark.slow
def test_the_masks_show_three_different_things(probes: scenes.ProbeSet) -> None:
    start = probes.chosen(None, "start")
    visible = [probes.target[start].any((1, 2)), probes.other[start].any((1, 2)), probes.place[start].any((1, 2))]
    assert all(share.mean() > 0.95 for share in visible)
    assert not (probes.target & probes.other).any()
    assert not (probes.target & probes.place).any()


@pytest.mark.slow
def test_in_the_second_frame_the_thing_is_carried(probes: scenes.ProbeSet) -> None:
    start, carry = probes.chosen(None, "start"), probes.chosen(None, "carry")
    assert (probes.scene[start] == probes.scene[carry]).all()
    assert (probes.state[carry, 6] < probes.state[start, 6] - 0.003).mean() > 0.9  # the fingers have closed on it


@pytest.mark.slow
def test_the_probe_set_is_the_same_every_time(probes: scenes.ProbeSet, tmp_path: Path) -> None:
    scene, swapped = scenes.probe_scene("web", 3)
    again, _ = scenes.probe_scene("web", 3)
    assert scene == again
    assert swapped in probes.swapped
    scenes.save(probes, tmp_path / "probes.npz")
    back = scenes.load(tmp_path / "probes.npz")
    assert np.array_equal(back.image, probes.image)
    assert back.label == probes.label


@pytest.mark.slow
def test_a_probe_reads_what_is_there_and_no_more() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 240)
    groups = np.arange(240) // 2
    features = np.eye(4)[labels] @ rng.standard_normal((4, 10)) + 0.1 * rng.standard_normal((240, 10))
    assert linear.probe(features, labels, groups)["accuracy"] > 0.95
    nothing = linear.probe(rng.standard_normal((240, 10)), labels, groups)
    assert abs(nothing["accuracy"] - 0.25) < 0.12


def test_a_probe_does_not_learn_scenes_by_heart() -> None:
    """Features that only name the scene say nothing of new scenes, though every scene has its label."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(60), 4)
    labels = rng.integers(0, 3, 60)[groups]
    features = rng.standard_normal((60, 40))[groups]
    assert linear.probe(features, labels, groups)["accuracy"] < 0.55


def test_too_few_examples_give_no_number() -> None:
    found = linear.probe(np.zeros((8, 3)), np.arange(8), np.arange(8))
    assert np.isnan(found["accuracy"])
    assert found["n"] == 0


def test_places_are_read_in_centimetres() -> None:
    rng = np.random.default_rng(2)
    places = rng.uniform(-0.2, 0.2, (200, 2))
    found = linear.position_probe(places @ rng.standard_normal((2, 6)), places, np.arange(200))
    assert found["median_cm"] < 0.1
    assert found["r2"] > 0.99
    assert linear.position_probe(rng.standard_normal((200, 6)), places, np.arange(200))["r2"] < 0.1


def test_clusters_are_seen_and_chance_is_not() -> None:
    rng = np.random.default_rng(3)
    labels = np.arange(90) % 3
    apart = linear.silhouette(5 * np.eye(3)[labels] + rng.standard_normal((90, 3)), labels, draws=20)
    assert apart["silhouette"] > 0.4 > apart["chance_95"]
    mixed = linear.silhouette(rng.standard_normal((90, 3)), labels, draws=40)
    assert mixed["silhouette"] < 0.05


def test_tokens_of_a_thing_are_those_of_its_patches() -> None:
    tokens = np.arange(16.0).reshape(1, 16, 1)
    mask = np.zeros((1, 64, 64), bool)
    mask[0, :16, 16:48] = True  # patches 1 and 2 of the first row
    assert thing_tokens(tokens, mask)[0, 0] == 1.5


def test_divergence_is_in_centimetres() -> None:
    straight = np.zeros((3, 4, 7))
    straight[..., 0] = 0.5
    away = straight.copy()
    away[..., 1] = 1.0
    found = listening.divergence(straight, away, straight)
    assert found["swap_cm"] == pytest.approx(20.0)
    assert found["blank_cm"] == 0.0
    assert found["path_cm"] == pytest.approx(10.0)


def test_a_policy_that_cannot_be_looked_into_is_told_what_is_missing() -> None:
    class Wall:
        def act(self, observation: object) -> np.ndarray:
            return np.zeros((1, 7))

    nothing = np.zeros((2, 64, 64, 3), np.uint8)
    with pytest.raises(PolicyError, match=r"Wall has no method inside\(\)"):
        look(Wall(), "wall", nothing, nothing, np.zeros((2, 8)), ["", ""])

    class Short:
        def inside(self, *args: object) -> Inside:
            return Inside({"a": np.zeros((1, 4, 3))}, {}, np.zeros((2, 1, 7)))

    with pytest.raises(PolicyError, match=r"gives \(1, 4, 3\) for layer 'a'"):
        look(Short(), "short", nothing, nothing, np.zeros((2, 8)), ["", ""])


@pytest.mark.slow
def test_the_command_sets_policies_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "glass.py").write_text(GLASS)
    uri = f"{tmp_path / 'glass.py'}:Glass"
    command = [
        sys.executable,
        "-m",
        "oodbench",
        "probe",
        f"clear={uri}",
        f"turned={uri}?turn=2",
        "--reference",
        "clear",
    ]
    done = subprocess.run(
        [*command, "--scenes", "22", "--workers", "0", "--out", str(tmp_path / "out")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "probe.json").read_text())
    assert result["cka"]["pooled"]["patches"]["clear"]["turned"] == pytest.approx(1.0, abs=1e-6)
    assert set(result["policies"]) == {"clear", "turned"}
    row = result["policies"]["clear"]
    assert row["position"]["patches"]["n"] == 66
    assert set(row["linear"]["none"]["colour"]) == {"patches", "more"}
    assert row["attention"]["start"]["robot"]["patches"]["uniform"]["lift"] == pytest.approx(1.0)
    assert row["listening"]["robot"]["swap_cm"] > 0
    for name in ("layers.png", "tsne.png", "attention.png"):
        assert (tmp_path / "out" / name).stat().st_size > 10_000
    assert "CKA with clear" in done.stdout
    wrong = subprocess.run(
        [*command[:-1], "celar", "--scenes", "22", "--out", str(tmp_path / "out")], capture_output=True, text=True
    )
    assert wrong.returncode == 2
    assert "celar" in wrong.stderr
    with pytest.raises(OodbenchError):
        scenes.render(1, image_size=100)
