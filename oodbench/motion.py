"""Moving the hand: from points and angles to actions. The expert's scripts are built on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

import numpy as np

from oodbench.convention import POSITION_SCALE, ROTATION_SCALE
from oodbench.exact import norm
from oodbench.sim import rotations
from oodbench.sim.world import World

Script = Generator[np.ndarray, None, None]
Point = Callable[[], np.ndarray]

FREE, CAREFUL, PULLING = 0.8, 0.35, 0.5  # speed limits, as shares of the action range
ARRIVED = 0.012  # a waypoint is reached within this distance (m)
PRECISE = 0.005
ALIGNED = 0.08  # and this angle (rad)
PATIENCE = 40  # control steps after which a waypoint is given up
OPEN, CLOSE = -1.0, 1.0


class Mover:
    """A hand that points down and is taken from place to place.

    pace: share of the usual speeds. reaction: control steps of rest before every new movement.
    """

    pace = 1.0
    reaction = 0

    def bind(self, world: World) -> None:
        """Take hold of the world that the next episodes are played in."""
        self.world = world

    def begin(self) -> None:
        """A new episode: the gripper is open."""
        self.grip = OPEN
        self._resting: tuple[np.ndarray, float] | None = None
        self._home_yaw = self.hand_yaw()

    def seen(self, id: str, point: np.ndarray) -> np.ndarray:
        """Where a point of object `id` seems to be; here, where it is."""
        return point

    def go(
        self,
        point: Point,
        yaw: float,
        speed: float,
        tolerance: float = ARRIVED,
        give_up: Callable[[], bool] = lambda: False,
    ) -> Script:
        """Move until the grip is at `point`, or `give_up` holds, or patience ends."""
        for _ in range(self.reaction):
            yield self.stay()
        for _ in range(round(PATIENCE / self.pace)):
            here = self.world.grip_position
            arrived = norm(point() - here) < tolerance and abs(turn_between(self.hand_yaw(), yaw)) < ALIGNED
            if arrived or give_up():
                return
            yield self.toward(point(), yaw, speed)

    def toward(self, point: np.ndarray, yaw: float, speed: float) -> np.ndarray:
        """The action that takes the controller's target towards a pose, hand pointing down.

        Actions that are still on their way (latency) are counted as done, so that they are not asked for twice.
        """
        self._resting = None
        return self._aim(point, yaw, speed * self.pace)

    def _aim(self, point: np.ndarray, yaw: float, speed: float) -> np.ndarray:
        pending = self.world.pending_actions
        motion = (point - self.heading()) / POSITION_SCALE
        length = norm(motion)
        turn = (_rotation_to(rotations.of_site(self.world.data, self.world.built.grip_site), yaw) / ROTATION_SCALE) - pending[:, 3:6].sum(axis=0)
        angle = norm(turn)
        return np.array(
            [*(motion * min(1.0, speed / max(length, 1e-9))), *(turn * min(1.0, speed / max(angle, 1e-9))), self.grip]
        )

    def heading(self) -> np.ndarray:
        """Where the hand will be when all that was asked for is done (m, world frame), (3,)."""
        return self.world.grip_position + POSITION_SCALE * self.world.pending_actions[:, :3].sum(axis=0)

    def stay(self) -> np.ndarray:
        """The action that keeps the hand where it was going when it was last moved, against noise and drift."""
        if self._resting is None:
            self._resting = (self.heading(), self.hand_yaw())
        return self._aim(*self._resting, CAREFUL)

    def hand_yaw(self) -> float:
        """Direction along which the fingers close (rad about z)."""
        x = self.world.data.site_xmat[self.world.built.grip_site].reshape(3, 3)[:, 0]
        return math.atan2(x[1], x[0])

    def nearer_yaw(self, wanted: float, after: float = 0.0) -> float:
        """`wanted` or its opposite, which are the same to two fingers: the one that needs less of a turn.

        after: a turn that will follow; then the one from which it stays near the initial posture.
        """
        now = self.hand_yaw() if not after else self._home_yaw - after
        return now + (turn_between(now, wanted) + math.pi / 2) % math.pi - math.pi / 2


def turn_between(start: float, end: float) -> float:
    """The signed angle from one direction to another, in (-pi, pi]."""
    return math.remainder(end - start, math.tau)


def _rotation_to(quat: np.ndarray, yaw: float) -> np.ndarray:
    """Rotation vector (rad, world frame) from `quat` to the hand pointing down with its x axis along `yaw`."""
    c, s = math.cos(yaw), math.sin(yaw)
    return rotations.difference(rotations.of_matrix(np.array([c, s, 0, s, -c, 0, 0, 0, -1.0])), quat)
