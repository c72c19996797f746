"""The scripted expert: it knows the true state and solves every task through the same actions that policies use.

It is the upper bound, the source of demonstrations, and the proof that a shifted scene can be solved at all. Each way
of reaching a condition is a generator of actions that reads from top to bottom; poses are looked up anew at every step,
so that the script follows things that move. How it moves is in oodbench/motion.py; its weaker relatives, which serve as
controls, are in policies/experts.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import partial

import numpy as np

from oodbench.exact import dot, norm
from oodbench.goal import Condition
from oodbench.motion import CAREFUL, CLOSE, FREE, OPEN, PATIENCE, PRECISE, PULLING, Mover, Script
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.registry import Registry
from oodbench.seeding import generator
from oodbench.sim.predicates import holds

FINGERTIP = 0.025  # room for the fingertips over the top of what they come down on (m)
HOVER = 0.09  # the gripper comes down from this far above a grasp (m)
FINGER = 0.013  # from the point between the fingertips to the front of the fingers (m)
GONE = 0.045  # an object that is this far aside of the descending hand is not where it was (m)
UPRIGHT = 0.7  # cosine of the tilt beyond which an object has fallen over
SLIPPED = 0.025  # a handle farther than this from the grip is lost (m)
HALF_SHUT, HOLD = 0.75, 0.0  # gripper commands: from open to 5 cm in one step; no change
LOW = 0.018  # height of the grip when the fingers push along the table (m)

# How each predicate is reached: a generator function of the Expert and of the predicate's arguments.
SCRIPTS: Registry[Callable[..., Script]] = Registry("expert script")


def expert_script(predicate: str) -> Callable[[Callable[..., Script]], Callable[..., Script]]:
    """Register the decorated generator function as the way to reach a predicate.

    It is called with the Expert and the predicate's arguments, yields actions, and may end before the predicate holds:
    it is called again then.

    Args:
        predicate: The name of the predicate.

    Raises:
        SpecError: There is a script for it.
    """
    return lambda script: SCRIPTS.add(predicate, script)


class Expert(Mover):
    """The scripted expert: it is handed the true state and solves every task; the upper bound.

    Raises UnknownNameError for a goal that it has no script for.
    """

    spec = PolicySpec(execute=1, privileged=True, cameras=())

    def reset(self, episode: EpisodeInfo) -> None:
        self.begin()
        self._script: Script = self._reach(self.goal(episode))

    def act(self, observation: Seen) -> np.ndarray:
        """One action, (1, 7)."""
        return next(self._script)[None]

    def goal(self, episode: EpisodeInfo) -> list[Condition]:
        """What to reach: the scene's goal; told nothing, something plausible."""
        scene = self.world.scene
        if not scene.instruction.informative:
            return self.guess(episode)
        return [Condition.parse(text, [item.id for item in scene.objects]) for text in scene.goal.success]

    def guess(self, episode: EpisodeInfo) -> list[Condition]:
        """The goal with each object replaced by one that could be meant: of the same kind, each as likely."""
        scene, assets = self.world.scene, self.world.built.assets
        rng = generator("guess", episode.seed)
        texts = scene.goal.success
        if scene.goal.options:
            texts = (scene.goal.options[rng.integers(len(scene.goal.options))],)
        chosen: dict[str, str] = {}
        guessed = []
        for condition in (Condition.parse(text, list(assets)) for text in texts):
            args: list[str | float] = []
            for arg in condition.args:
                if isinstance(arg, str) and arg not in chosen:
                    alike = [id for id, asset in assets.items() if asset.kind == assets[arg].kind]
                    free = [id for id in alike if id not in chosen.values()]
                    chosen[arg] = free[rng.integers(len(free))]
                args.append(chosen[arg] if isinstance(arg, str) else arg)
            guessed.append(Condition(condition.name, tuple(args)))
        return guessed

    def _reach(self, goal: list[Condition]) -> Script:
        """Reach the conditions in their order, and again when one is undone."""
        todo = [condition for condition in goal if condition.name != "untouched"]
        scripts = {condition.name: SCRIPTS.get(condition.name) for condition in todo}
        while True:
            missing = [condition for condition in todo if not holds(self.world, condition)]
            if not missing:
                yield self.stay()
                continue
            yield from scripts[missing[0].name](self, *missing[0].args)

    # --- scripts ---------------------------------------------------------------------------------------------------

    def _put_on(self, item: str, support: str) -> Script:
        area = self.world.asset(support).support
        assert area is not None, f"{support} has no support"
        top = partial(self._above, support, area.height)
        yield from self._place(item, top, (support,), lambda: self._holds("on", item, support))

    def _put_in(self, item: str, container: str) -> Script:
        cavity = self.world.asset(container).cavity
        assert cavity is not None, f"{container} has no inside"
        spot = partial(self._free_spot, item, container)
        yield from self._place(item, spot, (), lambda: self._holds("inside", item, container), drop=True)

    def _put_beside(self, item: str, anchor: str, x: float, y: float) -> Script:
        world = self.world
        apart = world.asset(item).radius + world.asset(anchor).radius + 0.02
        distance = min(max(apart, 0.10), 0.17)

        def spot() -> np.ndarray:
            return np.array([*(self.seen(anchor, world.center(anchor))[:2] + distance * np.array([x, y])), 0.0])

        yield from self._place(item, spot, (), lambda: self._holds("beside", item, anchor, x, y))

    def _place(
        self,
        item: str,
        spot: Callable[[], np.ndarray],
        involved: tuple[str, ...],
        done: Callable[[], bool],
        drop: bool = False,
    ) -> Script:
        """Pick `item` and let it go with its underside at `spot` (where things lie may change on the way)."""
        world = self.world
        if not (yield from self._pick(item)):
            return
        carried = world.grip_position - world.center(item)
        height = world.grip_position[2] - world.lowest_point(item)
        cruise = max(self._cruise_height(item, *involved), spot()[2] + 0.04) + height

        def over(z: float) -> np.ndarray:
            return np.array([*(spot()[:2] + carried[:2]), z])

        yaw = self.hand_yaw()
        lost = lambda: not world.touching_gripper(item)  # noqa: E731
        straight_up = np.array([*world.grip_position[:2], cruise])
        yield from self.go(partial(np.copy, straight_up), yaw, FREE, give_up=lost)
        yield from self.go(lambda: over(cruise), yaw, FREE, give_up=lost)
        if not drop or not done():
            yield from self.go(lambda: over(spot()[2] + height + 0.004), yaw, CAREFUL, PRECISE, give_up=lost)
        if lost():
            self.grip = OPEN
            yield from self._retreat()
            return
        yield from self._let_go(item)
        for _ in range(6):  # until it has come to rest
            if done():
                break
            yield self.stay()

    def _raise(self, item: str, height: float) -> Script:
        world = self.world
        if not (yield from self._pick(item)):
            return
        up = np.add(world.grip_position, (0, 0, height + 0.03))
        yield from self.go(lambda: up, self.hand_yaw(), CAREFUL, give_up=lambda: not world.held(item))
        while world.held(item) and self._holds("raised", item, height):
            yield self.toward(up, self.hand_yaw(), CAREFUL)

    def _push_to(self, item: str, zone: str) -> Script:
        """Cradle the puck between the half-open fingers from behind, and push it along the line to the zone.

        Half open, because wide open fingers wedge the puck between them by friction and carry it away.
        """
        world = self.world
        here = lambda: self.seen(item, world.center(item))[:2]  # noqa: E731
        there = lambda: self.seen(zone, world.position(zone))[:2]  # noqa: E731
        way = there() - here()
        way = way / max(norm(way), 1e-6)
        yaw = self.nearer_yaw(math.atan2(way[1], way[0]) + math.pi / 2)
        behind = world.asset(item).radius + FINGER + 0.03
        clear = self._cruise_height() + 0.02
        for self.grip in (OPEN, OPEN, HALF_SHUT, HOLD):
            yield self.stay()
        start = lambda z: np.array([*(here() - behind * way), z])  # noqa: E731
        yield from self._rise(clear)
        yield from self.go(lambda: start(clear), yaw, FREE)
        gone = lambda: self._aside_of(start(LOW)) > GONE  # noqa: E731
        yield from self.go(lambda: start(LOW), yaw, CAREFUL, give_up=gone)
        if gone():
            return
        sideways = np.array([-way[1], way[0]])
        contact = world.asset(item).radius + FINGER  # until it is known
        for _ in range(4 * PATIENCE):
            hand = world.grip_position[:2]
            if dot(there() - here(), way) < 0.004 or abs(dot(hand - here(), sideways)) > 0.035:
                break  # it is there, or it slipped out: begin anew
            if world.touching_gripper(item):
                contact = dot(here() - hand, way)
            rest = dot(there() - self.heading()[:2], way) - contact
            drift = dot(here() - there(), sideways)  # the fingers carry the puck along, so steer back to the line
            aside = np.clip(dot(here() - hand, sideways) - 0.8 * drift, -0.012, 0.012)
            ahead = self.heading()[:2] + np.clip(rest, -0.01, 0.02) * way
            goal = ahead + (dot(hand - ahead, sideways) + aside) * sideways
            yield self.toward(np.array([*goal, LOW]), yaw, PULLING)
        back = np.array([*(world.grip_position[:2] - 0.03 * way), LOW])
        yield from self.go(lambda: back, yaw, CAREFUL)
        yield from self._retreat()

    def _pull_open(self, cabinet: str, share: float) -> Script:
        world = self.world
        asset = world.asset(cabinet)
        assert asset.joint is not None, f"{cabinet} has no drawer"
        wanted, travel = min(1.0, share + 0.15), asset.joint.range
        if not (yield from self._pick(cabinet)):
            return
        yaw = self.hand_yaw()
        start = world.grip_position - world.grasp_point(cabinet)
        outward = -world.rotation(cabinet)[:, 0] * travel

        def pulled() -> np.ndarray:
            rest = max(0.0, wanted + 0.05 - world.joint(cabinet))
            return world.grasp_point(cabinet) + start + outward * rest

        done = lambda: world.joint(cabinet) >= wanted or world.grip_distance(cabinet) > SLIPPED  # noqa: E731
        yield from self.go(pulled, yaw, PULLING, give_up=done)
        yield from self._let_go(cabinet)

    def _push_shut(self, cabinet: str) -> Script:
        """Push the handle in with the closed fingers."""
        world = self.world
        inward = world.rotation(cabinet)[:, 0]
        handle = lambda: self.seen(cabinet, world.grasp_point(cabinet))  # noqa: E731
        before = lambda: handle() - (FINGER + 0.045) * inward  # noqa: E731
        yaw = self.nearer_yaw(math.atan2(inward[1], inward[0]) + math.pi / 2)
        self.grip = CLOSE
        clear = self._cruise_height() + 0.04
        yield from self._rise(clear)
        yield from self.go(lambda: np.array([*before()[:2], clear]), yaw, FREE)
        yield from self.go(before, yaw, FREE)
        shut = lambda: world.joint(cabinet) < 0.02  # noqa: E731
        yield from self.go(lambda: handle() + 0.03 * inward, yaw, PULLING, give_up=shut)
        back = world.grip_position - 0.05 * inward
        yield from self.go(lambda: back, yaw, FREE)
        yield from self._retreat()

    def _press(self, button: str, share: float) -> Script:
        world = self.world
        joint = world.asset(button).joint
        assert joint is not None, f"{button} is no button"
        handle = lambda: self.seen(button, world.grasp_point(button))  # noqa: E731
        self.grip = CLOSE
        yaw = self.hand_yaw()
        clear = self._cruise_height() + 0.02
        yield from self._rise(clear)
        yield from self.go(lambda: np.array([*handle()[:2], clear]), yaw, FREE)
        yield from self.go(lambda: np.add(handle(), (0, 0, 0.01)), yaw, CAREFUL)
        down = lambda: world.joint(button) >= min(1.0, share + 0.2)  # noqa: E731
        yield from self.go(lambda: np.subtract(handle(), (0, 0, 0.04)), yaw, CAREFUL, give_up=down)
        yield from self._retreat()

    def _turn(self, knob: str, share: float) -> Script:
        world = self.world
        joint = world.asset(knob).joint
        assert joint is not None, f"{knob} is no knob"
        if not (yield from self._pick(knob)):
            return
        start, wanted = self.hand_yaw(), min(1.0, share + 0.15)
        rest = (wanted - world.joint(knob)) * joint.range
        place = world.grip_position.copy()
        lost = lambda: world.joint(knob) >= wanted or world.grip_distance(knob) > SLIPPED  # noqa: E731
        yield from self.go(lambda: place, start + rest, PULLING, give_up=lost)
        yield from self._let_go(knob)

    def _pick(self, item: str) -> Generator[np.ndarray, None, bool]:
        """Take hold of `item`; the generator's value says whether it is held."""
        world = self.world
        yaw = self._grasp_yaw(item)
        grasp = lambda: self.seen(item, self._grasp_point(item))  # noqa: E731
        self.grip = OPEN
        clear = self._cruise_height(item) + 0.02
        top = world.position(item)[2] + world.asset(item).height + FINGERTIP
        above = lambda: np.add(grasp(), (0, 0, max(HOVER, clear - grasp()[2], top - grasp()[2])))  # noqa: E731
        if norm((world.grip_position - grasp())[:2]) > 0.03:
            yield from self._rise(clear)
        yield from self.go(above, yaw, FREE)
        gone = lambda: self._aside_of(grasp()) > GONE  # noqa: E731
        yield from self.go(grasp, yaw, CAREFUL, PRECISE, give_up=gone)
        if gone():  # it was moved away from under the hand, or fell over
            return False
        self.grip = CLOSE
        for _ in range(PATIENCE // 2):
            yield self.stay()
            if self._has(item):
                break
        for _ in range(2):  # let the grip firm up
            yield self.stay()
        if not self._has(item):
            self.grip = OPEN
            yield from self._retreat()
            return False
        return True

    def _has(self, item: str) -> bool:
        """Whether the gripper has `item`: both fingers touch it, or a handle is between them."""
        world = self.world
        caught = world.asset(item).joint is not None and world.grip_distance(item) < SLIPPED / 2
        return world.held(item) or (caught and world.touching_gripper(item))

    def _let_go(self, item: str) -> Script:
        self.grip = OPEN
        for _ in range(PATIENCE // 2):
            yield self.stay()
            if not self.world.touching_gripper(item):
                break
        yield from self._retreat()
        for _ in range(2):  # a finger that was pushed aside on its way up may hang on it: back over it, and up again
            if not self.world.touching_gripper(item):
                break
            over = np.array([*self._grasp_point(item)[:2], self.world.grip_position[2]])
            yield from self.go(partial(np.array, over), self.hand_yaw(), CAREFUL)
            yield from self._retreat()

    def _retreat(self) -> Script:
        above = np.add(self.world.grip_position, (0, 0, HOVER))
        yield from self.go(lambda: above, self.hand_yaw(), FREE)

    def _rise(self, clear: float) -> Script:
        """Straight up to a height at which nothing is in the way."""
        here = self.world.grip_position.copy()
        if here[2] < clear:
            yield from self.go(lambda: np.array([*here[:2], clear + 0.02]), self.hand_yaw(), FREE)

    # --- knowing ---------------------------------------------------------------------------------------------------

    def _holds(self, name: str, *args: str | float) -> bool:
        return holds(self.world, Condition(name, args))

    def _free_spot(self, item: str, container: str) -> np.ndarray:
        """Where to let `item` go over a container: in the middle, or to one side of what is in it or is to come."""
        world, cavity = self.world, self.world.asset(container).cavity
        assert cavity is not None
        spot = self._above(container, cavity.rim + 0.005)
        others = [id for id in world.scene.goal.manipulated if id != item]
        if others:
            there = np.mean([world.center(id) for id in others], axis=0)
            along = world.rotation(container)[:, 0]
            side = -math.copysign(1.0, dot(there - spot, along))
            spot = spot + 0.55 * cavity.radius * side * along
        return spot

    def _above(self, id: str, height: float) -> np.ndarray:
        """The point at `height` over the base of an object, above its middle."""
        world = self.world
        center = self.seen(id, world.center(id) if id in world.built.free else world.position(id))
        return np.array([*center[:2], world.position(id)[2] + height])

    def _aside_of(self, point: np.ndarray) -> float:
        """Horizontal distance of the hand from a point (m)."""
        return norm((self.world.grip_position - point)[:2])

    def _grasp_point(self, item: str) -> np.ndarray:
        """Where to take `item`; one that has fallen over, at its middle."""
        if not self._lies(item):
            return self.world.grasp_point(item)
        x, y, z = self.world.center(item)
        return np.array([x, y, max(z, LOW)])

    def _lies(self, item: str) -> bool:
        """Whether a free object has fallen over."""
        return item in self.world.built.free and self.world.rotation(item)[2, 2] < UPRIGHT

    def _grasp_yaw(self, item: str) -> float:
        """The direction along which to close the fingers on `item`: of the two equal ones the nearer to the hand's.

        A knob is taken so that the wrist has room for the turn.
        """
        world, asset = self.world, self.world.asset(item)
        x = world.rotation(item)[:, 0]
        own = math.atan2(x[1], x[0])
        if asset.joint and asset.joint.kind == "knob":
            way = asset.joint.range
            return self.nearer_yaw(own + world.joint(item) * way + asset.joint.handle_yaw, after=way / 2)
        if asset.joint:
            return self.nearer_yaw(own + asset.joint.handle_yaw)
        if self._lies(item):
            axis = world.rotation(item)[:, 2]
            return self.nearer_yaw(math.atan2(axis[1], axis[0]) + math.pi / 2)
        if asset.grasp is None or asset.grasp.any_yaw:
            return self.hand_yaw()
        return self.nearer_yaw(own + asset.grasp.yaw)

    def _cruise_height(self, *involved: str) -> float:
        """Height at which nothing else on the table is in the way (m)."""
        world = self.world
        others = [
            world.position(id)[2] + asset.height
            for id, asset in world.built.assets.items()
            if id not in involved and asset.kind != "prop"
        ]
        return max(others, default=0.0) + 0.03


_SHIPPED: dict[str, Callable[..., Script]] = {
    "on": Expert._put_on, "inside": Expert._put_in, "beside": Expert._put_beside, "raised": Expert._raise,
    "at": Expert._push_to, "opened": Expert._pull_open, "closed": Expert._push_shut, "pressed": Expert._press,
    "turned": Expert._turn,
}  # fmt: skip
for _predicate, _script in _SHIPPED.items():
    SCRIPTS.add(_predicate, _script)
