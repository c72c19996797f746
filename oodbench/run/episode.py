"""Playing one episode: the loop between a policy and the world, and the record of what came of it."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError, PolicyError
from oodbench.policies.base import EpisodeInfo, check_actions
from oodbench.policies.loading import describe, spec_of
from oodbench.run.records import EpisodeRecord
from oodbench.run.video import Film
from oodbench.scene import Scene
from oodbench.seeding import derive
from oodbench.sim.build import CONTROL_HZ
from oodbench.sim.world import Status, World
from oodbench.suite import Episode, SuccessReading, Suite


def play(world: World, policy: Any, episode: Episode, suite: Suite, *, film_path: Path | None = None) -> EpisodeRecord:
    """Play one episode of a suite.

    film_path: where to write a video. Whatever goes wrong in the policy or in the simulator is recorded as an error
    (success null), except that a policy which breaks its contract raises PolicyError: that is for its author to see.
    """
    base = EpisodeRecord(
        task=episode.task,
        shift=episode.shift.name,
        severity=episode.shift.severity,
        seed=episode.seed,
        axis=episode.shift.axis,
    )
    try:
        scene = episode.scene(suite)
    except OodbenchError:
        raise
    except Exception as error:
        return base.model_copy(update={"error": describe(error)})
    return play_scene(world, policy, scene, suite.protocol.success, base, film_path=film_path)


def play_scene(
    world: World,
    policy: Any,
    scene: Scene,
    reading: SuccessReading,
    base: EpisodeRecord,
    *,
    film_path: Path | None = None,
) -> EpisodeRecord:
    """Play `scene`, and fill in `base` with what came of it."""
    base = base.model_copy(update={"scene_sha256": scene.sha256, "instruction": scene.instruction.text})
    clock = _Clock()
    film = Film(film_path) if film_path else None
    try:
        status = _loop(world, policy, scene, reading, clock, film)
    except PolicyError:
        raise
    except Exception as error:
        steps = world.steps if world.moment else 0
        return base.model_copy(update={"error": describe(error), "steps": steps, **clock.times()})
    notes: dict[str, Any] = {}
    if film:
        notes["video"] = film.close(success=_success(status, reading))
    return base.model_copy(
        update={
            "success": _success(status, reading),
            "final": status.final,
            "ever": status.ever,
            "settled": status.settled,
            "stages": status.stages,
            "choice": status.choice,
            "habit": status.habit,
            "failure": None if _success(status, reading) else status.failure,
            "steps": world.steps,
            "outcome_sha256": world.outcome_sha256(),
            **clock.times(),
            **notes,
        }
    )


def _loop(world: World, policy: Any, scene: Scene, reading: SuccessReading, clock: _Clock, film: Film | None) -> Status:
    spec = spec_of(policy)
    key = scene.key
    info = EpisodeInfo(
        task=key.task,
        instruction=scene.instruction.text,
        seed=derive(key.namespace, key.task, key.seed, "policy") >> 65,
        horizon=scene.timing.horizon,
        control_hz=CONTROL_HZ,
    )
    name = type(policy).__name__
    world.reset(scene)
    if spec.privileged:
        policy.bind(world)
    with clock.policy():
        policy.reset(info)
    queue: deque[np.ndarray] = deque()
    while world.steps < scene.timing.horizon:
        if film:
            film.shoot(world)
        if not queue:
            with clock.policy():
                actions = policy.act(world.observation(spec.image_size))
            queue.extend(check_actions(_numpy(actions), name)[: spec.execute])
        with clock.sim():
            world.step(queue.popleft())
        status = world.status
        if (reading == "settled" and status.settled) or (reading == "ever" and status.ever):
            break
    if film:
        film.shoot(world, last=True)
    return world.status


def _success(status: Status, reading: SuccessReading) -> bool:
    return bool(getattr(status, reading))


def _numpy(actions: Any) -> Any:
    """Torch tensors, wherever they live, as arrays; everything else as it is."""
    if hasattr(actions, "detach") and hasattr(actions, "cpu"):
        return actions.detach().cpu().float().numpy()
    return actions


class _Clock:
    """Where an episode's wall time goes. Rendering is asked for inside the policy's act, and counted there."""

    def __init__(self) -> None:
        self._seconds = {"policy": 0.0, "sim": 0.0}

    def policy(self) -> _Span:
        return _Span(self._seconds, "policy")

    def sim(self) -> _Span:
        return _Span(self._seconds, "sim")

    def times(self) -> dict[str, float]:
        return {f"{name}_seconds": round(value, 4) for name, value in self._seconds.items()}


class _Span:
    def __init__(self, seconds: dict[str, float], name: str) -> None:
        self._seconds, self._name = seconds, name

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self._seconds[self._name] += time.perf_counter() - self._start
