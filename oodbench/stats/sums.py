"""Sums and functions that give the same bits on every processor.

numpy's linear algebra goes through BLAS, whose kernels add in another order on another processor, and its sines and
logarithms have a version for each vector width. What is printed, stored and compared is therefore made of elementwise
+ - * / and sqrt, which IEEE 754 rounds in one way, of sums along an axis, which numpy takes in an order that depends on
the shape only, and of what is here.
"""

from __future__ import annotations

import math

import numpy as np

_MANTISSA = 52  # bits, less one for the sign of a rounded product
_DIGITS = 12  # that the last bit of a C library's exp or log cannot reach
# r of asin(x) = x + x r(x^2), |x| <= 1/2, as a quotient of polynomials: FreeBSD's msun, e_asin.c (Sun, 1993).
_P = (
    1.66666666666666657415e-01, -3.25565818622400915405e-01, 2.01212532134862925881e-01, -4.00555345006794114027e-02,
    7.91534994289814532176e-04, 3.47933107596021167570e-05,
)  # fmt: skip
_Q = (
    1.0, -2.40339491173441421878e00, 2.02094576023350569471e00, -6.88283971605453293030e-01, 7.70381505559019352791e-02,
)  # fmt: skip


def weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The matrix product of whole numbers with any numbers.

    The values are rounded to a fixed point such that no sum of products leaves the 53 bits of a float64. Then every
    product and every partial sum is a whole number and exact, in whatever order a BLAS adds them, with or without fused
    multiplication; and it keeps BLAS's speed, which a million episodes need.

    Args:
        weights: (rows, n), whole numbers, of any type. Without their signs, those of a row add up to n at most: how
            often a bootstrap draws each of n scenes, or n signs.
        values: (n,) or (n, columns).

    Returns:
        (rows,) or (rows, columns). Divided by n, off by less than n 2^-51 of the largest value.
    """
    weights = np.asarray(weights, np.float64)
    largest = float(np.abs(values).max(initial=0.0)) * weights.shape[1]
    if largest == 0.0:
        return np.zeros(weights.shape[:1] + values.shape[1:])
    power = _MANTISSA - math.frexp(largest)[1] - 1
    fixed = np.rint(np.ldexp(values, power))
    return np.ldexp(weights @ fixed, -power)


def arcsine(x: np.ndarray) -> np.ndarray:
    """The inverse sine of numbers in [0, 1], to the last bit or two."""
    steep = x > 0.5
    square = np.where(steep, (1.0 - x) / 2, x * x)
    root = np.where(steep, np.sqrt(square), x)
    near = root + root * (square * _polynomial(_P, square) / _polynomial(_Q, square))
    return np.where(steep, math.pi / 2 - 2 * near, near)


def sine_squared(x: float) -> float:
    """sin(x)^2 of an angle in [0, pi / 2], by the series of (1 - cos 2 x) / 2."""
    square, term, total = 4 * x * x, 0.5, 0.0
    for k in range(1, 26):
        term *= -square / ((2 * k - 1) * (2 * k))
        total -= term
    return min(max(total, 0.0), 1.0)


def rounded(x: float) -> float:
    """To 12 digits: a quantile or probability without the last bits, in which C libraries and processors differ."""
    return float(f"{x:.{_DIGITS}g}")


def _polynomial(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    found = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        found = found * x + coefficient
    return found
