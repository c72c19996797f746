"""How an episode stands: success in its three readings, stages, and why not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oodbench.goal import Condition
from oodbench.sim.predicates import test_of

if TYPE_CHECKING:
    from oodbench.sim.world import World

SETTLE_SECONDS = 0.25  # that a goal must hold, with everything at rest, to count as settled; in whole control steps
REST_SPEED = 0.03  # m/s; a drawer's opening speed likewise
DROP_HEIGHT = 0.04  # losing an object from higher than this is dropping it (m)


@dataclass(frozen=True)
class Status:
    """How the episode stands.

    final: the goal holds now. ever: it held at some step. settled: it holds, released and at rest for 0.25 s.
    stages: the step at which each was first reached. failure: why the episode would be a failure if it ended now.
    choice: of the goal's options, the one that holds now. habit: whether what the goal calls the habit holds now.
    """

    final: bool
    ever: bool
    settled: bool
    stages: dict[str, int | None]
    failure: str | None
    choice: str | None = None
    habit: bool | None = None


class Judge:
    """Watches one episode from its start to its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._goal = goal = world.scene.goal
        ids = list(world.built.assets)

        def test(text: str) -> Callable[[], bool]:
            return test_of(world, Condition.parse(text, ids))

        self._success = [test(text) for text in goal.success]
        self._habit = [test(text) for text in goal.habit]
        self._options = {text: test(text) for text in goal.options}
        self._stage_tests = {stage.name: test(stage.condition) for stage in goal.stages}
        self._stages: dict[str, int | None] = dict.fromkeys(self._stage_tests)
        self._held_height = dict.fromkeys(ids, 0.0)
        self._dropped = self._wrong_object = self._ever = self._holds = False
        self._rest = 0
        self._settle_steps = math.ceil(SETTLE_SECONDS * world.scene.timing.control_hz)
        self.update()

    def status(self) -> Status:
        settled = self._rest >= self._settle_steps
        return Status(
            final=self._holds,
            ever=self._ever,
            settled=settled,
            stages=dict(self._stages),
            failure=None if settled else self._failure(),
            choice=next((text for text, test in self._options.items() if test()), None),
            habit=all(test() for test in self._habit) if self._habit else None,
        )

    def update(self) -> None:
        """Look at the world after a control step."""
        for name, test in self._stage_tests.items():
            if self._stages[name] is None and test():
                self._stages[name] = self._world.steps
        self._holds = all(test() for test in self._success)
        self._ever = self._ever or self._holds
        self._rest = self._rest + 1 if self._holds and self._is_still() else 0
        self._note_mishaps(self._goal.manipulated)

    def _is_still(self) -> bool:
        """Whether all that is handled was let go and is at rest, where the goal asks for that."""
        world, goal = self._world, self._goal
        return not goal.released or all(
            not world.touching_gripper(id) and world.speed(id) < REST_SPEED for id in goal.manipulated
        )

    def _note_mishaps(self, handled: tuple[str, ...]) -> None:
        world = self._world
        for id in handled:
            if world.held(id):
                self._held_height[id] = world.lowest_point(id)
            elif self._held_height[id]:
                self._dropped = self._held_height[id] > DROP_HEIGHT and not self._holds
                self._held_height[id] = 0.0
        if not self._wrong_object:
            self._wrong_object = any(
                world.held(id) and world.lowest_point(id) > 0.02 for id in world.built.free if id not in handled
            )

    def _failure(self) -> str:
        """The first of these that applies; "stage names" are those of the task."""
        reached = [name for name, step in self._stages.items() if step is not None]
        if self._wrong_object and "moved" not in reached:
            return "wrong-object"
        if self._holds:
            return "not-released"
        if "moved" in reached:
            if any(self._world.touching_gripper(id) for id in self._goal.manipulated):
                return "timeout"
            return "dropped" if self._dropped else "wrong-place"
        if "reached" not in reached:
            return "never-reached"
        return "not-grasped" if "grasped" in self._stages and "grasped" not in reached else "not-moved"
