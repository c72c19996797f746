"""Policies that come with oodbench. They bound what a score can mean; they do not compete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oodbench.policies.base import ACTION_SIZE, EpisodeInfo, PolicySpec
from oodbench.registry import Registry
from oodbench.seeding import generator
from oodbench.sim.observation import Seen

POLICIES: Registry[Callable[..., Any]] = Registry("policy", group="oodbench.policies", lazy=True)

CHUNK = 8


class RandomPolicy:
    """Uniformly random actions, drawn from the episode's policy seed."""

    spec = PolicySpec(execute=CHUNK, cameras=())

    def reset(self, episode: EpisodeInfo) -> None:
        self._rng = generator("random-policy", episode.seed)

    def act(self, observation: Seen) -> np.ndarray:
        return self._rng.uniform(-1.0, 1.0, (CHUNK, ACTION_SIZE))


class NoOpPolicy:
    """Never moves."""

    spec = PolicySpec(execute=CHUNK, cameras=())

    def reset(self, episode: EpisodeInfo) -> None:
        pass

    def act(self, observation: Seen) -> np.ndarray:
        return np.zeros((CHUNK, ACTION_SIZE))


def _from_experts(name: str) -> Callable[..., Any]:
    """A class of policies/experts.py, imported when it is first wanted (the experts need the simulator)."""

    def make() -> Any:
        from oodbench.policies import experts

        return getattr(experts, name)()

    return make


def noisy_expert(sigma: float | None = None, corrupted_only: bool = False) -> Any:
    """See experts.NoisyExpert; sigma in metres."""
    from oodbench.policies import experts

    return experts.NoisyExpert(experts.NOISE if sigma is None else sigma, corrupted_only)


POLICIES.add("expert", _from_experts("Expert"))
POLICIES.add("expert-noisy", noisy_expert)
POLICIES.add("expert-slow", _from_experts("SlowExpert"))
POLICIES.add("expert-blind", _from_experts("BlindExpert"))
POLICIES.add("replay", _from_experts("DemoReplay"))
POLICIES.add("random", RandomPolicy)
POLICIES.add("no-op", NoOpPolicy)
