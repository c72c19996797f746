"""Two policies in the same n independent scenes: only the pairs in which they differ say anything."""

from __future__ import annotations

import math

from scipy import optimize, stats

from oodbench.stats.rates import Interval, normal_quantile
from oodbench.stats.sums import rounded


def mcnemar(only_a: int, only_b: int, *, one_sided: bool = False, mid: bool = False) -> float:
    """Exact p-value of McNemar's test (1947, Psychometrika 12) from the two kinds of discordant pairs.

    Under the null hypothesis each discordant pair is a fair coin. one_sided: against "a succeeds more often". mid:
    count half of the probability of what was seen (Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodol. 13, 91):
    less conservative, not exact. 1 when there are none.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"{only_a} and {only_b} pairs")
    n = only_a + only_b
    if n == 0:
        return 1.0
    coin = stats.binom(n, 0.5)
    if one_sided:
        return rounded(float(coin.sf(only_a - 1) - (coin.pmf(only_a) / 2 if mid else 0.0)))
    tail = min(only_a, only_b)
    p = 2 * coin.cdf(tail) - (coin.pmf(tail) if mid else 0.0)
    return rounded(float(min(1.0, p)))


def tango(only_a: int, only_b: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval of p_a - p_b from n pairs (Tango 1998, Statistics in Medicine 17, 891-908).

    The differences d that a score test at this level does not reject: with b and c the discordant counts,
    T(d) = (b - c - n d) / sqrt(n (2 q + d (1 - d))), where q is the constrained maximum-likelihood estimate of the
    probability of c: q = (sqrt(B^2 - 4 A C) - B) / 2 A, A = 2 n, B = -b - c + (2 n - b + c) d, C = -c d (1 - d).
    Raises ValueError when there are more discordant pairs than pairs.
    """
    b, c = only_a, only_b
    if min(b, c) < 0 or b + c > n or n < 1:
        raise ValueError(f"{b} and {c} discordant of {n} pairs")
    z = normal_quantile(0.5 + confidence / 2)

    def score(d: float) -> float:
        middle = -b - c + (2 * n - b + c) * d
        q = (math.sqrt(max(middle**2 + 8 * n * c * d * (1 - d), 0.0)) - middle) / (4 * n)
        variance = n * (2 * q + d * (1 - d))
        above = b - c - n * d
        if variance <= 1e-14:
            return math.copysign(math.inf, above) if abs(above) > 1e-9 else 0.0
        return above / math.sqrt(variance)

    estimate, edge = (b - c) / n, 1 - 1e-9
    low = -1.0 if score(-edge) <= z else optimize.brentq(lambda d: score(d) - z, -edge, estimate, xtol=1e-10)
    high = 1.0 if score(edge) >= -z else optimize.brentq(lambda d: score(d) + z, estimate, edge, xtol=1e-10)
    return Interval(float(low), float(high))
