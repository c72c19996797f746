"""What a thing remembers, kept and put back."""

from __future__ import annotations

import hashlib
from collections import deque
from typing import Any

import numpy as np

_CONTAINERS = (dict, list, set, deque, np.ndarray, type(hashlib.sha256()))


class Memory:
    """The attributes of a thing as they are now, to be put back later.

    Containers and hashes are copied, one level deep, and random streams are wound back; everything else that an
    attribute holds is taken to be replaced, never changed.
    """

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._values = {name: _copied(value) for name, value in vars(thing).items()}
        self._streams = [
            (value.bit_generator, value.bit_generator.state)
            for value in self._values.values()
            if isinstance(value, np.random.Generator)
        ]

    def restore(self) -> None:
        """Put the attributes back; those that came since are gone."""
        vars(self._thing).clear()
        vars(self._thing).update(self._values)
        for stream, state in self._streams:
            stream.state = state


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, _CONTAINERS) else value
