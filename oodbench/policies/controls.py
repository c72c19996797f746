"""Policies that come with oodbench. They bound what a score can mean; they do not compete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from oodbench.observation import Seen
from oodbench.policies.base import ACTION_SIZE, EpisodeInfo, PolicySpec
from oodbench.registry import Registry
from oodbench.seeding import generator

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


def _from_experts(name: str, summary: str) -> Callable[..., Any]:
    """A class of policies/experts.py, imported when it is first made (the experts need the simulator).

    Args:
        name: of the class.
        summary: what `oodbench list policies` says of it.
    """

    def make() -> Any:
        from oodbench.policies import experts

        return getattr(experts, name)()

    make.__doc__ = summary
    return make


def noisy_expert(sigma: float | None = None, corrupted_only: bool = False) -> Any:
    """The expert with noisy perception: every object seems to be a centimetre or so from where it is.

    Args:
        sigma: standard deviation along x and y (m).
        corrupted_only: only while the cameras' pictures are corrupted.
    """
    from oodbench.policies import experts

    return experts.NoisyExpert(experts.NOISE if sigma is None else sigma, corrupted_only)


POLICIES.add(
    "expert",
    _from_experts("Expert", "The scripted expert: it is handed the true state and solves every task; the upper bound."),
)
POLICIES.add("expert-noisy", noisy_expert)
POLICIES.add("expert-slow", _from_experts("SlowExpert", "The expert with slow reactions."))
POLICIES.add(
    "expert-blind",
    _from_experts("BlindExpert", "The expert without language: of the things that could be meant, it takes any."),
)
POLICIES.add("replay", _from_experts("DemoReplay", "Plays one training demonstration of the task, whatever it sees."))
POLICIES.add("random", RandomPolicy)
POLICIES.add("no-op", NoOpPolicy)
