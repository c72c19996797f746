"""What a policy sees of the world, rendered when it looks."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from oodbench.errors import OodbenchError

if TYPE_CHECKING:
    from oodbench.sim.world import World

STATE_SIZE = 8


class Observation(Mapping[str, object]):
    """What a policy sees. Pictures are rendered when they are first asked for.

    image, wrist_image: (size, size, 3) uint8, upright. state: (8,) float32: position of the point between the
    fingertips (m, world frame), its orientation as a rotation vector (rad, angle in [0, 2 pi) as robosuite's
    quat2axisangle gives it), and the two finger positions (m, about +0.04 and -0.04 when open). instruction: str.
    depth(camera) and segmentation(camera) on request. Where the scene says that observations arrive late, all of them
    but the instruction are of an earlier moment.
    """

    _KEYS = ("image", "wrist_image", "state", "instruction")

    def __init__(self, world: World, size: int) -> None:
        self._world = weakref.proxy(world)
        self._moment = world.moment
        self.size = size

    @cached_property
    def image(self) -> np.ndarray:
        return self._look("image")

    @cached_property
    def wrist_image(self) -> np.ndarray:
        return self._look("wrist_image")

    @cached_property
    def state(self) -> np.ndarray:
        self._check()
        return self._world.proprioception()

    @cached_property
    def instruction(self) -> str:
        self._check()
        return self._world.instruction

    def depth(self, camera: str = "image") -> np.ndarray:
        """(size, size) float32, metres along the optical axis."""
        self._check()
        return self._world.render(camera, self.size, "depth", as_seen=True)

    def segmentation(self, camera: str = "image") -> np.ndarray:
        """(size, size) int32: index into the scene's objects, -1 for everything else."""
        self._check()
        return self._world.segmentation(camera, self.size)

    def _look(self, camera: str) -> np.ndarray:
        self._check()
        return self._world.see(camera, self.size)

    def _check(self) -> None:
        if self._world.moment != self._moment:
            raise OodbenchError(
                "this observation is of an earlier step and was not looked at then; read what you need of an "
                "observation before the next action is executed"
            )

    def __getitem__(self, key: str) -> object:
        if key not in self._KEYS:
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._KEYS)

    def __len__(self) -> int:
        return len(self._KEYS)
