"""Arithmetic that gives the same bits on every processor, for all that scenes, physics and pictures are made from.

NumPy's linear algebra goes through OpenBLAS, and its transcendental functions through whichever vector unit it finds:
both round differently from one processor to the next. What is here is built from additions, multiplications, divisions
and square roots, which IEEE 754 rounds in one way only, in a fixed order. NumPy's own elementwise arithmetic is exact
in the same sense and may be used freely; tests/test_exact.py says what may not. Nothing here needs the simulator:
there, products of matrices are MuJoCo's (sim/rotations.py and the mju_ functions), compiled for one instruction set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

Vector = Sequence[float] | np.ndarray

_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10  # their sum is ln 2 to 100 bits (fdlibm)


def total(values: Iterable[float]) -> float:
    """The sum from left to right; Python's `sum` of floats is compensated from 3.12 on, and was not before."""
    found = 0.0
    for value in values:
        found += value
    return found


def dot(a: Vector, b: Vector) -> float:
    """The scalar product of two vectors, summed from left to right."""
    found = 0.0
    for x, y in zip(_plain(a), _plain(b), strict=True):
        found += x * y
    return found


def _plain(vector: Vector) -> Sequence[float]:
    """As Python's numbers, which are faster one by one than NumPy's."""
    return vector.tolist() if isinstance(vector, np.ndarray) else vector


def norm(vector: Vector) -> float:
    """The Euclidean length of a vector."""
    found = 0.0
    for x in _plain(vector):
        found += x * x
    return math.sqrt(found)


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector divided by its length."""
    return vector / norm(vector)


def each(function: Callable[[float], float], values: Iterable[float]) -> np.ndarray:
    """A function of `math` of every value, (n,): for short vectors, where NumPy's own would depend on the processor."""
    return np.array([function(float(value)) for value in values])


def lengths(vectors: np.ndarray) -> np.ndarray:
    """The Euclidean lengths of the rows of (n, k) `vectors`, (n,)."""
    squares = vectors * vectors
    found = squares[:, 0].copy()
    for column in range(1, vectors.shape[1]):
        found += squares[:, column]
    return np.sqrt(found)


def between(x: float, values: Sequence[float]) -> float:
    """Piecewise linear interpolation of `values`, which are those at 0, 1, 2, ...; constant beyond the ends."""
    if x <= 0:
        return values[0]
    if x >= len(values) - 1:
        return values[-1]
    i = int(x)
    return values[i] + (x - i) * (values[i + 1] - values[i])


def exp(x: np.ndarray) -> np.ndarray:
    """e to the power of every element, float64, within 2 units in the last place; `x` is kept within +-700."""
    x = np.clip(np.asarray(x, np.float64), -700.0, 700.0)
    times = np.rint(x * _LOG2_E)
    rest = (x - times * _LN2_HIGH) - times * _LN2_LOW
    return np.ldexp(_horner(_EXP, rest), times.astype(np.int32))


def log(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of every element, float64, within 2 units in the last place. All must be above 0."""
    share, times = np.frexp(np.asarray(x, np.float64))
    low = share < math.sqrt(0.5)
    share, times = np.where(low, 2 * share, share), np.where(low, times - 1, times)
    s = (share - 1.0) / (share + 1.0)
    return times * _LN2_HIGH + (2 * s * _horner(_LOG, s * s) + times * _LN2_LOW)


def power(x: np.ndarray, exponent: float) -> np.ndarray:
    """Every element, above 0, to a power; float64, with a relative error below 1e-14 for moderate results."""
    return exp(exponent * log(x))


def sine(turns: np.ndarray) -> np.ndarray:
    """The sine of angles given in whole turns, float64, with an error below 1e-15."""
    rest = turns - np.rint(turns)
    rest = np.where(np.abs(rest) > 0.25, np.copysign(0.5, rest) - rest, rest)
    x = math.tau * rest
    return x * _horner(_SINE, x * x)


def _horner(coefficients: Sequence[float], x: np.ndarray) -> np.ndarray:
    """The polynomial with these coefficients, lowest first."""
    found = np.full_like(x, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        found *= x
        found += coefficient
    return found


_EXP = tuple(1 / math.factorial(n) for n in range(15))
_LOG = tuple(1 / (2 * n + 1) for n in range(12))
_SINE = tuple((1, -1)[n % 2] / math.factorial(2 * n + 1) for n in range(12))
