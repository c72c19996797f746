"""Rotations in the forms that policies use, by Python's `math` alone: no library whose bits depend on the processor.

Quaternions are (w, x, y, z) of length 1; rotation vectors and Euler angles in rad. Euler angles turn about the fixed
axes x, then y, then z (SciPy's "xyz").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

Quat = tuple[float, float, float, float]
GIMBAL = 1e-7  # how near (rad) to a pitch of 90 degrees the roll and the yaw are one


def of_vector(vector: Sequence[float] | np.ndarray) -> Quat:
    """The quaternion of a rotation vector, (3,); for angles beyond pi its w is negative."""
    x, y, z = map(float, vector)
    angle = math.sqrt(x * x + y * y + z * z)
    scale = math.sin(angle / 2) / angle if angle > 1e-9 else 0.5
    return math.cos(angle / 2), scale * x, scale * y, scale * z


def to_vector(quat: Quat) -> np.ndarray:
    """The rotation vector of a quaternion, (3,), with an angle of at most pi."""
    w, x, y, z = quat if quat[0] >= 0.0 else tuple(-part for part in quat)
    sine = math.sqrt(x * x + y * y + z * z)
    scale = 2 * math.atan2(sine, w) / sine if sine > 1e-9 else 2.0
    return np.array([scale * x, scale * y, scale * z])


def of_euler(angles: Sequence[float] | np.ndarray) -> Quat:
    """The quaternion of Euler angles, (3,)."""
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(float(a) / 2), math.sin(float(a) / 2)) for a in angles)
    return (
        cz * cy * cx + sz * sy * sx,
        cz * cy * sx - sz * sy * cx,
        cz * sy * cx + sz * cy * sx,
        sz * cy * cx - cz * sy * sx,
    )


def to_euler(quat: Quat) -> np.ndarray:
    """The Euler angles of a quaternion, (3,): roll and yaw in [-pi, pi], pitch in [-pi / 2, pi / 2].

    At a pitch of +-90 degrees, where only their sum or difference is known, the yaw is 0.
    """
    w, x, y, z = quat
    pitch = 2 * math.atan2(_length(w + y, x - z), _length(w - y, x + z)) - math.pi / 2
    plus, minus = math.atan2(x + z, w - y), math.atan2(x - z, w + y)
    if abs(pitch) > math.pi / 2 - GIMBAL:
        roll, yaw = (2 * minus if pitch > 0 else 2 * plus), 0.0
    else:
        roll, yaw = plus + minus, plus - minus
    return np.array([math.remainder(roll, math.tau), pitch, math.remainder(yaw, math.tau)])


def _length(a: float, b: float) -> float:
    return math.sqrt(a * a + b * b)
