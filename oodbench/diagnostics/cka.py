"""Linear CKA: how alike two layers represent the same things, whatever rotation and scale they use.

Kornblith et al. 2019 (arXiv 1905.00414) with the unbiased estimator of HSIC of Song et al. 2012 (JMLR 13, eq. 5).
The usual, biased one is far from 0 for independent features when there are fewer examples than a few times the width
(0.86 for 32 examples of width 192), so that no threshold on it means anything.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from oodbench.errors import OodbenchError


def hsic(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased estimate of the linear-kernel HSIC of (n, d) and (n, e) features, n >= 4. May be negative."""
    n = len(x)
    if n < 4 or len(y) != n:
        raise OodbenchError(f"CKA needs at least 4 pairs of examples; got {len(x)} and {len(y)}")
    x, y = x.astype(np.float64), y.astype(np.float64)
    # The Gram matrices without their diagonals are never made: everything is a sum over features.
    diagonal_x, diagonal_y = (x**2).sum(1), (y**2).sum(1)
    rows_x, rows_y = x @ x.sum(0) - diagonal_x, y @ y.sum(0) - diagonal_y
    trace = ((x.T @ y) ** 2).sum() - diagonal_x @ diagonal_y
    total = rows_x.sum() * rows_y.sum() / ((n - 1) * (n - 2))
    return float((trace + total - 2.0 / (n - 2) * (rows_x @ rows_y)) / (n * (n - 3)))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """CKA of (n, d) and (n, e) features: 1 for a rotated and scaled copy, about 0 for independent ones."""
    return minibatch_cka([(x, y)])


def minibatch_cka(batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """CKA of features that come in batches (Nguyen et al. 2021, arXiv 2010.15327): HSIC is averaged, then divided."""
    sums = np.zeros(3)
    for x, y in batches:
        x, y = x - x.mean(0), y - y.mean(0)  # HSIC is the same; the numbers stay small
        sums += hsic(x, y), hsic(x, x), hsic(y, y)
    if sums[1] <= 0 or sums[2] <= 0:
        return float("nan")  # a layer that does not vary
    return float(sums[0] / np.sqrt(sums[1] * sums[2]))


def effective_rank(x: np.ndarray) -> float:
    """exp of the entropy of the normalised singular values of centred (n, d) features (Roy & Vetterli 2007)."""
    values = np.linalg.svd(x.astype(np.float64) - x.mean(0), compute_uv=False)
    shares = values / max(values.sum(), 1e-12)
    return float(np.exp(-(shares * np.log(np.maximum(shares, 1e-12))).sum()))
