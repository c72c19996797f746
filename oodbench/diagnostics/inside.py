"""What a policy must offer to be looked into, beside `reset` and `act`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from oodbench.errors import PolicyError


@dataclass(frozen=True)
class Inside:
    """What went on inside a policy for n observations.

    layers: by name, in order, the visual tokens of the third-person picture, (n, grid * grid, d), row by row.
    attention: by layer, how much the tokens that decide the action attend to these patches, (n, grid * grid); may be
    empty. actions: (n, c, 7).
    """

    layers: dict[str, np.ndarray]
    attention: dict[str, np.ndarray]
    actions: np.ndarray

    @property
    def grid(self) -> int:
        return round(next(iter(self.layers.values())).shape[1] ** 0.5)


@runtime_checkable
class Transparent(Protocol):
    """A policy that `oodbench probe` can look into."""

    def inside(
        self, images: np.ndarray, wrist_images: np.ndarray, states: np.ndarray, instructions: Sequence[str]
    ) -> Inside:
        """images, wrist_images: (n, s, s, 3) uint8, s as in the policy's spec; states: (n, 8). No memory."""


def look(
    policy: Any, name: str, images: np.ndarray, wrists: np.ndarray, states: np.ndarray, texts: Sequence[str]
) -> Inside:
    """`policy.inside`, checked. Raises PolicyError when the policy cannot be looked into or answers out of shape."""
    if not isinstance(policy, Transparent):
        raise PolicyError(
            f"policy {name}: {type(policy).__name__} has no method inside(); `oodbench probe` needs it "
            "(see oodbench.diagnostics.inside.Transparent)"
        )
    found = policy.inside(images, wrists, states, texts)
    for layer, tokens in [*found.layers.items(), *found.attention.items()]:
        if len(tokens) != len(images) or not np.isfinite(tokens).all():
            raise PolicyError(
                f"policy {name}: inside() gives {tokens.shape} for layer {layer!r}, or not finite numbers"
            )
    if found.actions.ndim != 3 or found.actions.shape[0] != len(images) or found.actions.shape[2] != 7:
        raise PolicyError(f"policy {name}: inside() gives actions of shape {found.actions.shape}, not (n, c, 7)")
    if not found.layers:
        raise PolicyError(f"policy {name}: inside() gives no layers")
    return found
