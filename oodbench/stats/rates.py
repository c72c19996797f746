"""Success rates and their intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from scipy import stats

from oodbench.stats.sums import rounded


@dataclass(frozen=True)
class Interval:
    low: float
    high: float


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson score interval of a rate (Wilson 1927; Agresti and Coull 1998, The American Statistician 52, eq. 2).

    (p + z^2/2n -+ z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n). With n = 0 nothing is known: (0, 1). Raises ValueError
    unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return Interval(0.0, 1.0)
    return score_interval(successes / n, n, normal_quantile(0.5 + confidence / 2))


@lru_cache(maxsize=256)
def normal_quantile(p: float) -> float:
    """Of the standard normal distribution. scipy takes a third of a millisecond, and every cell of a page asks."""
    return rounded(float(stats.norm.ppf(p)))


@lru_cache(maxsize=4096)
def t_quantile(p: float, free: int) -> float:
    """Of Student's t with so many degrees of freedom."""
    return rounded(float(stats.t.ppf(p, free)))


def score_interval(p: float, n: float, z: float) -> Interval:
    """Wilson's interval of a rate p, from what is worth n independent episodes, at z standard errors."""
    middle = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return Interval(max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale))


def clopper_pearson(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a rate (Clopper and Pearson 1934, Biometrika 26): never too narrow, often too wide.

    Quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k). Raises ValueError unless 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    tail = (1 - confidence) / 2
    low = rounded(float(stats.beta.ppf(tail, successes, n - successes + 1))) if successes else 0.0
    high = rounded(float(stats.beta.ppf(1 - tail, successes + 1, n - successes))) if successes < n else 1.0
    return Interval(low, high)


@dataclass(frozen=True)
class Rate:
    """Successes of n scored episodes; episodes that ended in errors are counted apart, not as failures."""

    successes: int
    n: int
    errors: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[bool | None]) -> Rate:
        """From outcomes, None for an error."""
        outcomes = list(outcomes)
        scored = [outcome for outcome in outcomes if outcome is not None]
        return cls(sum(scored), len(scored), len(outcomes) - len(scored))

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.successes + other.successes, self.n + other.n, self.errors + other.errors)

    @property
    def value(self) -> float | None:
        """None when nothing was scored."""
        return self.successes / self.n if self.n else None

    @property
    def interval(self) -> Interval:
        """Wilson, 95 %."""
        return wilson(self.successes, self.n)
