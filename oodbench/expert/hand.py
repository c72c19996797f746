"""Moving the hand: from where it should be to the action that takes it there. All of it is a function of the state."""

from __future__ import annotations

import math

import numpy as np

from oodbench.convention import POSITION_SCALE, ROTATION_SCALE
from oodbench.exact import norm
from oodbench.sim import rotations
from oodbench.sim.world import World

OPEN, CLOSE = -1.0, 1.0
FAST, CAREFUL = 0.75, 0.4  # speed limits, as shares of the action range
GAIN = 0.33  # share of what is missing that is asked for in a control step, at the end of a way
HEIGHT_GAIN = 0.8  # of ways up and down, in comparison: noise aside moves the cones up and down
BRAKING = 0.12  # share of the action range by which the hand slows down in a control step before that
TURNING = 0.6  # speed limit of turns
EITHER = math.radians(10)  # how near to a right angle two equal turns count as equally long


class Hand:
    """A hand that points down and is taken from place to place.

    pace: share of the usual speeds.
    """

    pace = 1.0

    def bind(self, world: World) -> None:
        """Take hold of the world that the next episodes are played in."""
        self.world = world

    def toward(
        self,
        point: np.ndarray,
        yaw: float,
        grip: float,
        speed: float = FAST,
        *,
        aside: float = 1.0,
        down: float = 1.0,
    ) -> np.ndarray:
        """The action, (7,), that takes the hand towards a pose in which it points down.

        It brakes gently, and comes to rest in proportion to what is left. Actions that are still on their way (latency)
        count as done, so that they are not asked for twice.

        Args:
            point: Where the point between the fingertips should be (m, world frame), (3,).
            yaw: Direction along which the fingers close (rad about z).
            grip: The gripper's command, from OPEN to CLOSE.
            speed: At most this share of the action range.
            aside: Share of the usual speed aside: 0 rises or comes down where it is.
            down: Speed limit downwards, as a share of the action range.
        """
        way = (point - self.heading()) / POSITION_SCALE
        over = self._slowed(way[:2])
        over *= aside * min(1.0, speed / max(norm(over), 1e-9))
        up = max(HEIGHT_GAIN * self._slowed(way[2:])[0], -down)
        return self.by(POSITION_SCALE * self.pace * np.array([*over, up]), yaw, grip, speed)

    def by(self, step: np.ndarray, yaw: float, grip: float, speed: float = FAST) -> np.ndarray:
        """The action, (7,), that takes the hand on by `step` (m, world frame), (3,), and turns it to `yaw`."""
        pending = self.pending()
        here = rotations.of_site(self.world.data, self.world.built.grip_site)
        turn = _rotation_to(here, yaw) / ROTATION_SCALE
        if len(pending):
            turn = turn - pending[:, 3:6].sum(axis=0)
        motion, turn = step / POSITION_SCALE, self.pace * self._slowed(turn)
        motion = motion * min(1.0, self.pace * speed / max(norm(motion), 1e-9))
        turn = turn * min(1.0, self.pace * min(speed, TURNING) / max(norm(turn), 1e-9))
        return np.array([*motion, *turn, grip])

    @staticmethod
    def _slowed(way: np.ndarray) -> np.ndarray:
        """How much of a way, in shares of the action range, to go in a control step; its length has no limit."""
        rest = norm(way)
        if rest < 1e-9:
            return way
        gentle = BRAKING / GAIN  # the speed from which on it is in proportion
        wanted = GAIN * rest
        if wanted > gentle:
            wanted = math.sqrt(gentle * (2 * wanted - gentle))
        return way * (wanted / rest)

    def pending(self) -> np.ndarray:
        """Actions that were decided and are not executed yet, (n, 7)."""
        return self.world.pending_actions

    def heading(self) -> np.ndarray:
        """Where the hand will be when all that was asked for is done (m, world frame), (3,)."""
        pending = self.pending()
        if not len(pending):
            return self.world.grip_position
        return self.world.grip_position + POSITION_SCALE * pending[:, :3].sum(axis=0)

    def yaw(self) -> float:
        """Direction along which the fingers close (rad about z)."""
        x = self.world.data.site_xmat[self.world.built.grip_site].reshape(3, 3)[:, 0]
        return math.atan2(x[1], x[0])

    def equal_yaw(self, wanted: float) -> float:
        """`wanted` or its opposite, which are the same to two fingers: the one that needs less of a turn.

        Where both need about a quarter, it is always the turn to the left: what looks alike is done alike.
        """
        now = self.yaw()
        turn = math.remainder(wanted - now, math.pi)
        return now + (turn + math.pi if turn < EITHER - math.pi / 2 else turn)


def turn_between(start: float, end: float) -> float:
    """The signed angle from one direction to another, in (-pi, pi]."""
    return math.remainder(end - start, math.tau)


def _rotation_to(quat: np.ndarray, yaw: float) -> np.ndarray:
    """Rotation vector (rad, world frame) from `quat` to the hand pointing down with its x axis along `yaw`."""
    c, s = math.cos(yaw), math.sin(yaw)
    return rotations.difference(rotations.of_matrix(np.array([c, s, 0, s, -c, 0, 0, 0, -1.0])), quat)
