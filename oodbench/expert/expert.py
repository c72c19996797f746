"""The scripted expert: it knows the true state and solves every task through the same actions that policies use.

It is the upper bound, the teacher of demonstrations, and the proof that a shifted scene can be solved at all. It is a
function of the state: it remembers nothing, so that one who sees the state can learn it, and it can be asked in any
state that a learner or a push has brought about. How each goal is reached is in the modules beside this one; its
weaker relatives, which serve as controls, are in policies/experts.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from oodbench.exact import norm
from oodbench.expert.hand import OPEN, Hand
from oodbench.goal import Condition
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo, PolicySpec
from oodbench.registry import Registry
from oodbench.seeding import generator
from oodbench.sim import rotations
from oodbench.sim.predicates import holds

UPRIGHT = 0.7  # cosine of the tilt beyond which an object has fallen over
LOW = 0.018  # height of the grip over what lies flat (m)
LOST = -0.05  # what is lower than this is out of reach (m)
CROWDED = 0.065  # from the middle between open fingers to the outside of one, and some (m)
ROOM = 0.03  # between what is carried and the highest thing under it (m)

Skill = Callable[..., np.ndarray]

# How each predicate is reached: a function of the Expert and of the predicate's arguments to an action, (7,).
SKILLS: Registry[Skill] = Registry("expert skill")


def skill(predicate: str) -> Callable[[Skill], Skill]:
    """Register the decorated function as the way to reach a predicate.

    It is called with the Expert and the predicate's arguments at every control step at which the predicate is the first
    of the goal that does not hold, or at which the goal holds and it is the last: then it lets go, leaves, and rests.
    It returns the action, (7,), and keeps nothing from one call to the next.

    Args:
        predicate: The name of the predicate.

    Raises:
        SpecError: There is a skill for it.
    """
    return lambda function: SKILLS.add(predicate, function)


class Expert(Hand):
    """The scripted expert: it is handed the true state and solves every task; the upper bound.

    Raises UnknownNameError for a goal that it has no skill for.
    """

    spec = PolicySpec(execute=1, privileged=True, cameras=())

    def reset(self, episode: EpisodeInfo) -> None:
        goal = [condition for condition in self.goal(episode) if condition.name != "untouched"]
        self._todo = [(condition, SKILLS.get(condition.name)) for condition in goal]

    def act(self, observation: Seen) -> np.ndarray:
        """One action, (1, 7)."""
        return self.action()[None]

    def action(self) -> np.ndarray:
        """What to do in the present state, (7,)."""
        missing = next((i for i, (condition, _) in enumerate(self._todo) if not holds(self.world, condition)), None)
        for index, (condition, function) in enumerate(self._todo):
            left = missing is None and index == len(self._todo) - 1  # what was done last is left, however far that goes
            if index == missing or self.world.held(str(condition.args[0])) or left:
                return self.stay() if self._lost(str(condition.args[0])) else function(self, *condition.args)
        return self.stay()

    def _lost(self, item: str) -> bool:
        """Whether `item` fell off the table."""
        return bool(self.world.position(item)[2] < LOST)

    def stay(self) -> np.ndarray:
        """Rest, with the gripper open."""
        return np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, OPEN])

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

    # --- knowing ---------------------------------------------------------------------------------------------------

    def seen(self, id: str, point: np.ndarray) -> np.ndarray:
        """Where a point of object `id` seems to be; here, where it is."""
        return point

    def holds(self, name: str, *args: str | float) -> bool:
        """Whether a predicate holds now."""
        return holds(self.world, Condition(name, args))

    def above(self, id: str, height: float) -> np.ndarray:
        """The point at `height` over the base of an object, above its middle, (3,)."""
        world = self.world
        center = self.seen(id, world.center(id) if id in world.built.free else world.position(id))
        return np.array([*center[:2], world.position(id)[2] + height])

    def lies(self, item: str) -> bool:
        """Whether a free object has fallen over."""
        return item in self.world.built.free and self.world.rotation(item)[2, 2] < UPRIGHT

    def grasp_point(self, item: str) -> np.ndarray:
        """Where to take `item`, as it seems (m, world frame), (3,); one that has fallen over, at its middle."""
        if not self.lies(item):
            return self.seen(item, self.world.grasp_point(item))
        x, y, z = self.seen(item, self.world.center(item))
        return np.array([x, y, max(z, LOW)])

    def grasp_yaw(self, item: str) -> float:
        """The direction along which to close the fingers on `item`; what is round is taken as the hand is."""
        world, asset = self.world, self.world.asset(item)
        x = world.rotation(item)[:, 0]
        own = math.atan2(x[1], x[0])
        if asset.joint:
            return self.equal_yaw(own + asset.joint.handle_yaw)
        if self.lies(item):
            return self.equal_yaw(self._narrowest(item))
        if asset.grasp is None or asset.grasp.any_yaw:
            beside = self._crowded_by(item)
            return self.yaw() if beside is None else self.equal_yaw(beside + math.pi / 2)
        return self.equal_yaw(own + asset.grasp.yaw)

    def _crowded_by(self, item: str) -> float | None:
        """Direction (rad about z) to something that is so close to `item` that an open finger finds no room there."""
        world = self.world
        for other, asset in world.built.assets.items():
            way = world.position(other) - world.position(item)
            if other != item and asset.kind != "prop" and norm(way[:2]) - asset.radius < CROWDED:
                return math.atan2(way[1], way[0])
        return None

    def _narrowest(self, item: str) -> float:
        """The direction (rad about z) in which what has fallen over is narrowest, of its axes that lie flat enough."""
        world = self.world
        corners, axes = world.built.corners[item], world.rotation(item)
        extents = corners.max(axis=0) - corners.min(axis=0)
        flat = [i for i in range(3) if abs(axes[2, i]) < UPRIGHT]
        axis = axes[:, min(flat, key=lambda i: extents[i])]
        return math.atan2(axis[1], axis[0])

    def highest_point(self, item: str) -> float:
        """The greatest height of the object's collision shape (m)."""
        heights = rotations.applied(self.world.built.corners[item], self.world.rotation(item)[2])
        return float(self.world.position(item)[2] + heights.max())

    def clear_height(self, *involved: str) -> float:
        """Height over which nothing else on the table is in the way (m)."""
        world = self.world
        others = [
            world.position(id)[2] + asset.height
            for id, asset in world.built.assets.items()
            if id not in involved and asset.kind != "prop"
        ]
        return max(others, default=0.0) + ROOM

    def aside_of(self, point: np.ndarray) -> float:
        """Horizontal distance of the hand from a point (m)."""
        return norm((self.world.grip_position - point)[:2])
