"""A policy, and a scheme of URIs."""

from collections.abc import Callable
from typing import Any

import numpy as np

from oodbench.policies import PolicySpec


class Lemon:
    """Sinks slowly."""

    spec = PolicySpec(execute=4, cameras=())

    def __init__(self, speed: float = 0.1) -> None:
        self.speed = speed

    def reset(self, episode: Any) -> None:
        pass

    def act(self, observation: Any) -> np.ndarray:
        return np.tile([0.0, 0.0, -self.speed, 0.0, 0.0, 0.0, -1.0], (4, 1))


def connect(address: str, speed: float = 0.1) -> Lemon:
    """What lemon://address gives."""
    return Lemon(speed)


def scheme() -> Callable[..., Lemon]:
    """The factory; a scheme is a function that gives one, so that clients are imported when they are wanted."""
    return connect
