"""Attention scored against masks: maps whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.diagnostics.attention import centre_prior, localisation, occupancy, rollout, uniform
from oodbench.errors import OodbenchError


@pytest.fixture
def masks() -> np.ndarray:
    """40 masks of 64 pixels, a block of 8 x 8 pixels on one of 8 x 8 patches, exactly or shifted by half."""
    rng = np.random.default_rng(0)
    made = np.zeros((40, 64, 64), bool)
    for mask in made:
        y, x = rng.integers(8, 48, 2)
        mask[y : y + 12, x : x + 8] = True
    return made


def test_occupancy_is_the_share_of_each_patch() -> None:
    mask = np.zeros((1, 16, 16), bool)
    mask[0, :4, :2] = True
    cover = occupancy(mask, 4)
    assert cover[0, 0] == 0.5
    assert cover.sum() == 0.5
    with pytest.raises(OodbenchError, match="do not divide"):
        occupancy(mask, 3)


def test_a_map_on_the_thing_hits_and_lifts(masks: np.ndarray) -> None:
    perfect = occupancy(masks, 8)
    score = localisation(perfect, masks)
    assert score.hit == 1.0
    assert score.auroc == pytest.approx(1.0)
    assert score.lift > 20
    turned = localisation(perfect.reshape(-1, 8, 8)[:, ::-1, ::-1].reshape(-1, 64), masks)
    assert turned.hit < 0.5


def test_a_random_map_gets_the_area_and_nothing_more(masks: np.ndarray) -> None:
    """The pointing baseline: the mass of a map that knows nothing equals the area fraction; its lift is 1."""
    rng = np.random.default_rng(1)
    many = np.repeat(masks, 50, axis=0)
    score = localisation(rng.random((len(many), 64)), many)
    assert score.mass == pytest.approx(score.area, rel=0.03)
    assert score.area == pytest.approx(12 * 8 / 64**2)
    assert score.lift == pytest.approx(1.0, rel=0.03)
    assert score.hit == pytest.approx(score.hit_chance, abs=0.03)
    assert score.auroc == pytest.approx(0.5, abs=0.02)
    flat = localisation(uniform(np.zeros((len(masks), 64))), masks)
    assert flat.lift == pytest.approx(1.0)
    assert flat.entropy == pytest.approx(1.0)


def test_the_centre_prior_is_one_map_for_all(masks: np.ndarray) -> None:
    perfect = occupancy(masks, 8)
    prior = centre_prior(perfect)
    assert (prior == prior[0]).all()
    assert localisation(prior, masks).lift < localisation(perfect, masks).lift


def test_attention_on_the_other_thing_is_told_apart(masks: np.ndarray) -> None:
    other = np.roll(masks, 24, axis=1)
    score = localisation(occupancy(other, 8), masks, other)
    assert score.distractor > 10 * score.mass


def test_pictures_without_the_thing_do_not_count(masks: np.ndarray) -> None:
    masks[:10] = False
    assert localisation(uniform(np.zeros((40, 64))), masks).n == 30
    with pytest.raises(OodbenchError, match="visible in none"):
        localisation(uniform(np.zeros((40, 64))), np.zeros_like(masks))
    with pytest.raises(OodbenchError, match="do not fit"):
        localisation(np.ones((40, 60)), masks)


def test_rollout_follows_the_layers() -> None:
    """Two layers: the last token looks at 1, which looked at 0; half of each stays where it is."""
    first, second = np.eye(3)[None, None].copy(), np.eye(3)[None, None].copy()
    first[0, 0, 1] = [1, 0, 0]
    second[0, 0, 2] = [0, 1, 0]
    joined = rollout([first, second])[0]
    assert joined[2].tolist() == [0.25, 0.25, 0.5]
    assert np.allclose(joined.sum(1), 1.0)
