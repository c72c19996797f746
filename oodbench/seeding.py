"""Named random streams: every draw of oodbench comes from a generator made here, from the names of what it is for."""

from __future__ import annotations

import hashlib
import json

import numpy as np


def derive(*key: str | int) -> int:
    """A 128-bit integer that depends on every part of `key`, in order, and on nothing else."""
    digest = hashlib.sha256(json.dumps(key, ensure_ascii=True).encode()).digest()
    return int.from_bytes(digest[:16], "big")


def generator(*key: str | int) -> np.random.Generator:
    """The random stream named `key`, e.g. ``generator("core-2", "put-on", 7, "layout")``.

    Streams of different names are independent, so that a new shift, task or worker never moves another draw.
    PCG64's bits are kept by NEP 19; the methods used here (random, uniform, integers, permutation, choice, normal and
    standard_normal) draw the same from NumPy 1.26 and from 2.5, which tests/test_seeding.py pins. None of them looks at
    the processor; but standard_normal asks the C library for a logarithm once in 4000 draws: see `normal`.
    """
    return np.random.Generator(np.random.PCG64(derive(*key)))


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Draws from the standard normal distribution, kept to 24 bits, so that the C library's last bit has no part.

    For what is not rounded afterwards, as scenes and pictures are: noise on actions and on what is known of the robot.

    Args:
        rng: the stream.
        shape: of the array.

    Returns:
        float64, `shape`.
    """
    return rng.standard_normal(shape).astype(np.float32).astype(np.float64)
