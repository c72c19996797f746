"""Statistics against independent oracles and simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from oodbench.stats.choice import chance_corrected, corrected_interval
from oodbench.stats.clustered import clustered_mean, clustered_rate
from oodbench.stats.language import language_use
from oodbench.stats.rates import Rate, wilson
from oodbench.stats.severity import area_under


@given(n=st.integers(1, 500), data=st.data(), confidence=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_scipys(n, data, confidence):
    k = data.draw(st.integers(0, n))
    found = wilson(k, n, confidence)
    expected = oracle.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert found.low == pytest.approx(expected.low, abs=1e-9)
    assert found.high == pytest.approx(expected.high, abs=1e-9)


def test_wilson_of_nothing_says_that_nothing_is_known():
    assert (wilson(0, 0).low, wilson(0, 0).high) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson(3, 2)


def test_errors_are_not_in_the_denominator():
    rate = Rate.of([True, None, False, True, None])
    assert (rate.successes, rate.n, rate.errors) == (2, 3, 2)
    assert Rate.of([None]).value is None


def test_clustered_mean_equals_the_t_interval_of_one_task():
    values = np.random.default_rng(0).normal(size=30)
    found = clustered_mean({"a": values})
    low, high = oracle.t.interval(0.95, 29, values.mean(), values.std(ddof=1) / np.sqrt(30))
    assert (found.value, found.interval.low, found.interval.high) == pytest.approx((values.mean(), low, high))


def test_clustered_interval_covers_in_95_of_100_studies():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(2000):
        groups = {task: rng.binomial(4, rng.beta(2, 2, 20)) / 4 for task in "abc"}
        interval = clustered_mean(groups).interval
        hits += interval.low <= 0.5 <= interval.high
    assert 0.935 <= hits / 2000 <= 0.965


def test_too_few_scenes_get_no_interval():
    assert clustered_mean({"a": [0.0, 1.0] * 4, "b": [0.5] * 2}).interval is None
    assert clustered_mean({"a": [0.0, 1.0] * 10, "b": [0.5]}).interval is None
    assert clustered_mean({"a": [0.0, 1.0] * 4, "b": [0.5] * 3}).interval is not None
    assert clustered_mean({}) is None


@given(st.floats(0, 1))
def test_area_of_a_flat_curve_is_its_height(p):
    assert area_under({0: p, 1: p, 3: p, 5: p}) == pytest.approx(p)


def test_area_by_hand():
    assert area_under({0: 1.0, 1: 0.5, 5: 0.0}) == pytest.approx((0.75 * 1 + 0.25 * 4) / 5)
    assert area_under({0: 1.0}) is None


@pytest.mark.parametrize(
    ("accuracy", "options", "score"), [(1.0, 3, 1.0), (1 / 3, 3, 0.0), (0.5, 2, 0.0), (0.0, 3, -0.5)]
)
def test_chance_correction(accuracy, options, score):
    assert chance_corrected(accuracy, options) == pytest.approx(score)


def test_the_corrected_interval_of_a_guesser_holds_0():
    """As often as 95 % says, over many guessers."""
    rng = np.random.default_rng(0)
    wins = rng.binomial(60, 1 / 3, 400)
    held = [(i := corrected_interval(Rate(int(k), 60), 3)).low <= 0 <= i.high for k in wins]
    assert 0.91 <= np.mean(held) <= 0.99


def test_language_use_of_listeners_and_of_the_deaf():
    deaf = [(1.0, 1.0)] * 10 + [(0.0, 0.0)] * 10
    index, interval = language_use(deaf)
    assert index == 0.0
    assert interval.low == interval.high == 0.0
    index, _ = language_use([(1.0, 0.0)] * 8)
    assert index == 1.0
    index, interval = language_use([(1.0, 0.5), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)] * 10)
    assert index == pytest.approx(0.5)
    assert interval.low < 0.5 < interval.high
    assert language_use([(0.0, 1.0)]) == (None, None)
    assert language_use([]) == (None, None)


@given(st.lists(st.integers(0, 8), min_size=12, max_size=40))
def test_a_score_lies_within_its_interval_and_between_nothing_and_everything(wins):
    found = clustered_rate({"task": [w / 8 for w in wins]}, 8 * len(wins))
    assert 0.0 <= found.interval.low <= found.value <= found.interval.high <= 1.0


def test_a_score_of_scenes_that_agree_is_worth_its_scenes():
    found = clustered_rate({"a": [1.0] * 20, "b": [1.0] * 20}, 400)
    assert found.interval.low == pytest.approx(wilson(40, 40).low, abs=0.01)
    copied = clustered_rate({"a": [0.0, 1.0] * 20}, 400)
    alone = clustered_rate({"a": [0.5] * 39 + [0.4]}, 400)
    assert copied.interval.high - copied.interval.low > 2.5 * (alone.interval.high - alone.interval.low)
