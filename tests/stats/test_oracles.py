"""Every estimator against somebody else's: scipy, statsmodels, closed forms, figures worked out before."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from statsmodels.stats.contingency_tables import mcnemar as their_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from oodbench.stats.blocks import rate
from oodbench.stats.clustered import bootstrap, clustered_mean, sign_flip
from oodbench.stats.discordant import mcnemar, tango
from oodbench.stats.methods import method_mean
from oodbench.stats.multiple import benjamini_hochberg, holm, letters
from oodbench.stats.power import detectable_drop, discordance, mcnemar_power, pairs_needed
from oodbench.stats.ranks import rank
from oodbench.stats.rates import Rate, clopper_pearson, wilson
from oodbench.stats.real import agreement, mmrv, pearson
from oodbench.stats.retention import retention
from oodbench.stats.sequential import BettingTest, SpendingTest, confidence_sequence
from oodbench.stats.severity import curve, half_point, never_rising


@pytest.fixture
def rng() -> np.random.Generator:
    """A test's own, so that its data are the same whichever tests ran before it."""
    return np.random.default_rng(0)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (37, 50), (0, 200), (199, 200)])
def test_intervals_of_a_rate_are_those_of_statsmodels(k, n):
    for ours, theirs in ((wilson, "wilson"), (clopper_pearson, "beta")):
        found = ours(k, n)
        assert (found.low, found.high) == pytest.approx(proportion_confint(k, n, method=theirs), abs=1e-9)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (5, 0), (3, 9), (40, 20), (17, 17)])
def test_mcnemar_is_that_of_statsmodels_and_of_scipy(b, c):
    theirs = their_mcnemar([[50, b], [c, 30]], exact=True).pvalue if b + c else 1.0
    assert mcnemar(b, c) == pytest.approx(theirs)
    if b + c:
        assert mcnemar(b, c, one_sided=True) == pytest.approx(stats.binomtest(b, b + c, alternative="greater").pvalue)
        assert mcnemar(b, c, mid=True) <= mcnemar(b, c)


def test_tango_gives_the_published_kind_of_figure_and_inverts_its_own_test():
    found = tango(40, 20, 160)
    assert (found.low, found.high) == pytest.approx((0.0309, 0.2181), abs=5e-5)
    assert tango(20, 40, 160).low == pytest.approx(-found.high)
    z = stats.norm.ppf(0.975)
    same = tango(0, 0, 50)
    assert same.high == pytest.approx(z**2 / (50 + z**2)), "its closed form where nothing differs"
    assert tango(10, 0, 10).high == pytest.approx(1.0)
    with pytest.raises(ValueError, match="8 and 5 discordant of 10"):
        tango(8, 5, 10)


def test_sign_flips_are_those_of_scipys_permutation_test(rng):
    values = rng.normal(0.3, 1, 10)
    theirs = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip({"t": values.tolist()}) == pytest.approx(theirs.pvalue)
    greater = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf, alternative="greater"
    )
    assert sign_flip({"t": values.tolist()}, one_sided=True) == pytest.approx(greater.pvalue)
    many = rng.normal(0.2, 1, 80)
    theirs = stats.ttest_1samp(many, 0).pvalue
    assert sign_flip({"t": many.tolist()}) == pytest.approx(theirs, abs=0.02)
    assert sign_flip({"t": [0.0] * 5}) == 1.0


def test_a_cluster_bootstrap_is_scipys_bootstrap_of_the_scenes(rng):
    values = rng.random(40)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=9999).confidence_interval
    found = bootstrap({"t": values.tolist()})
    assert found is not None
    assert (found.low, found.high) == pytest.approx(tuple(theirs), abs=0.01)
    assert bootstrap({"t": [1.0] * 3}) is None


def test_the_design_effect_is_one_for_independent_cells_and_the_cluster_size_for_copies(rng):
    won, one = (rng.random(200) < 0.6).astype(int), np.zeros(200, int)
    assert rate(np.arange(200), one, won)[1] == pytest.approx(1.0, abs=0.01)
    copies = (np.repeat(np.arange(200), 8), np.tile(np.arange(8), 200), np.repeat(won, 8))
    assert rate(*copies)[1] == pytest.approx(8.0, abs=0.1)


def test_adjusted_p_values_are_those_of_statsmodels():
    p = [0.001, 0.04, 0.03, 0.5, 0.2, 0.0005, 1.0]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1])
    assert holm([]) == benjamini_hochberg([]) == []


def test_letters_are_shared_exactly_by_those_not_told_apart():
    order = ["a", "b", "c", "d"]
    different = {("a", "c"): True, ("a", "d"): True, ("b", "d"): True}
    shown = letters(order, different)
    for i, x in enumerate(order):
        for y in order[i + 1 :]:
            assert bool(set(shown[x]) & set(shown[y])) != different.get((x, y), False), (shown, x, y)
    assert shown == {"a": "a", "b": "ab", "c": "bc", "d": "c"}
    assert letters(order, {}) == dict.fromkeys(order, "a")


def test_ranks_of_clearly_different_policies_are_certain_and_of_equal_ones_open(rng):
    success = (rng.random((300, 3)) < (0.9, 0.5, 0.1)).astype(float)
    found = rank(["good", "middling", "bad"], {"t": success})
    assert found.ranks == ((1, 1), (2, 2), (3, 3))
    assert found.letters == ("a", "b", "c")
    assert found.p[0, 1] < 0.01
    assert found.difference[0, 2] == pytest.approx(success[:, 0].mean() - success[:, 2].mean())
    twins = np.repeat((rng.random((50, 1)) < 0.5).astype(float), 2, axis=1)
    same = rank(["x", "y"], {"t": twins})
    assert same.ranks == ((1, 2), (1, 2))
    assert same.letters == ("a", "a")
    assert same.half[0, 1] == 0.0


def test_p_letters_and_intervals_of_a_ranking_say_the_same_also_of_few_scenes():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found = rank(list("abc"), {"t": np.clip(rng.normal((0.7, 0.5, 0.5), 0.25, (12, 3)), 0, 1)}, resamples=500)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            apart = bool(found.better[i, j] or found.better[j, i])
            assert (found.p[i, j] <= 0.05) == apart
            assert (abs(found.difference[i, j]) > found.half[i, j]) == apart
            assert (not set(found.letters[i]) & set(found.letters[j])) == apart


def test_curves(rng):
    levels = (0, 1, 3, 5)
    success = (rng.random((400, 4)) < (0.9, 0.8, 0.5, 0.2)).astype(float)
    found = curve(levels, {"t": success})
    mean = success.mean(0)
    assert found.rate == pytest.approx(mean)
    assert found.area == pytest.approx(integrate.trapezoid(mean, levels) / 5)
    assert found.area_interval.low < found.area < found.area_interval.high
    assert all(i.low < p < i.high for i, p in zip(found.band, mean, strict=True))
    assert found.half == pytest.approx(3.3, abs=0.3)
    assert found.slope is not None
    assert found.slope.value == pytest.approx(-stats.linregress(np.tile(levels, 400), success.ravel()).slope)
    sure = curve(levels, {"t": np.ones((20, 4))})
    assert sure.half is None
    assert sure.band[0].low < 1.0, "twenty successes do not prove that there is never a failure"


def test_curves_that_never_rise_pool_what_does():
    assert never_rising([0.9, 0.5, 0.7, 0.1]) == pytest.approx([0.9, 0.6, 0.6, 0.1])
    assert half_point([0, 1, 3, 5], [0.8, 0.8, 0.6, 0.2]) == pytest.approx(4.0)
    assert half_point([0, 5], [0.8, 0.5]) is None


@pytest.mark.parametrize(
    ("rate", "drop", "rho", "n80", "n90"),
    [(0.5, 0.1, 0.4, 202, 273), (0.8, 0.1, 0.4, 155, 208), (0.8, 0.05, 0.7, 287, 383), (0.95, 0.1, 0.0, 124, 163)],
)
def test_sample_sizes_are_those_worked_out_before(rate, drop, rho, n80, n90):
    assert pairs_needed(rate, drop, rho, 0.8) == pytest.approx(n80, abs=3)
    assert pairs_needed(rate, drop, rho, 0.9) == pytest.approx(n90, abs=3)


def test_power_is_what_a_simulation_finds_and_planning_turns_round():
    b, c = discordance(0.8, 0.1, 0.4)
    counts = np.random.default_rng(1).multinomial(120, [b, c, 1 - b - c], size=4000)
    simulated = np.mean([mcnemar(x, y, one_sided=True) <= 0.05 for x, y, _ in counts.tolist()])
    assert mcnemar_power(120, 0.8, 0.1, 0.4) == pytest.approx(simulated, abs=0.025)
    n = pairs_needed(0.8, 0.1, 0.4)
    assert detectable_drop(n, 0.8, 0.4) == pytest.approx(0.1, abs=0.002)
    with pytest.raises(ValueError, match="impossible between rates"):
        discordance(0.95, 0.3, 0.9)
    with pytest.raises(ValueError, match="too small"):
        pairs_needed(0.8, 0.0005, 0.0)


def test_mmrv_is_zero_for_the_same_order_and_counts_what_is_swapped(rng):
    assert mmrv([0.1, 0.5, 0.9], [0.2, 0.3, 0.8]) == 0.0
    assert mmrv([0.5, 0.1, 0.9], [0.2, 0.3, 0.8]) == pytest.approx((0.1 + 0.1 + 0.0) / 3)
    real = rng.random(8)
    found = agreement((0.9 * real + 0.05).tolist(), real.tolist())
    assert found.mmrv == 0.0
    assert found.pearson == pytest.approx(1.0)
    a, b = rng.random((2, 30))
    assert pearson(a[None], b[None])[0] == pytest.approx(stats.pearsonr(a, b)[0])
    assert agreement([0.1, 0.2], [0.5, 0.4]).pearson_interval is None
    with pytest.raises(ValueError, match="at least two"):
        agreement([0.1], [0.1])


def test_retention_is_only_given_where_there_is_something_to_retain():
    assert retention([np.array([(1.0, 0.5)] * 40)], Rate(40, 40))[0] == pytest.approx(0.5)
    assert retention([np.array([(0.0, 0.0)] * 36 + [(1.0, 1.0)] * 4)], Rate(4, 40)) == (None, None)
    two = [np.array([(1.0, 0.5)] * 30), np.array([(0.5, 0.5)] * 10)]
    assert retention(two, Rate(35, 40))[0] == pytest.approx(0.5 / 0.75), "tasks count alike"


def test_a_method_of_few_seeds_gets_no_interval_and_of_equal_seeds_that_of_its_scenes(rng):
    scenes = (rng.random(60) < 0.7).astype(float).tolist()
    assert method_mean([{"t": scenes}] * 2).interval is None
    found = method_mean([{"t": scenes}] * 10)
    assert found.spread == pytest.approx(0.0, abs=1e-12)
    assert found.interval is not None
    single = clustered_mean({"t": scenes})
    assert single is not None
    assert single.interval is not None
    width = single.interval.high - single.interval.low
    moved = 1 / len(scenes)  # what one scene more or less in a bootstrap sample does
    assert found.interval.high - found.interval.low == pytest.approx(width, abs=1.5 * moved)


# --- deciding early ------------------------------------------------------------------------------------------------


def test_a_single_look_at_the_end_is_mcnemars_test():
    for b, c in ((9, 1), (8, 2), (12, 4), (10, 6)):
        test = SpendingTest(0.05, 1000)
        test.alpha = 0.05
        differences = [1] * b + [-1] * c
        for d in differences[:-1]:
            test._n, test._spent = 0, 0.0  # nothing may be spent before the last look
            test.add(d, 0)
        test._n = 1000 - 1
        assert test.add(differences[-1], 1) == (mcnemar(b, c, one_sided=True) <= 0.05)


def test_a_regression_is_found_and_an_equal_policy_is_passed():
    worse, better = SpendingTest(0.05, 200), BettingTest(0.1)
    n = next(n for n in range(1, 201) if worse.add(1))
    assert n < 40
    n = next(n for n in range(1, 201) if better.add(0.0) >= 10)
    assert n <= 60
    assert better.p <= 0.1


def test_no_more_is_spent_than_there_is():
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(1500):
        test = SpendingTest(0.05, 150)
        rejected += any(test.add(int(d)) for d in rng.choice([-1, 0, 1], 150))
    assert rejected / 1500 < 0.062


def test_bets_are_fair_against_the_least_favourable_drop():
    rng = np.random.default_rng(4)
    ends = []
    for _ in range(1500):
        test = BettingTest(0.1)
        for d in np.where(rng.random(60) < 0.1, 1.0, 0.0):
            test.add(float(d))
        ends.append(test.highest >= 10)
    assert np.mean(ends) < 0.115


def test_a_confidence_sequence_narrows_around_the_truth():
    d = np.random.default_rng(5).choice([-1.0, 0.0, 1.0], 400, p=[0.05, 0.75, 0.2])
    wide, narrow = confidence_sequence(d[:40].tolist()), confidence_sequence(d.tolist())
    assert wide[0] <= narrow[0] < 0.15 < narrow[1] <= wide[1]
