"""Playing one episode: the turns between a policy and the world, and the record of what came of it.

An episode is a generator (`turns`): it plays the world until the policy is needed and yields what the policy is to be
asked. Who drives it decides where the policy runs: `play` asks in place, run/lanes.py for several episodes at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError, PolicyError
from oodbench.policies.base import ACTION_SIZE, EpisodeInfo, PolicySpec, ask
from oodbench.policies.conventions import observe, to_actions
from oodbench.policies.loading import describe, spec_of
from oodbench.run.records import EpisodeRecord
from oodbench.run.trace import Tape
from oodbench.run.video import Film
from oodbench.scene import Scene
from oodbench.seeding import derive
from oodbench.sim.build import CONTROL_HZ
from oodbench.sim.observation import Seen
from oodbench.sim.world import Status, World
from oodbench.suite import Episode, SuccessReading, Suite


@dataclass(frozen=True)
class Reset:
    """The policy is to be told that an episode begins; `world` is for privileged ones."""

    info: EpisodeInfo
    world: World


@dataclass(frozen=True)
class Act:
    """The policy is to be asked for actions."""

    observation: Seen


@dataclass(frozen=True)
class Answer:
    """What the policy said, and how long that took (seconds)."""

    value: Any
    seconds: float


Turns = Generator[Reset | Act, Answer, EpisodeRecord]


@dataclass(frozen=True)
class Rules:
    """How an episode is played, beside its scene.

    real_time: the world does not wait for the policy; see `_wait`.
    """

    success: SuccessReading = "settled"
    real_time: bool = False


def play(
    world: World,
    policy: Any,
    episode: Episode,
    suite: Suite,
    *,
    film_path: Path | None = None,
    real_time: bool = False,
    tape: Tape | None = None,
) -> EpisodeRecord:
    """Play one episode of a suite.

    film_path: where to write a video. tape: filled with what was done. Whatever goes wrong in the policy or in the
    simulator is recorded as an error (success null), except that a policy which breaks its contract raises PolicyError:
    that is for its author to see.
    """
    rules = Rules(suite.protocol.success, real_time)
    name = type(policy).__name__
    return _drive(turns(world, spec_of(policy), name, episode, suite, rules, film_path, tape=tape), policy)


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
    name, rules = type(policy).__name__, Rules(reading)
    return _drive(scene_turns(world, spec_of(policy), name, scene, rules, base, film_path), policy)


def serve(policy: Any, turn: Reset | Act, spec: PolicySpec) -> Answer:
    """Ask a policy what an episode wants to know, and time it."""
    began = time.perf_counter()
    if isinstance(turn, Reset):
        if spec.privileged:
            policy.bind(turn.world)
        value = policy.reset(turn.info)
    else:
        value = ask(policy, turn.observation)
    return Answer(value, time.perf_counter() - began)


def _drive(episode: Turns, policy: Any) -> EpisodeRecord:
    spec = spec_of(policy)
    try:
        turn = next(episode)
        while True:
            try:
                answer = serve(policy, turn, spec)
            except Exception as error:
                turn = episode.throw(error)
            else:
                turn = episode.send(answer)
    except StopIteration as stop:
        return stop.value


def turns(
    world: World,
    spec: PolicySpec,
    name: str,
    episode: Episode,
    suite: Suite,
    rules: Rules,
    film_path: Path | None = None,
    session: int = 0,
    tape: Tape | None = None,
) -> Turns:
    """The turns of an episode of a suite. What the policy raises is to be thrown into the generator."""
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
    return (yield from scene_turns(world, spec, name, scene, rules, base, film_path, session, tape))


def scene_turns(
    world: World,
    spec: PolicySpec,
    name: str,
    scene: Scene,
    rules: Rules,
    base: EpisodeRecord,
    film_path: Path | None = None,
    session: int = 0,
    tape: Tape | None = None,
) -> Turns:
    """The turns of an episode in `scene`; the record is `base`, filled in."""
    base = base.model_copy(update={"scene_sha256": scene.sha256, "instruction": scene.instruction.text})
    clock = _Clock()
    film = Film(film_path) if film_path else None
    try:
        status = yield from _loop(world, spec, name, scene, rules, clock, film, session, tape)
    except PolicyError:
        raise
    except Exception as error:
        steps = world.steps if world.moment else 0
        return base.model_copy(update={"error": describe(error), "steps": steps, **clock.times()})
    notes: dict[str, Any] = {}
    success = bool(getattr(status, rules.success))
    if film:
        notes["video"] = film.close(success=success)
    if rules.real_time:
        notes["waited"] = clock.waited
    return base.model_copy(
        update={
            "success": success,
            "final": status.final,
            "ever": status.ever,
            "settled": status.settled,
            "stages": status.stages,
            "choice": status.choice,
            "habit": status.habit,
            "failure": None if success else status.failure,
            "steps": world.steps,
            "outcome_sha256": world.outcome_sha256(),
            **clock.times(),
            **notes,
        }
    )


def _loop(
    world: World,
    spec: PolicySpec,
    name: str,
    scene: Scene,
    rules: Rules,
    clock: _Clock,
    film: Film | None,
    session: int,
    tape: Tape | None,
) -> Generator[Reset | Act, Answer, Status]:
    key = scene.key
    info = EpisodeInfo(
        task=key.task,
        instruction=scene.instruction.text,
        seed=derive(key.namespace, key.task, key.seed, "policy") >> 65,
        horizon=scene.timing.horizon,
        control_hz=CONTROL_HZ,
        session=session,
    )
    world.reset(scene)
    clock.answered((yield Reset(info, world)))
    queue: deque[np.ndarray] = deque()
    gripper = 0.0  # of the last action; before the first one the fingers stay as they are
    while world.steps < scene.timing.horizon:
        if film:
            film.shoot(world)
        if not queue:
            answer = yield Act(observe(world, spec, session))
            clock.answered(answer)
            queue.extend(to_actions(answer.value, spec, name))
            if rules.real_time:
                late = min(int(answer.seconds * CONTROL_HZ), scene.timing.horizon - world.steps)
                queue.extendleft([_hold(gripper)] * late)
                clock.waited += late
        with clock.sim():
            action = queue.popleft()
            gripper = float(action[6])
            world.step(action)
        if tape is not None:
            tape.step(action, world)
        status = world.status
        if (rules.success == "settled" and status.settled) or (rules.success == "ever" and status.ever):
            break
    if film:
        film.shoot(world, last=True)
    if tape is not None:
        tape.end(world)
    return world.status


def _hold(gripper: float) -> np.ndarray:
    """What the robot does in real time while the policy thinks: it stays, and holds what it holds."""
    action = np.zeros(ACTION_SIZE)
    action[6] = gripper
    return action


class _Clock:
    """Where an episode's wall time goes. Rendering is asked for inside the policy's act, and counted there."""

    def __init__(self) -> None:
        self._policy = self._sim = self._slowest = 0.0
        self.waited = 0  # control steps that passed while the policy thought, in real time

    def answered(self, answer: Answer) -> None:
        self._policy += answer.seconds
        self._slowest = max(self._slowest, answer.seconds)

    def sim(self) -> _Span:
        return _Span(self)

    def add(self, seconds: float) -> None:
        self._sim += seconds

    def times(self) -> dict[str, float]:
        return {
            "policy_seconds": round(self._policy, 4),
            "slowest_answer": round(self._slowest, 4),
            "sim_seconds": round(self._sim, 4),
        }


class _Span:
    def __init__(self, clock: _Clock) -> None:
        self._clock = clock

    def __enter__(self) -> None:
        self._start = time.perf_counter()

    def __exit__(self, *exception: object) -> None:
        self._clock.add(time.perf_counter() - self._start)
