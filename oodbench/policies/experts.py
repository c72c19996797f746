"""Controls made of the expert: each lacks one thing, so that a score can be read against what that thing is worth."""

from __future__ import annotations

from collections import deque

import numpy as np

from oodbench.expert import Expert
from oodbench.goal import Condition
from oodbench.observation import Seen
from oodbench.policies.base import ACTION_SIZE, EpisodeInfo, PolicySpec
from oodbench.seeding import generator, normal

NOISE = 0.0095  # standard deviation of where things seem to be (m), along x and y
PACE, REACTION = 0.45, 10  # of the slow expert: share of the usual speeds, control steps until it reacts
CHUNK = 8
DEMO_SEED = 0


class BlindExpert(Expert):
    """The expert without language: of the things that could be meant, it takes any."""

    def goal(self, episode: EpisodeInfo) -> list[Condition]:
        return self.guess(episode)


class NoisyExpert(Expert):
    """The expert with noisy perception: every object seems to be a centimetre or so from where it is.

    sigma: standard deviation along x and y (m). corrupted_only: only while the cameras' pictures are corrupted, so that
    it is known under which shifts it is worse than the expert, and under which it does the same.
    """

    def __init__(self, sigma: float = NOISE, corrupted_only: bool = False) -> None:
        super().__init__()
        self.sigma, self.corrupted_only = sigma, corrupted_only

    def reset(self, episode: EpisodeInfo) -> None:
        self._scene = self.world.scene.sha256  # another error in every scene, shifted ones of one seed too
        self._offsets: dict[str, np.ndarray] = {}
        clear = self.corrupted_only and not self.world.scene.sensors.corruptions
        self._sigma = 0.0 if clear else self.sigma
        super().reset(episode)

    def seen(self, id: str, point: np.ndarray) -> np.ndarray:
        if id not in self._offsets:
            self._offsets[id] = self._sigma * np.append(normal(generator("noisy", self._scene, id), 2), 0.0)
        return point + self._offsets[id]


class SlowExpert(Expert):
    """The expert with slow reactions: less than half the speed, and what it does is half a second late.

    It acts on what was there REACTION control steps ago, with what it had decided to do since counted as done, as the
    expert does with actions that latency holds up. Of all else that happens meanwhile it knows nothing.
    """

    pace = PACE

    def reset(self, episode: EpisodeInfo) -> None:
        super().reset(episode)
        self._decided = deque(np.zeros((REACTION, ACTION_SIZE)))

    def act(self, observation: Seen) -> np.ndarray:
        """One action, (1, 7)."""
        self._decided.append(self.action())
        return self._decided.popleft()[None]

    def pending(self) -> np.ndarray:
        """What it has decided, and what latency holds up besides, (n, 7)."""
        return np.concatenate([super().pending(), self._decided])


class DemoReplay:
    """Plays one training demonstration of the task, whatever it sees: what memory alone is worth."""

    spec = PolicySpec(execute=CHUNK, cameras=())
    _demos: dict[str, np.ndarray] = {}

    def reset(self, episode: EpisodeInfo) -> None:
        if episode.task not in self._demos:
            self._demos[episode.task] = demonstration(episode.task, DEMO_SEED)
        self._actions = self._demos[episode.task]
        self._next = 0

    def act(self, observation: Seen) -> np.ndarray:
        chunk = np.zeros((CHUNK, ACTION_SIZE))
        rest = self._actions[self._next : self._next + CHUNK]
        chunk[: len(rest)] = rest
        if not len(rest):
            chunk[:, 6] = self._actions[-1, 6]
        self._next += CHUNK
        return chunk


def demonstration(task: str, seed: int) -> np.ndarray:
    """The expert's actions, (n, 7), in the training scene of `seed`, without noise."""
    from oodbench.demos.labels import label
    from oodbench.demos.record import demo_scene, new_expert, play
    from oodbench.demos.store import DemoPlan
    from oodbench.sim.world import World

    world, plan = World("fast"), DemoPlan(tasks=(task,), noise=0.0, noise_near=0.0, kick=0.0, light=0.0)
    world.reset(demo_scene(task, seed, plan.light))
    expert = new_expert(world, task, seed)
    return np.array([step.executed for step in play(world, task, seed, plan, lambda: label(expert, world, 1))])
