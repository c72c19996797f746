"""What a policy is, and the check that every action passes before it reaches the simulator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np

from oodbench.errors import PolicyError

if TYPE_CHECKING:
    from oodbench.sim.world import Observation

ACTION_SIZE = 7


@dataclass(frozen=True)
class EpisodeInfo:
    """What a policy is told when an episode begins. Nothing in it says whether or how the world is shifted."""

    task: str
    instruction: str
    seed: int  # for the policy's own randomness; the same for every policy in this episode
    horizon: int  # control steps
    control_hz: float


@dataclass(frozen=True)
class PolicySpec:
    """What a policy declares about itself, as its attribute `spec`.

    execute: how many actions of each chunk are executed before `act` is called again; None executes all of them.
    image_size: pixels (square) of the images that it is given.
    privileged: it is handed the World (method `bind`); such policies are controls and are marked as such everywhere.
    """

    execute: int | None = None
    image_size: int = 256
    privileged: bool = False


@runtime_checkable
class Policy(Protocol):
    """Anything with these two methods can be evaluated. Attributes `spec` (PolicySpec) and `close()` are optional."""

    def reset(self, episode: EpisodeInfo) -> None:
        """A new episode begins; forget the last one."""

    def act(self, observation: Observation) -> np.ndarray:
        """The next actions, shape (n, 7) or (7,), each number in [-1, 1].

        An action is dx dy dz (x 0.05 m), a rotation vector (x 0.5 rad), both in the frame of the robot's base, and the
        gripper (-1 open, +1 close); one is executed every 1/20 s.
        """


def check_actions(actions: object, name: str) -> np.ndarray:
    """`actions` as float64 of shape (n, 7). Raises PolicyError: not numbers, wrong shape, not finite, out of range.

    Values up to 1e-3 outside [-1, 1] are clipped, as rounding may put them there; larger ones are refused, because they
    show that the policy's actions were not scaled for this interface.
    """
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
    if np.abs(array).max() > 1.0 + 1e-3:
        row, column = np.unravel_index(np.abs(array).argmax(), array.shape)
        raise PolicyError(
            f"policy {name}: act() returned {array[row, column]:.3g} at [{row}, {column}]; actions must lie in [-1, 1] "
            "(dx dy dz x 0.05 m, rotation vector x 0.5 rad, gripper)"
        )
    return array.clip(-1.0, 1.0)
