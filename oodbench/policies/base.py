"""What a policy is: its methods, what it is told, and the check that every action passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from oodbench.errors import PolicyError
from oodbench.policies.spec import PolicySpec

if TYPE_CHECKING:
    from oodbench.observation import Seen

__all__ = ["ACTION_SIZE", "BatchedPolicy", "EpisodeInfo", "Policy", "PolicySpec", "check_actions"]

ACTION_SIZE = 7
MAX_BATCH = 64  # observations in one call of act_batch


@dataclass(frozen=True)
class EpisodeInfo:
    """What a policy is told when an episode begins. Nothing in it says whether or how the world is shifted."""

    task: str
    instruction: str
    seed: int  # for the policy's own randomness; the same for every policy in this episode
    horizon: int  # control steps
    control_hz: float
    session: int = 0  # which of the episodes that are played at once; always 0 where there is one at a time


@runtime_checkable
class Policy(Protocol):
    """Anything with these two methods can be evaluated. Attributes `spec` (PolicySpec) and `close()` are optional."""

    def reset(self, episode: EpisodeInfo) -> None:
        """A new episode begins; forget the last one."""

    def act(self, observation: Seen) -> np.ndarray:
        """The next actions, shape (n, 7) or (7,), in the conventions that `spec` declares.

        By default each number is in [-1, 1]: dx dy dz (x 0.05 m), a rotation vector (x 0.5 rad), both in the frame of
        the robot's base and counted from the pose that the hand has when the action is executed, and the gripper
        (-1 open, +1 close); one is executed every 1/20 s.
        """


@runtime_checkable
class BatchedPolicy(Protocol):
    """A policy that answers several environments in one call (`oodbench run --envs`, `oodbench serve`).

    One instance serves them all. What it remembers of an episode it keeps under its session: `episode.session` in
    `reset`, `observation.session` in `act_batch`.
    """

    def reset(self, episode: EpisodeInfo) -> None:
        """A new episode begins in this session; forget the session's last one."""

    def act_batch(self, observations: list[Seen]) -> list[np.ndarray]:
        """The next actions of each, as `Policy.act` gives them; in the same order."""


def check_actions(actions: object, name: str, tolerance: float = 1e-3) -> np.ndarray:
    """`actions` as float64 of shape (n, 7). Raises PolicyError: not numbers, wrong shape, not finite, out of range.

    Values up to `tolerance` outside [-1, 1] are clipped, as rounding may put them there; larger ones are refused,
    because they show that the policy's actions were not scaled for this interface.
    """
    return within(numbers(actions, name), name, tolerance)


def numbers(actions: object, name: str) -> np.ndarray:
    """`actions` as finite float64 of shape (n, 7), n at least 1. Torch tensors are taken from wherever they live."""
    if hasattr(actions, "detach") and hasattr(actions, "cpu"):
        actions = actions.detach().cpu().float().numpy()
    try:
        array = np.asarray(actions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PolicyError(f"policy {name}: act() returned {type(actions).__name__}, not an array of numbers") from error
    if array.ndim == 0:
        raise PolicyError(f"policy {name}: act() returned {type(actions).__name__}, not an array of shape (n, 7)")
    shape = array.shape
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2 or array.shape[1] != ACTION_SIZE or len(array) == 0:
        raise PolicyError(f"policy {name}: act() returned actions of shape {shape}; it must be (n, 7) or (7,)")
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise PolicyError(
            f"policy {name}: act() returned {array[row, column]} at [{row}, {column}]; actions must be finite"
        )
    return array


def within(array: np.ndarray, name: str, tolerance: float) -> np.ndarray:
    """`array` clipped to [-1, 1]. Raises PolicyError when a value lies more than `tolerance` outside."""
    if np.abs(array).max() > 1.0 + tolerance:
        row, column = np.unravel_index(np.abs(array).argmax(), array.shape)
        raise PolicyError(
            f"policy {name}: act() returned {array[row, column]:.3g} at [{row}, {column}]; actions must lie in [-1, 1] "
            "(dx dy dz x 0.05 m, rotation vector x 0.5 rad, gripper)"
        )
    return array.clip(-1.0, 1.0)


def ask(policy: Any, observation: Seen) -> Any:
    """The raw answer of a policy to one observation, whether it has `act` or `act_batch` only."""
    if callable(getattr(policy, "act", None)):
        return policy.act(observation)
    return answers(policy, [observation])[0]


def answers(policy: Any, observations: list[Seen]) -> list[Any]:
    """The raw answers of a batched policy. Raises PolicyError when there are not as many as observations."""
    found = policy.act_batch(observations)
    try:
        count = len(found)
    except TypeError:
        count = -1
    if count != len(observations):
        said = f"{count} answers" if count >= 0 else type(found).__name__
        raise PolicyError(
            f"policy {type(policy).__name__}: act_batch() returned {said} to {len(observations)} observations"
        )
    return list(found)
