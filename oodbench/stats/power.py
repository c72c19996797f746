"""How many episodes it takes, and what a given number can show."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from scipy import stats

from oodbench.stats.rates import normal_quantile

MOST = 100_000  # pairs beyond which planning is refused


def discordance(rate: float, drop: float, correlation: float) -> tuple[float, float]:
    """(P(only the baseline succeeds), P(only the candidate does)) in a scene.

    rate: the baseline's success. drop: how much less the candidate's is. correlation: of the two outcomes in a scene
    (phi); 0 where sharing the scene says nothing. Raises ValueError for what no two policies can have.
    """
    other = rate - drop
    if not 0 <= rate <= 1 or not 0 <= other <= 1:
        raise ValueError(f"rates {rate:g} and {other:g}: both must lie between 0 and 1")
    both = rate * other + correlation * math.sqrt(rate * (1 - rate) * other * (1 - other))
    if both < max(0.0, rate + other - 1) - 1e-12 or both > min(rate, other) + 1e-12:
        least, most = _correlations(rate, other)
        raise ValueError(
            f"a correlation of {correlation:g} is impossible between rates {rate:g} and {other:g}: it lies between "
            f"{least:.2f} and {most:.2f}"
        )
    return max(rate - both, 0.0), max(other - both, 0.0)


def _correlations(rate: float, other: float) -> tuple[float, float]:
    scale = math.sqrt(rate * (1 - rate) * other * (1 - other))
    if scale == 0:
        return 0.0, 0.0
    return (max(0.0, rate + other - 1) - rate * other) / scale, (min(rate, other) - rate * other) / scale


def mcnemar_power(n: int, rate: float, drop: float, correlation: float, alpha: float = 0.05) -> float:
    """The chance that an exact one-sided McNemar test of n pairs finds a drop of this size; unconditional and exact.

    Sum over the number m of discordant pairs, Binomial(n, b + c), of the chance that Binomial(m, b / (b + c)) reaches
    what the test asks for at m.
    """
    b, c = discordance(rate, drop, correlation)
    if b + c <= 0:
        return 0.0
    m = np.arange(n + 1)
    return float((stats.binom.pmf(m, n, min(b + c, 1.0)) * stats.binom.sf(_needed(n, alpha) - 1, m, b / (b + c))).sum())


@lru_cache(maxsize=64)
def _needed(n: int, alpha: float) -> np.ndarray:
    """By number m of discordant pairs, 0..n: how many must be the baseline's for the test to reject (m + 1: never)."""
    m = np.arange(n + 1)
    k = stats.binom.isf(alpha, m, 0.5) + 1  # the smallest k with P(X >= k) <= alpha
    k = np.where(stats.binom.sf(k - 2, m, 0.5) <= alpha, k - 1, k)
    return np.where(stats.binom.sf(k - 1, m, 0.5) <= alpha, k, m + 1)


def pairs_needed(rate: float, drop: float, correlation: float, power: float = 0.9, alpha: float = 0.05) -> int:
    """The smallest number of pairs from which on the test finds the drop with this power.

    Exact power goes up in a saw; the number is the first that has the power. Raises ValueError when more than 100,000
    would be needed.
    """
    if drop <= 0:
        raise ValueError(f"a drop of {drop:g} cannot be looked for; it must be positive")
    b, c = discordance(rate, drop, correlation)
    psi = b + c
    za, zb = normal_quantile(1 - alpha), normal_quantile(power)
    guess = (za * math.sqrt(psi) + zb * math.sqrt(max(psi - drop**2, 0.0))) ** 2 / drop**2
    if guess > MOST:
        raise ValueError(f"about {guess:.0f} pairs would be needed; the drop of {drop:g} is too small to look for")
    n = max(5, int(0.6 * guess))
    while mcnemar_power(n, rate, drop, correlation, alpha) < power:
        n += 1
        if n > MOST:
            raise ValueError(f"more than {MOST} pairs would be needed")
    return n


def detectable_drop(n: int, rate: float, correlation: float, power: float = 0.9, alpha: float = 0.05) -> float | None:
    """The smallest drop that n pairs find with this power, to a thousandth; None when even the largest is not found."""
    for drop in np.arange(0.001, rate + 1e-9, 0.001):
        try:
            found = mcnemar_power(n, rate, float(drop), correlation, alpha)
        except ValueError:  # this correlation is impossible there; a weaker one is not, and harder
            found = mcnemar_power(n, rate, float(drop), _correlations(rate, rate - float(drop))[1], alpha)
        if found >= power:
            return float(round(drop, 3))
    return None
