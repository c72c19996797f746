"""Simulated proof that the statistics keep what they promise.

`python -m oodbench.stats.validation > docs/statistics.md`: every line of the table is an error rate or a coverage over
simulated runs, with what was promised beside it. About three minutes on one core.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from oodbench.stats import validation_blocks
from oodbench.stats.clustered import bootstrap, clustered_mean, clustered_rate, sign_flip
from oodbench.stats.discordant import mcnemar, tango
from oodbench.stats.methods import method_mean
from oodbench.stats.power import discordance, pairs_needed
from oodbench.stats.ranks import rank
from oodbench.stats.rates import Interval, clopper_pearson, wilson
from oodbench.stats.sequential import BettingTest, SpendingTest, confidence_sequence
from oodbench.stats.severity import curve

RUNS = 3000
SIZES, RATES = (10, 50, 200), (0.02, 0.5, 0.95)
GATES = (  # baseline rate, margin, correlation: research on release gates says what to expect of these
    (0.8, 0.05, 0.4), (0.8, 0.1, 0.0), (0.8, 0.1, 0.4), (0.8, 0.1, 0.7), (0.5, 0.1, 0.4), (0.95, 0.05, 0.4),
)  # fmt: skip
EFFECT = 0.35  # of a scene on one policy and not the other, in standard deviations of a single episode
ALPHA, BETA, STRETCH = 0.04, 0.1, 1.5  # as the gate ships: 4/5 of 5 % for the mean; episodes, times the fixed design


def coverage(interval: Callable[[int, int], Interval], n: int, p: float) -> float:
    """The exact chance that the interval of a binomial rate holds p: a sum, not a simulation."""
    k = np.arange(n + 1)
    held = [interval(int(i), n).low <= p <= interval(int(i), n).high for i in k]
    return float((stats.binom.pmf(k, n, p) * np.array(held)).sum())


def tango_coverage(n: int, rate: float, drop: float, correlation: float, runs: int = RUNS) -> float:
    """The share of runs in which Tango's interval holds the true difference."""
    rng = np.random.default_rng(n)
    b, c = discordance(rate, drop, correlation)
    counts = rng.multinomial(n, [b, c, 1 - b - c], size=runs)
    found = {tuple(pair): tango(int(pair[0]), int(pair[1]), n) for pair in np.unique(counts[:, :2], axis=0)}
    intervals = [found[b_, c_] for b_, c_ in map(tuple, counts[:, :2])]
    return float(np.mean([i.low <= drop <= i.high for i in intervals]))


def scenes(rng: np.random.Generator, runs: int, count: int, cells: int, effect: float, drop: float = 0.0) -> np.ndarray:
    """Differences of two policies, (runs, scenes, cells), whose success depends on the scene and, by `effect`, on how
    each of them gets on with it: a probit model with rates of about 0.7."""
    common = rng.standard_normal((runs, count, 1)) * 0.5
    outcome = []
    for shift in (0.0, drop):
        own = effect * rng.standard_normal((runs, count, 1))
        level = stats.norm.ppf(0.7 - shift) * math.sqrt(1 + 0.25 + effect**2)
        outcome.append(level + common + own + rng.standard_normal((runs, count, cells)) > 0)
    return outcome[0].astype(np.int8) - outcome[1].astype(np.int8)


def false_alarms(cells: int, effect: float = EFFECT, episodes: int = 1320, runs: int = RUNS) -> dict[str, float]:
    """How often two equal policies seem to differ at 5 %: taking episodes for independent, and by scene."""
    rng = np.random.default_rng(cells)
    count = episodes // cells
    alarms = {"naive": 0, "clustered t": 0, "sign flip": 0}
    for d in (scenes(rng, 1, count, cells, effect)[0] for _ in range(runs)):
        alarms["naive"] += mcnemar(int((d > 0).sum()), int((d < 0).sum())) <= 0.05
        values = {"task": d.mean(1).tolist()}
        found = clustered_mean(values)
        assert found is not None
        assert found.interval is not None
        alarms["clustered t"] += not found.interval.low <= 0 <= found.interval.high
        alarms["sign flip"] += sign_flip(values, resamples=400) <= 0.05
    return {name: n / runs for name, n in alarms.items()}


def mean_coverage(count: int, tasks: int = 3, runs: int = RUNS) -> dict[str, float]:
    """How often the intervals of a mean over scenes and tasks hold the truth."""
    rng = np.random.default_rng(count)
    d = scenes(rng, runs * tasks, count, 4, EFFECT, drop=0.1).mean(2).reshape(runs, tasks, count)
    truth = scenes(np.random.default_rng(0), 200, 2000, 4, EFFECT, drop=0.1).mean()
    held = {"t": 0, "bootstrap": 0}
    for run in d:
        values = {f"task {i}": group.tolist() for i, group in enumerate(run)}
        mean, drawn = clustered_mean(values), bootstrap(values, resamples=400)
        assert mean is not None
        assert mean.interval is not None
        assert drawn is not None
        held["t"] += mean.interval.low <= truth <= mean.interval.high
        held["bootstrap"] += drawn.low <= truth <= drawn.high
    return {name: n / runs for name, n in held.items()}


def rate_coverage(rate: float, tasks: int, count: int, cells: int, runs: int = RUNS) -> float:
    """How often the interval of a success rate over scenes, whose cells share luck, holds the true rate."""
    rng = np.random.default_rng(int(1000 * rate) + tasks)
    level, held = stats.norm.ppf(rate) * math.sqrt(2), 0
    for _ in range(runs):
        common = rng.standard_normal((tasks, count, 1))
        means = (level + common + rng.standard_normal((tasks, count, cells)) > 0).mean(2)
        found = clustered_rate({f"task {i}": group for i, group in enumerate(means)}, tasks * count * cells)
        assert found is not None
        assert found.interval is not None
        held += found.interval.low <= rate <= found.interval.high
    return held / runs


@dataclass(frozen=True)
class GateRun:
    """Shares of runs that failed and passed, and the mean number of pairs until either, or until there were no more."""

    failed: float
    passed: float
    pairs: float


def gate(rate: float, margin: float, correlation: float, drop: float, runs: int = RUNS) -> GateRun:
    """The release gate, simulated: candidates that are worse by `drop` against a baseline of success `rate`."""
    most = math.ceil(STRETCH * pairs_needed(rate, margin, correlation))
    b, c = discordance(rate, drop, correlation)
    rng = np.random.default_rng(int(1000 * (rate + drop + correlation)))
    draws = rng.random((runs, most))
    failed = passed = used = 0
    for row in np.where(draws < b, 1, np.where(draws < b + c, -1, 0)).tolist():
        worse, better = SpendingTest(ALPHA, most), BettingTest(margin)
        for d in row:
            used += 1
            if worse.add(d):
                failed += 1
                break
            if better.add(d) >= 1 / BETA:
                passed += 1
                break
    return GateRun(failed / runs, passed / runs, used / runs)


def identical_pairs(margin: float) -> int:
    """Pairs after which the gate passes a candidate that does the same in every scene."""
    test, n = BettingTest(margin), 1
    while test.add(0.0) < 1 / BETA:
        n += 1
    return n


def sequence_coverage(runs: int = 300, most: int = 300) -> float:
    """How often the confidence sequence holds the truth at every one of many looks."""
    rng = np.random.default_rng(5)
    b, c = discordance(0.8, 0.1, 0.4)
    held = 0
    for draws in rng.random((runs, most)):
        d = np.where(draws < b, 1, np.where(draws < b + c, -1, 0)).astype(float)
        low, high = confidence_sequence(d.tolist(), step=0.02)  # the last set is inside all earlier ones
        held += low - 0.02 <= 0.1 <= high + 0.02
    return held / runs


def rank_coverage(means: tuple[float, ...], count: int = 200, runs: int = 1000) -> float:
    """How often all rank intervals hold the true ranks at once (of equal policies, any rank among them)."""
    rng = np.random.default_rng(len(set(means)))
    held = 0
    for _ in range(runs):
        common = rng.standard_normal((count, 1))
        level = stats.norm.ppf(means) * math.sqrt(2)
        success = (level + common + rng.standard_normal((count, len(means))) > 0).astype(float)
        found = rank([str(i) for i in range(len(means))], {"task": success}, resamples=2000)
        best = [1 + sum(other > mean for other in means) for mean in means]
        worst = [len(means) - sum(other < mean for other in means) for mean in means]
        held += all(low <= b and high >= w for (low, high), b, w in zip(found.ranks, best, worst, strict=True))
    return held / runs


def band_coverage(count: int = 60, runs: int = 400) -> float:
    """How often the simultaneous band of a severity curve holds the whole true curve."""
    rng = np.random.default_rng(9)
    truth = np.array([0.9, 0.8, 0.6, 0.4])
    held = 0
    for _ in range(runs):
        common = rng.standard_normal((count, 1))
        level = stats.norm.ppf(truth) * math.sqrt(2)
        success = (level + common + rng.standard_normal((count, 4)) > 0).astype(float)
        band = curve((0, 1, 3, 5), {"task": success}, resamples=500).band
        held += all(i.low <= p <= i.high for i, p in zip(band, truth, strict=True))
    return held / runs


def method_coverage(seeds: int, spread: float = 0.05, count: int = 60, runs: int = 600) -> float:
    """How often the interval of a method's success holds its mean over all training seeds that there could be."""
    rng = np.random.default_rng(seeds)
    held = 0
    for _ in range(runs):
        rates = np.clip(0.7 + spread * rng.standard_normal(seeds), 0.01, 0.99)
        common = rng.standard_normal((1, count))
        level = stats.norm.ppf(rates)[:, None] * math.sqrt(2)
        success = (level + common + rng.standard_normal((seeds, count)) > 0).astype(float)
        interval = method_mean([{"task": row.tolist()} for row in success], resamples=2000).interval
        assert interval is not None
        held += interval.low <= 0.7 <= interval.high
    return held / runs


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, measured, promised)"""
    for n in SIZES:
        for p in RATES:
            exact, score = coverage(clopper_pearson, n, p), coverage(wilson, n, p)
            said = f"{100 * exact:.1f} %, Wilson {100 * score:.1f} %"
            yield f"Clopper-Pearson interval, n = {n}, p = {p:g}", said, "at least 95 %; Wilson 95 % on average over p"
    for n, rate in ((50, 0.8), (200, 0.8), (200, 0.95)):
        yield f"Tango interval, n = {n}, p = {rate:g}, drop 0.1", _percent(tango_coverage(n, rate, 0.1, 0.4)), "95 %"
    for cells in (1, 8, 22):
        found = false_alarms(cells, runs=1000)
        said = ", ".join(f"{name} {_percent(value)}" for name, value in found.items())
        yield f"false alarms, two equal policies, {cells} cells a scene", said, "by scene at most 6.5 %"
    for count in (10, 50, 200):
        found = mean_coverage(count, runs=1000)
        said = ", ".join(f"{name} {_percent(value)}" for name, value in found.items())
        yield f"interval of a mean over 3 tasks of {count} scenes", said, "95 %"
    for tasks, count, cells in ((1, 50, 8), (11, 7, 72), (11, 30, 1)):
        where = (
            f"score of {tasks} tasks of {count} scenes of {cells} cells"
            if tasks > 1
            else "score of 50 scenes of 8 cells"
        )
        said = ", ".join(f"p = {p:g} {_percent(rate_coverage(p, tasks, count, cells))}" for p in RATES)
        yield where, said, "95 %"
    yield from validation_blocks.lines()
    for rate, margin, correlation in GATES:
        where = f"gate, p = {rate:g}, margin {100 * margin:g} points, correlation {correlation:g}"
        same, worse = (gate(rate, margin, correlation, drop) for drop in (0.0, margin))
        fixed = pairs_needed(rate, margin, correlation)
        said = f"FAIL {_percent(same.failed)}, PASS {_percent(same.passed)}, {same.pairs:.0f} pairs (fixed {fixed})"
        yield f"{where}: no change", said, "FAIL at most 4 %"
        said = f"FAIL {_percent(worse.failed)}, PASS {_percent(worse.passed)}, {worse.pairs:.0f} pairs"
        yield f"{where}: worse by the margin", said, "PASS at most 10 %"
    for margin in (0.05, 0.1):
        yield f"gate, the same policy, margin {100 * margin:g} points", f"{identical_pairs(margin)} pairs", "-"
    yield "confidence sequence, 300 looks", _percent(sequence_coverage()), "at least 95 %"
    yield "rank intervals, five equal policies", _percent(rank_coverage((0.7,) * 5)), "95 % at once"
    yield "rank intervals, five different policies", _percent(rank_coverage((0.9, 0.8, 0.7, 0.6, 0.5))), "95 % at once"
    yield "severity band, four levels", _percent(band_coverage()), "95 % at once"
    for seeds in (3, 5, 10):
        yield f"method interval, {seeds} training seeds", _percent(method_coverage(seeds)), "95 %"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def main() -> None:
    print("# What the statistics keep\n")
    print("Made by `python -m oodbench.stats.validation > docs/statistics.md`: simulated error rates and coverages of")
    print(f"`oodbench.stats`. The gates are {RUNS} runs each; coverage of rates is exact. From the same outcomes every")
    print("processor makes the same numbers, to the last bit: no BLAS and no vectorised exp or log stands behind them")
    print("([tests/stats/test_same_numbers.py](../tests/stats/test_same_numbers.py)).\n")
    print("| what | measured | promised |\n| --- | --- | --- |")
    for what, measured, promised in lines():
        print(f"| {what} | {measured} | {promised} |", flush=True)
        print(what, file=sys.stderr)


if __name__ == "__main__":
    main()
