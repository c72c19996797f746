"""Rotations and small products by MuJoCo's functions: quaternions are (w, x, y, z), rotation vectors in rad.

MuJoCo is compiled for one instruction set and chooses nothing at run time, unlike what NumPy's products go through.
"""

from __future__ import annotations

import mujoco
import numpy as np


def of_site(data: mujoco.MjData, site: int) -> np.ndarray:
    """Orientation of a site in the world frame, (4,)."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, data.site_xmat[site])
    return quat


def of_turned_site(data: mujoco.MjData, site: int, turn: np.ndarray) -> np.ndarray:
    """Orientation that a site has when it is turned by a rotation vector, (3,), of the world frame: (4,)."""
    quat, own = of_site(data, site), np.zeros(3)
    mujoco.mju_mulMatTVec3(own, data.site_xmat[site], turn)
    mujoco.mju_quatIntegrate(quat, own, 1.0)
    return quat


def of_matrix(matrix: np.ndarray) -> np.ndarray:
    """The quaternion, (4,), of a rotation matrix, (9,) row by row."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix)
    return quat


def of_vector(vector: np.ndarray) -> np.ndarray:
    """The unit quaternion, (4,), of a rotation vector, (3,)."""
    angle = mujoco.mju_norm3(vector)
    quat = np.array([1.0, 0.0, 0.0, 0.0])
    if angle > 1e-12:
        mujoco.mju_axisAngle2Quat(quat, vector / angle, angle)
    return quat


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """First b, then a: (4,) each."""
    quat = np.zeros(4)
    mujoco.mju_mulQuat(quat, a, b)
    return quat


def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation vector, (3,), that turns the orientation b into a."""
    inverse, relative, vector = np.zeros(4), np.zeros(4), np.zeros(3)
    mujoco.mju_negQuat(inverse, b)
    mujoco.mju_mulQuat(relative, a, inverse)
    mujoco.mju_quat2Vel(vector, relative, 1.0)
    return vector


class LeastSquares:
    """Damped least squares: the joint motion whose effect on the hand is nearest to what is wanted.

    Args:
        joints: how many there are.
        damping: what is added to the diagonal, squared.
    """

    def __init__(self, joints: int, damping: float) -> None:
        self._damping = damping**2
        self._gram, self._shares = np.zeros((6, 6)), np.zeros(6)
        self._diagonal = self._gram.reshape(-1)[::7]  # a view
        self._joints = joints

    def solve(self, jacobian: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        """J^T (J J^T + damping^2)^-1 wanted.

        Args:
            jacobian: (6, joints), C-contiguous; translation (m / rad) above rotation.
            wanted: (6,), metres and rad.

        Returns:
            The motion of each joint, (joints,), rad.
        """
        step = np.zeros(self._joints)
        mujoco.mju_mulMatMatT(self._gram, jacobian, jacobian)
        self._diagonal += self._damping
        mujoco.mju_cholFactor(self._gram, 0.0)
        mujoco.mju_cholSolve(self._shares, self._gram, wanted)
        mujoco.mju_mulMatTVec(step, jacobian, self._shares)
        return step


def applied(matrix: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """matrix (n, k), C-contiguous, times vector (k,): (n,)."""
    found = np.zeros(len(matrix))
    mujoco.mju_mulMatVec(found, matrix, vector)
    return found
