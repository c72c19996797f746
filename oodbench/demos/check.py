"""Can the expert be learned from: whether it succeeds as a function of the state alone, and how smooth its labels are.

Each training scene is played clean and under the noise and kicks of demonstrations, by an expert that is made anew at
every control step, so that it can have remembered nothing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

from oodbench.demos.labels import label
from oodbench.demos.record import demo_scene, new_expert, play
from oodbench.demos.store import DemoPlan
from oodbench.exact import lengths
from oodbench.progress import Meter
from oodbench.sim.world import World
from oodbench.stats.rates import wilson
from oodbench.task import TASKS

JUMP = 0.25  # change of a component of the label, from one control step to the next, that counts as a jump
GRIP = 0.05  # change of the gripper's component from which on a frame is one of a gripper change
SETTLED = 0.95  # of the episodes under noise, at least
SMOOTH = 0.99  # of the frames outside gripper changes, at least


@dataclass(frozen=True)
class Episode:
    """One scene, played once.

    settled: whether the task was. steps: control steps. jumps: the largest change of a motion component of the label
    against the step before, of every frame outside gripper changes, (n,). added: how much noise moved the hand in
    between, as a share of the action range, (n,). failure: why it was not settled.
    """

    settled: bool
    steps: int
    jumps: np.ndarray
    added: np.ndarray
    failure: str | None


@dataclass(frozen=True)
class Tally:
    """All episodes of a task, clean or noisy.

    interval: of settled / episodes, Wilson, 95 %. steps: mean over what settled; None where nothing did. smooth: share
    of the frames outside gripper changes whose label changes by at most JUMP in every component. calm: the same of the
    frames before which noise moved the hand by no more than that either. worst: the largest change. failed: seeds that
    did not settle, with the reason.
    """

    episodes: int
    settled: int
    interval: tuple[float, float]
    steps: float | None
    frames: int
    smooth: float
    calm: float
    worst: float
    failed: dict[int, str]

    @classmethod
    def of(cls, episodes: dict[int, Episode]) -> Tally:
        """Of episodes by seed."""
        good = [episode.steps for episode in episodes.values() if episode.settled]
        jumps = np.concatenate([episode.jumps for episode in episodes.values()])
        calm = jumps[np.concatenate([episode.added for episode in episodes.values()]) <= JUMP]
        interval = wilson(len(good), len(episodes))
        return cls(
            episodes=len(episodes),
            settled=len(good),
            interval=(interval.low, interval.high),
            steps=float(np.mean(good)) if good else None,
            frames=len(jumps),
            smooth=float((jumps <= JUMP).mean()) if len(jumps) else 1.0,
            calm=float((calm <= JUMP).mean()) if len(calm) else 1.0,
            worst=float(jumps.max()) if len(jumps) else 0.0,
            failed={seed: str(episode.failure) for seed, episode in episodes.items() if not episode.settled},
        )


@dataclass(frozen=True)
class TaskCheck:
    """What was found of a task."""

    task: str
    clean: Tally
    noisy: Tally

    @property
    def complaints(self) -> list[str]:
        """Which bounds it misses, in words; none when it can be learned from."""
        found = []
        if self.noisy.settled < SETTLED * self.noisy.episodes:
            found.append(f"{self.noisy.settled} of {self.noisy.episodes} settle under noise, not {SETTLED:.0%}")
        for name, tally in (("clean", self.clean), ("under noise", self.noisy)):
            if tally.smooth < SMOOTH:
                found.append(f"labels are smooth in {tally.smooth:.1%} of frames ({name}), not {SMOOTH:.0%}")
        return found

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "passes": not self.complaints, "complaints": self.complaints}


def check(tasks: Sequence[str], episodes: int, workers: int = 2) -> list[TaskCheck]:
    """Play training scenes 0 .. episodes - 1 of each task, clean and under the noise of DemoPlan.

    Args:
        tasks: Names of tasks.
        episodes: Scenes of each.
        workers: Processes; 0 for this one.

    Returns:
        One for each task, in the given order.

    Raises:
        UnknownNameError: There is no such task.
    """
    for task in tasks:
        TASKS.get(task)
    jobs = [(task, seed) for task in tasks for seed in range(episodes)]
    clean: dict[str, dict[int, Episode]] = {task: {} for task in tasks}
    noisy: dict[str, dict[int, Episode]] = {task: {} for task in tasks}
    lost = 0
    with Meter("checking", len(jobs)) as meter:
        for (task, seed), (without, under) in zip(jobs, _played(jobs, workers), strict=True):
            clean[task][seed], noisy[task][seed] = without, under
            lost += (not without.settled) + (not under.settled)
            meter.advance(note=f"{task}, {lost} not settled")
    return [TaskCheck(task, Tally.of(clean[task]), Tally.of(noisy[task])) for task in tasks]


def play_forgetful(world: World, task: str, seed: int, plan: DemoPlan) -> Episode:
    """A training scene under the noise of `plan`, by an expert that is made anew at every control step."""
    world.reset(demo_scene(task, seed, 0.0))
    steps = list(play(world, task, seed, plan, lambda: label(new_expert(world, task, seed), world, 1)))
    labels = np.array([step.chunk[0] for step in steps])
    added = lengths(np.array([step.executed - step.chunk[0] for step in steps])[:-1, :3])
    changes = np.abs(np.diff(labels, axis=0))
    same = changes[:, 6] < GRIP
    return Episode(world.status.settled, world.steps, changes[same, :6].max(axis=1), added[same], world.status.failure)


Job = tuple[str, int]


def _played(jobs: Sequence[Job], workers: int) -> Iterator[tuple[Episode, Episode]]:
    if workers == 0:
        yield from map(_play, jobs)
        return
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(_play, jobs, chunksize=2)
        finally:
            pool.shutdown(cancel_futures=True)


@cache
def _world() -> World:
    """One a process."""
    return World("fast", models=1)


def _play(job: Job) -> tuple[Episode, Episode]:
    """Clean, and under noise."""
    task, seed = job
    plan = DemoPlan(tasks=(task,))
    clean = plan.model_copy(update={"noise": 0.0, "noise_near": 0.0, "kick": 0.0})
    return play_forgetful(_world(), task, seed, clean), play_forgetful(_world(), task, seed, plan)
