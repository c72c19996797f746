"""Numbers a scene, where scenes carry all cells and where they carry some."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from oodbench.stats import validation_blocks
from oodbench.stats.blocks import by_scene, gap, gap_weights, rate, shares
from oodbench.stats.clustered import clustered_mean, scene_codes
from oodbench.stats.validation_blocks import Blocks


def crossed(outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scene, cell, outcome), flat, of (scenes, cells)."""
    scene, cell = np.indices(outcome.shape)
    return scene_codes(np.zeros(outcome.size, int), scene.ravel()), cell.ravel(), outcome.ravel()


def test_where_every_scene_has_every_cell_they_are_the_means_of_the_scenes():
    rng = np.random.default_rng(0)
    outcome = (rng.random((30, 8)) < rng.random(8)).astype(int)
    (found,) = by_scene(*crossed(outcome)).values()
    assert found == pytest.approx(outcome.mean(1))
    mean = clustered_mean({"t": found})
    theirs = stats.ttest_1samp(outcome.mean(1), 0).confidence_interval()
    assert (mean.interval.low, mean.interval.high) == pytest.approx(tuple(theirs))


def test_of_one_cell_they_are_the_outcomes():
    rng = np.random.default_rng(1)
    won = rng.integers(0, 2, 50)
    (found,) = by_scene(np.arange(50), np.zeros(50, int), won).values()
    assert found == pytest.approx(won)


def test_cells_that_differ_and_outcomes_that_do_not_make_no_spread():
    """A policy that always solves one half of the cells and never the other is as sure as one that is always right."""
    suite = Blocks.of(tasks=2, scenes=42, cells=12, episodes=7)
    (one, other) = by_scene(suite.scene, suite.cell, suite.cell % 2).values()
    assert np.ptp(one) == pytest.approx(0.0, abs=1e-12)
    assert np.ptp(other) == pytest.approx(0.0, abs=1e-12)


def test_their_mean_is_the_mean_of_the_episodes_whatever_is_missing():
    rng = np.random.default_rng(2)
    suite = Blocks.of(tasks=3, scenes=42, cells=12, episodes=7)
    kept = rng.random(len(suite.scene)) < 0.8
    scene, cell, won = suite.scene[kept], suite.cell[kept], rng.integers(0, 2, kept.sum())
    for task, numbers in by_scene(scene, cell, won).items():
        mine = scene >> 40 == task
        assert numbers.mean() == pytest.approx(won[mine].mean())
        assert shares(scene, won)[task].mean() == pytest.approx(won[mine].mean())
        assert len(numbers) == len(np.unique(scene[mine]))


def test_they_vary_as_the_mean_does_from_one_pool_of_scenes_to_another():
    rng = np.random.default_rng(3)
    suite = Blocks.of(tasks=2, scenes=42, cells=18, episodes=7)
    level = np.linspace(-1, 1, 19)[suite.cell]
    shifted = suite.cell > 0
    means, expected = [], []
    for _ in range(400):
        won = suite.draw(rng, level, share=0.8)[shifted, 0]
        found = clustered_mean(by_scene(suite.scene[shifted], suite.cell[shifted], won))
        means.append(found.value)
        expected.append(((found.interval.high - found.interval.low) / 2 / stats.t.ppf(0.975, 82)) ** 2)
    assert np.mean(expected) == pytest.approx(np.var(means), rel=0.2)


def test_a_gap_is_of_every_shifted_episode_and_its_twin():
    #          scene 0: id 1, shifted 0 0; scene 1: id 1, shifted 1; scene 2: id 0, no shifted; scene 3: shifted, no id
    scene = np.array([0, 0, 0, 1, 1, 2, 3])
    won = np.array([1, 0, 0, 1, 1, 0, 0])
    plain = np.array([True, False, False, True, False, True, False])
    weights = gap_weights(scene, plain, ~plain)
    assert (weights * won).sum() == pytest.approx((1 + 1 + 0) / 3)
    assert weights.sum() == pytest.approx(0.0)
    assert (weights[[5, 6]] == 0).all()


def test_one_episode_a_cell_is_measured_against_the_others_of_its_task():
    scene, cell = np.arange(24), np.arange(24)
    won = (np.arange(24) % 4 == 0).astype(int)
    mean, effect = rate(scene, cell, won)
    assert mean.interval.low < 0.25 < mean.interval.high
    assert effect == pytest.approx(1.0)


@pytest.mark.slow
@pytest.mark.parametrize("success", [0.3, 0.97])
def test_intervals_of_scores_and_gaps_hold_the_truth(success):
    found = validation_blocks.score_coverage(success, runs=500)
    assert min(found.values()) > 0.92


@pytest.mark.slow
def test_equal_policies_are_not_told_apart_and_bands_hold_their_curves():
    found = validation_blocks.equal_policies(runs=300)
    assert max(found["clustered t"], found["sign flip"]) < 0.09
    assert found["ranks"] > 0.92
    assert validation_blocks.band_coverage(runs=150) > 0.92


def test_the_order_of_the_records_changes_no_bit():
    rng = np.random.default_rng(4)
    suite = Blocks.of(tasks=3, scenes=42, cells=18, episodes=7)
    won = suite.draw(rng, np.linspace(-1, 1, 19)[suite.cell])[:, 0]
    weights = gap_weights(suite.scene, suite.cell == 0, suite.cell > 0)
    order = rng.permutation(len(won))
    names = rng.permutation(19)  # cells are numbered as they come
    here = (suite.scene, suite.cell, won)
    there = (suite.scene[order], names[suite.cell][order], won[order])
    assert rate(*here) == rate(*there)
    assert gap(*here, weights) == gap(*there, weights[order])
    assert clustered_mean(by_scene(*here, weights)) == clustered_mean(by_scene(*there, weights[order]))
    assert all((a == b).all() for a, b in zip(shares(*here[::2]).values(), shares(*there[::2]).values(), strict=True))
