"""What a policy sees of the world, rendered when it looks."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from oodbench.errors import OodbenchError, PolicyError

if TYPE_CHECKING:
    from oodbench.sim.world import World

STATE_SIZE = 8
CAMERAS = ("image", "wrist_image")


class Seen(Mapping[str, object]):
    """The interface of everything that is handed to a policy's `act`: attributes, or keys of a mapping.

    image, wrist_image: (size, size, 3) uint8; only those of `cameras`, which the policy declares in its spec.
    state: float32; instruction: str. session: which of several episodes that are played at once this belongs to.
    """

    cameras: tuple[str, ...] = CAMERAS
    session: int = 0

    @property
    def image(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def wrist_image(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def state(self) -> np.ndarray:
        raise NotImplementedError

    @property
    def instruction(self) -> str:
        raise NotImplementedError

    def picture(self, camera: str) -> np.ndarray:
        """That of `image` or `wrist_image`."""
        return self.image if camera == "image" else self.wrist_image

    def _has(self, camera: str) -> None:
        """Raises PolicyError for a camera that the policy does not declare."""
        if camera not in self.cameras:
            raise PolicyError(
                f"the policy looked at {camera!r}, but its spec declares cameras={self.cameras}; "
                f"add it there, e.g. PolicySpec(cameras={(*self.cameras, camera)})"
            )

    def look(self) -> None:
        """Render and read everything now, so that it can be used later or elsewhere."""
        for key in self:
            self[key]

    def __getitem__(self, key: str) -> object:
        if key not in tuple(self):
            raise KeyError(key)
        return getattr(self, key)

    def __iter__(self) -> Iterator[str]:
        return iter((*self.cameras, "state", "instruction"))

    def __len__(self) -> int:
        return len(self.cameras) + 2


class Observation(Seen):
    """What a policy sees. Pictures are rendered when they are first asked for.

    image, wrist_image: (size, size, 3) uint8, upright. state: (8,) float32: position of the point between the
    fingertips (m, world frame), its orientation as a rotation vector (rad, angle in [0, 2 pi) as robosuite's
    quat2axisangle gives it), and the two finger positions (m, about +0.04 and -0.04 when open). instruction: str.
    joints: (7,) float32, the arm's joint positions (rad). depth(camera) and segmentation(camera) on request. Where the
    scene says that observations arrive late, all of them but the instruction are of an earlier moment.
    """

    def __init__(self, world: World, size: int, cameras: Sequence[str] = CAMERAS, session: int = 0) -> None:
        self._world = weakref.proxy(world)
        self._moment = world.moment
        self.size = size
        self.cameras = tuple(cameras)
        self.session = session

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
    def joints(self) -> np.ndarray:
        self._check()
        return self._world.joint_positions()

    @cached_property
    def instruction(self) -> str:
        self._check()
        return self._world.instruction

    def depth(self, camera: str = "image") -> np.ndarray:
        """(size, size) float32, metres along the optical axis."""
        self._has(camera)
        self._check()
        return self._world.render(camera, self.size, "depth", as_seen=True)

    def segmentation(self, camera: str = "image") -> np.ndarray:
        """(size, size) int32: index into the scene's objects, -1 for everything else."""
        self._has(camera)
        self._check()
        return self._world.segmentation(camera, self.size)

    def _look(self, camera: str) -> np.ndarray:
        self._has(camera)
        self._check()
        return self._world.see(camera, self.size)

    def _check(self) -> None:
        if self._world.moment != self._moment:
            raise OodbenchError(
                "this observation is of an earlier step and was not looked at then; read what you need of an "
                "observation before the next action is executed"
            )


class Snapshot(Seen):
    """An observation that came over a wire: only what was sent is there."""

    def __init__(
        self, pictures: Mapping[str, np.ndarray], state: np.ndarray | None, instruction: str, session: int = 0
    ) -> None:
        self.cameras = tuple(pictures)
        self._pictures = dict(pictures)
        self._state, self._instruction = state, instruction
        self.session = session

    @property
    def image(self) -> np.ndarray:
        return self._given("image")

    @property
    def wrist_image(self) -> np.ndarray:
        return self._given("wrist_image")

    @property
    def instruction(self) -> str:
        return self._instruction

    @property
    def state(self) -> np.ndarray:
        if self._state is None:
            raise PolicyError("the policy asked for the robot's state, and the client sent none")
        return self._state

    def _given(self, camera: str) -> np.ndarray:
        if camera not in self._pictures:
            raise PolicyError(f"the policy looked at {camera!r}; the client sent {', '.join(self._pictures) or 'none'}")
        return self._pictures[camera]
