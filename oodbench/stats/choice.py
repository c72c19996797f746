"""Scores of choosing one of k things."""

from __future__ import annotations

from oodbench.stats.rates import Interval, Rate


def chance_corrected(accuracy: float, options: int) -> float:
    """(accuracy - 1/k) / (1 - 1/k): 1 for always right, 0 for chance, below 0 for worse than chance."""
    chance = 1.0 / options
    return (accuracy - chance) / (1.0 - chance)


def corrected_interval(rate: Rate, options: int) -> Interval:
    """The Wilson interval of a rate on the chance-corrected scale (the correction is linear)."""
    return Interval(chance_corrected(rate.interval.low, options), chance_corrected(rate.interval.high, options))
