"""Simulated proof that the statistics hold where a scene carries some of the cells only: a part of validation.py."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from oodbench.design import scenes_of
from oodbench.stats import blocks
from oodbench.stats.clustered import clustered_mean, scene_codes, sign_flip
from oodbench.stats.ranks import rank
from oodbench.stats.severity import curve

RUNS = 1000
RATES = (0.02, 0.3, 0.7, 0.97)


@dataclass(frozen=True)
class Blocks:
    """The episodes of a made-up suite: every task is played in-distribution (cell 0) in all its scenes, and in cells of
    as many episodes each. scene, cell: (episodes,)."""

    scene: np.ndarray
    cell: np.ndarray

    @classmethod
    def of(cls, tasks: int, scenes: int, cells: int, episodes: int) -> Blocks:
        rows = [(t, s, 0) for t in range(tasks) for s in range(scenes)]
        rows += [(t, s, 1 + c) for t in range(tasks) for c in range(cells) for s in scenes_of(c, scenes, episodes)]
        task, seed, cell = np.array(rows).T
        return cls(scene_codes(task, seed), cell)

    def draw(self, rng: np.random.Generator, level: np.ndarray, policies: int = 1, share: float = 0.5) -> np.ndarray:
        """Outcomes, (episodes, policies), of probits of `level`, (episodes,), and luck, of which the scene has a share
        that all policies have in common."""
        _, of = np.unique(self.scene, return_inverse=True)
        common = math.sqrt(share) * rng.standard_normal(int(of.max()) + 1)[of]
        own = math.sqrt(1 - share) * rng.standard_normal((len(of), policies))
        return ((level + common)[:, None] + own > 0).astype(np.int64)


def score_coverage(success: float, runs: int = RUNS) -> dict[str, float]:
    """How often the intervals of a score and of the gap hold the truth, where cells differ."""
    rng = np.random.default_rng(int(1000 * success))
    suite = Blocks.of(tasks=5, scenes=84, cells=36, episodes=7)
    shifted = suite.cell > 0
    apart = np.append(0.3, 0.6 * rng.standard_normal(36))  # of each cell, in-distribution first
    chance = stats.norm.cdf(stats.norm.ppf(success) + apart)
    level = stats.norm.ppf(success) + apart[suite.cell]
    truth = {"score": float(chance[1:].mean()), "gap": float(chance[0] - chance[1:].mean())}
    weights = blocks.gap_weights(suite.scene, ~shifted, shifted)
    held = {"score": 0, "gap": 0}
    for _ in range(runs):
        won = suite.draw(rng, level)[:, 0]
        score = blocks.rate(suite.scene[shifted], suite.cell[shifted], won[shifted])
        assert score is not None
        for name, mean in (
            ("score", score[0]),
            ("gap", blocks.gap(suite.scene, suite.cell, won, weights)),
        ):
            assert mean is not None
            assert mean.interval is not None
            held[name] += mean.interval.low <= truth[name] <= mean.interval.high
    return {name: n / runs for name, n in held.items()}


def equal_policies(runs: int = RUNS) -> dict[str, float]:
    """How often two equal policies seem to differ at 5 %, and how often five of them may have all ranks."""
    rng = np.random.default_rng(3)
    suite = Blocks.of(tasks=3, scenes=42, cells=36, episodes=7)
    shifted = suite.cell > 0
    scene, cell = suite.scene[shifted], suite.cell[shifted]
    level = np.linspace(-1.0, 1.5, 37)[suite.cell]
    found = {"clustered t": 0, "sign flip": 0, "ranks": 0}
    for _ in range(runs):
        won = suite.draw(rng, level, policies=5)[shifted]
        apart = won[:, 0] - won[:, 1]
        mean = clustered_mean(blocks.by_scene(scene, cell, apart))
        assert mean is not None
        assert mean.interval is not None
        found["clustered t"] += not mean.interval.low <= 0 <= mean.interval.high
        found["sign flip"] += sign_flip(blocks.shares(scene, apart), resamples=400) <= 0.05
        each = [blocks.by_scene(scene, cell, column) for column in won.T]
        values = {str(task): np.stack([policy[task] for policy in each], axis=1) for task in each[0]}
        found["ranks"] += all(ranks == (1, 5) for ranks in rank(list("abcde"), values, resamples=1000).ranks)
    return {name: n / runs for name, n in found.items()}


def band_coverage(runs: int = 400) -> float:
    """How often the band of a severity curve, whose levels were played in different scenes, holds the whole curve."""
    rng = np.random.default_rng(4)
    suite = Blocks.of(tasks=11, scenes=168, cells=3, episodes=7)
    truth = np.array([0.9, 0.8, 0.6, 0.4])
    level, scenes = stats.norm.ppf(truth)[suite.cell], np.unique(suite.scene)
    held = 0
    for _ in range(runs):
        won, at = suite.draw(rng, level)[:, 0], [suite.cell == i for i in range(len(truth))]
        each = [blocks.by_scene(suite.scene[r], suite.cell[r], won[r], among=scenes) for r in at]
        values = {str(task): np.stack([one[task] for one in each], axis=1) for task in each[0]}
        band = curve((0, 1, 3, 5), values, resamples=500, episodes=[int(r.sum()) for r in at]).band
        held += all(i.low <= p <= i.high for i, p in zip(band, truth, strict=True))
    return held / runs


def lines() -> Iterator[tuple[str, str, str]]:
    """(what, measured, promised)"""
    for success in RATES:
        found = score_coverage(success)
        said = ", ".join(f"{name} {100 * value:.1f} %" for name, value in found.items())
        yield f"36 cells of 7 of 84 scenes, 5 tasks, success about {100 * success:g} %", said, "95 %"
    found = equal_policies()
    said = ", ".join(f"{name} {100 * found[name]:.1f} %" for name in ("clustered t", "sign flip"))
    yield "false alarms, two equal policies, 36 cells of 7 of 42 scenes", said, "by scene at most 6.5 %"
    yield "rank intervals, five equal policies, the same cells", f"{100 * found['ranks']:.1f} %", "95 % at once"
    yield "severity band, levels in different scenes", f"{100 * band_coverage():.1f} %", "95 % at once"
