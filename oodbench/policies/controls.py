"""Policies that come with oodbench. They bound what a score can mean; they do not compete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oodbench.policies.base import ACTION_SIZE, EpisodeInfo, PolicySpec
from oodbench.registry import Registry
from oodbench.seeding import generator
from oodbench.sim.world import Observation

POLICIES: Registry[Callable[..., Any]] = Registry("policy", group="oodbench.policies")

CHUNK = 8


class RandomPolicy:
    """Uniformly random actions, drawn from the episode's policy seed."""

    spec = PolicySpec(execute=CHUNK)

    def reset(self, episode: EpisodeInfo) -> None:
        self._rng = generator("random-policy", episode.seed)

    def act(self, observation: Observation) -> np.ndarray:
        return self._rng.uniform(-1.0, 1.0, (CHUNK, ACTION_SIZE))


class NoOpPolicy:
    """Never moves."""

    spec = PolicySpec(execute=CHUNK)

    def reset(self, episode: EpisodeInfo) -> None:
        pass

    def act(self, observation: Observation) -> np.ndarray:
        return np.zeros((CHUNK, ACTION_SIZE))


def _expert() -> Any:
    from oodbench.expert import Expert

    return Expert()


POLICIES.add("expert", _expert)
POLICIES.add("random", RandomPolicy)
POLICIES.add("no-op", NoOpPolicy)
