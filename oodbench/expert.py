"""The scripted expert: it knows the true state and solves every task through the same actions that policies use.

It is the upper bound, the source of demonstrations, and the proof that a shifted scene can be solved at all. Each way
of solving a goal is a generator of actions that reads from top to bottom; poses are looked up anew at every step, so
that the script follows things that move.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import partial

import mujoco
import numpy as np

from oodbench.errors import OodbenchError
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.sim.control import POSITION_SCALE, ROTATION_SCALE
from oodbench.sim.predicates import Condition
from oodbench.sim.world import Observation, World

Script = Generator[np.ndarray, None, None]
Point = Callable[[], np.ndarray]

FREE, CAREFUL, PULLING = 0.8, 0.35, 0.5  # speed limits, as shares of the action range
HOVER = 0.09  # the gripper comes down from this far above a grasp (m)
FINGERTIP = 0.025  # room for the fingertips over the top of what they come down on (m)
ARRIVED = 0.012  # a waypoint is reached within this distance (m)
PRECISE = 0.005
ALIGNED = 0.08  # and this angle (rad)
PATIENCE = 40  # control steps after which a waypoint is given up
OPEN, CLOSE = -1.0, 1.0


class Expert:
    """A privileged policy: it is handed the World. Raises OodbenchError for a goal that it has no script for."""

    spec = PolicySpec(execute=1, privileged=True)

    def bind(self, world: World) -> None:
        """Take hold of the world that the next episodes are played in."""
        self._world = world

    def reset(self, episode: EpisodeInfo) -> None:
        scene = self._world.scene
        goal = Condition.parse(scene.goal.success[0], [item.id for item in scene.objects])
        scripts: dict[str, Callable[..., Script]] = {"on": self._put_on, "opened": self._pull_open}
        if goal.name not in scripts:
            raise OodbenchError(f"the expert has no script for the goal {scene.goal.success[0]!r}")
        self._grip = OPEN
        self._script: Script = scripts[goal.name](*goal.args)

    def act(self, observation: Observation) -> np.ndarray:
        """One action, (1, 7)."""
        return next(self._script)[None]

    # --- scripts ---------------------------------------------------------------------------------------------------

    def _put_on(self, item: str, support: str) -> Script:
        world = self._world
        while True:
            if not (yield from self._pick(item)):
                continue
            carried = world.grip_position - world.center(item)
            height = world.grip_position[2] - world.lowest_point(item)
            surface = world.asset(support).support
            assert surface is not None, f"{support} has no support"
            top = world.position(support)[2] + surface.height
            cruise = max(self._cruise_height(item, support), top + 0.04) + height

            def over(z: float, carried: np.ndarray = carried) -> np.ndarray:
                return np.array([*(world.center(support)[:2] + carried[:2]), z])

            yaw = self._hand_yaw()
            lost = lambda: not world.touching_gripper(item)  # noqa: E731
            straight_up = np.array([*world.grip_position[:2], cruise])
            yield from self._go(partial(np.copy, straight_up), yaw, FREE, give_up=lost)
            yield from self._go(partial(over, cruise), yaw, FREE, give_up=lost)
            yield from self._go(partial(over, top + height + 0.004), yaw, CAREFUL, PRECISE, give_up=lost)
            if lost():
                yield from self._retreat()
                continue
            yield from self._let_go(item)
            if not world.status.final:
                continue
            while True:
                yield self._toward(world.target_position, yaw, FREE)

    def _pull_open(self, cabinet: str, share: float) -> Script:
        world = self._world
        asset = world.asset(cabinet)
        assert asset.drawer is not None, f"{cabinet} has no drawer"
        wanted = min(1.0, share + 0.15)
        while True:
            if not (yield from self._pick(cabinet)):
                continue
            yaw = self._hand_yaw()
            start = world.grip_position - world.grasp_point(cabinet)
            outward = -world.rotation(cabinet)[:, 0] * asset.drawer.travel

            def pulled(start: np.ndarray = start, outward: np.ndarray = outward) -> np.ndarray:
                rest = max(0.0, wanted + 0.05 - world.opening(cabinet))
                return world.grasp_point(cabinet) + start + outward * rest

            done = lambda: world.opening(cabinet) >= wanted or not world.held(cabinet)  # noqa: E731
            yield from self._go(pulled, yaw, PULLING, give_up=done)
            yield from self._let_go(cabinet)
            while world.status.final:
                yield self._toward(world.target_position, yaw, FREE)

    def _pick(self, item: str) -> Generator[np.ndarray, None, bool]:
        """Take hold of `item`; the generator's value says whether it is held."""
        world = self._world
        yaw = self._grasp_yaw(item)
        grasp = lambda: world.grasp_point(item)  # noqa: E731
        self._grip = OPEN
        clear = self._cruise_height(item) + 0.02
        top = world.position(item)[2] + world.asset(item).height + FINGERTIP
        above = lambda: np.add(grasp(), (0, 0, max(HOVER, clear - grasp()[2], top - grasp()[2])))  # noqa: E731
        if world.grip_position[2] < clear and np.linalg.norm((world.grip_position - grasp())[:2]) > 0.03:
            yield from self._go(lambda: np.array([*world.grip_position[:2], clear + 0.02]), self._hand_yaw(), FREE)
        yield from self._go(above, yaw, FREE)
        yield from self._go(grasp, yaw, CAREFUL, PRECISE)
        self._grip = CLOSE
        for _ in range(PATIENCE // 2):
            yield self._toward(world.target_position, yaw, CAREFUL)
            if world.held(item):
                break
        for _ in range(2):  # let the grip firm up
            yield self._toward(world.target_position, yaw, CAREFUL)
        if not world.held(item):
            yield from self._retreat()
            return False
        return True

    def _let_go(self, item: str) -> Script:
        world = self._world
        self._grip = OPEN
        yaw = self._hand_yaw()
        for _ in range(PATIENCE // 2):
            yield self._toward(world.target_position, yaw, CAREFUL)
            if not world.touching_gripper(item):
                break
        yield from self._retreat()

    def _retreat(self) -> Script:
        world = self._world
        self._grip = OPEN
        above = np.add(world.grip_position, (0, 0, HOVER))
        yield from self._go(lambda: above, self._hand_yaw(), FREE)

    # --- moving ----------------------------------------------------------------------------------------------------

    def _go(
        self,
        point: Point,
        yaw: float,
        speed: float,
        tolerance: float = ARRIVED,
        give_up: Callable[[], bool] = lambda: False,
    ) -> Script:
        """Move until the grip is at `point`, or `give_up` holds, or patience ends."""
        for _ in range(PATIENCE):
            here = self._world.grip_position
            arrived = np.linalg.norm(point() - here) < tolerance and abs(_turn(self._hand_yaw(), yaw)) < ALIGNED
            if arrived or give_up():
                return
            yield self._toward(point(), yaw, speed)

    def _toward(self, point: np.ndarray, yaw: float, speed: float) -> np.ndarray:
        """The action that takes the controller's target towards a pose, hand pointing down.

        Actions that are still on their way (latency) are counted as done, so that they are not asked for twice.
        """
        world = self._world
        pending = world.pending_actions
        position = world.target_position + POSITION_SCALE * pending[:, :3].sum(axis=0)
        motion = (point - position) / POSITION_SCALE
        length = float(np.linalg.norm(motion))
        turn = (_rotation_to(world.target_quat, yaw) / ROTATION_SCALE) - pending[:, 3:6].sum(axis=0)
        angle = float(np.linalg.norm(turn))
        return np.array(
            [*(motion * min(1.0, speed / max(length, 1e-9))), *(turn * min(1.0, speed / max(angle, 1e-9))), self._grip]
        )

    def _hand_yaw(self) -> float:
        """Direction along which the fingers close (rad about z)."""
        x = self._world.data.site_xmat[self._world.built.grip_site].reshape(3, 3)[:, 0]
        return math.atan2(x[1], x[0])

    def _grasp_yaw(self, item: str) -> float:
        """The direction along which to close the fingers on `item`, of the two equal ones the nearer to the hand's."""
        asset = self._world.asset(item)
        now = self._hand_yaw()
        x = self._world.rotation(item)[:, 0]
        own = math.atan2(x[1], x[0])
        if asset.drawer:
            wanted = own + asset.drawer.handle_yaw
        elif asset.grasp is None or asset.grasp.any_yaw:
            return now
        else:
            wanted = own + asset.grasp.yaw
        return now + (_turn(now, wanted) + math.pi / 2) % math.pi - math.pi / 2

    def _cruise_height(self, *involved: str) -> float:
        """Height at which nothing else on the table is in the way (m)."""
        world = self._world
        others = [
            world.position(id)[2] + asset.height for id, asset in world.built.assets.items() if id not in involved
        ]
        return max(others, default=0.0) + 0.03


def _turn(start: float, end: float) -> float:
    """The signed angle from one direction to another, in (-pi, pi]."""
    return math.remainder(end - start, math.tau)


def _rotation_to(quat: np.ndarray, yaw: float) -> np.ndarray:
    """Rotation vector (rad, world frame) from `quat` to the hand pointing down with its x axis along `yaw`."""
    wanted, inverse, relative, vector = np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(3)
    c, s = math.cos(yaw), math.sin(yaw)
    mujoco.mju_mat2Quat(wanted, np.array([c, s, 0, s, -c, 0, 0, 0, -1.0]))
    mujoco.mju_negQuat(inverse, quat)
    mujoco.mju_mulQuat(relative, wanted, inverse)
    mujoco.mju_quat2Vel(vector, relative, 1.0)
    return vector
