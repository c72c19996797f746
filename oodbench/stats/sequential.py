"""Deciding early, and still rightly: the two halves of the release gate.

A block is one scene, or several that share one; D is the baseline's success minus the candidate's, so that a positive
D is a regression. Blocks come in an order that was fixed before the first of them was played.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

GRID = 24  # bets of the e-processes
_LEAST = 0.02  # the smallest bet
_MOST = 1e300  # beyond which wealth is not counted: far beyond what any decision asks for


class SpendingTest:
    """Exact sequential test of "the two are exchangeable" against "the candidate is worse".

    Given the sizes |S_i| of the blocks' sums, their signs are fair coins under the null hypothesis. The distribution of
    the running sum, of those paths that were not stopped before, is kept exactly; at every look the largest sums are
    cut off whose probability fits into the error that may have been spent by then, alpha N / N_max (Lan and DeMets
    1983, Biometrika 70, with a linear spending function; the sign-flip test of Fisher and Pitman). With blocks of one
    pair this is a sequential McNemar test. The probability of ever rejecting a true null is at most alpha.
    """

    def __init__(self, alpha: float, most: int) -> None:
        """alpha: error over all looks. most: episodes of the whole plan (N_max)."""
        if not 0 < alpha < 1 or most < 1:
            raise ValueError(f"alpha {alpha}, most {most}")
        self.alpha, self.most = alpha, most
        self.rejected = False
        self.p = 1.0  # the smallest probability, so far, of a sum as large as the one that was seen
        self._spent = 0.0
        self._sum = self._n = 0
        self._paths = np.ones(1)  # probability of each sum from -reach to reach, of paths not stopped
        self._reach = 0

    def add(self, sum_: int, episodes: int = 1) -> bool:
        """A block whose differences add up to `sum_`, of so many episodes. Returns whether the null is rejected."""
        if self.rejected:
            return True
        size = abs(int(sum_))
        if size:
            wide = np.zeros(len(self._paths) + 2 * size)
            wide[2 * size :] += self._paths / 2
            wide[: len(self._paths)] += self._paths / 2
            self._paths, self._reach = wide, self._reach + size
        self._n += episodes
        self._sum += int(sum_)
        tails = np.cumsum(self._paths[::-1])[::-1]  # P(sum >= x, not stopped before), x = -reach .. reach
        budget = self.alpha * min(1.0, self._n / self.most) - self._spent
        first = int(np.argmax(tails <= budget)) if tails[-1] <= budget else len(tails)
        here = self._sum + self._reach
        if 0 <= here < len(tails):
            self.p = min(self.p, self._spent + float(tails[here]))
        if here >= first:
            self.rejected = True
            return True
        if first < len(tails):
            self._spent += float(tails[first])
            self._paths[first:] = 0.0
        return False


class BettingTest:
    """Anytime-valid test of "the drop is at least `margin`", by betting against it.

    E = mean over j of prod_i (1 + l_j (margin - D_i)), with D_i the mean difference in block i, in [-1, 1], and bets
    l_j on a geometric grid below 1 / (1 - margin). Under the null hypothesis E[D_i | past] >= margin, so that E is a
    nonnegative supermartingale that starts at 1, and P(E >= 1/beta at any time) <= beta (Ville 1939; Waudby-Smith and
    Ramdas 2023, JRSS B 86, section 4). margin = 0 with `sign=-1` tests "there is no drop" instead.
    """

    def __init__(self, margin: float, sign: int = 1, grid: int = GRID) -> None:
        if not -1 < margin < 1:
            raise ValueError(f"margin {margin}")
        self.margin, self.sign = margin, sign
        highest = 0.99 / (1.0 + margin if sign < 0 else 1.0 - margin)
        self._bets = _bets(highest, grid)
        self._wealth = np.ones(grid)  # products, not sums of logarithms, which are other ones on another processor
        self.highest = 1.0  # the largest E so far

    def add(self, difference: float) -> float:
        """A block's mean difference, in [-1, 1]. Returns E."""
        self._wealth = np.minimum(self._wealth * (1 + self.sign * self._bets * (self.margin - difference)), _MOST)
        now = float(self._wealth.mean())
        self.highest = max(self.highest, now)
        return now

    @property
    def p(self) -> float:
        """An anytime-valid p-value: min(1, 1 / sup E)."""
        return min(1.0, 1.0 / self.highest)


def confidence_sequence(
    differences: Sequence[float], confidence: float = 0.95, step: float = 0.005
) -> tuple[float, float]:
    """Bounds on the mean difference that hold at every time at once, so that stopping early does not harm them.

    differences: block means in [-1, 1], in order. All values that no betting test (either side, at half the error each)
    has rejected so far, on a grid of `step`. Wider than an interval for a fixed number of episodes, by a factor of
    about two: that is the price of having looked.
    """
    values = np.asarray(differences, float)
    candidates = np.arange(-1 + step, 1, step)
    limit = 2 / (1 - confidence)
    kept = np.ones(len(candidates), bool)
    for sign in (1, -1):
        bets = _bets(0.99, GRID)[:, None] / (1 + np.abs(candidates))
        wealth = np.ones((GRID, len(candidates)))
        for value in values:
            wealth = np.minimum(wealth * (1 + sign * bets * (candidates - value)), _MOST)
            kept &= wealth.mean(0) < limit
    if not kept.any():
        middle = float(values.mean())
        return middle, middle
    return float(candidates[kept].min()), float(candidates[kept].max())


def _bets(highest: float, grid: int) -> np.ndarray:
    """A geometric grid, rounded so that a C library's last bit is not in it."""
    return np.array([round(_LEAST * math.pow(highest / _LEAST, i / (grid - 1)), 9) for i in range(grid)])
