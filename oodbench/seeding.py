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
    """The random stream named `key`, e.g. ``generator("core-1", "put-on", 7, "layout")``.

    Streams of different names are independent, so that a new shift, task or worker never moves another draw.
    PCG64 and the methods used on it are stable across NumPy versions (NEP 19 keeps the bit streams; the distributions
    used here, uniform, normal, integers and permutation, have not changed since 1.17).
    """
    return np.random.Generator(np.random.PCG64(derive(*key)))
