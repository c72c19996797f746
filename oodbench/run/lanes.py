"""Several episodes at once in one process: worlds that take turns, and a policy that is asked beside them.

The worlds are played by the calling thread, one chunk of actions at a time; OpenGL allows no other. The policy is asked
in a thread of its own, so that it thinks (on a GPU, or on a server) while worlds that have their actions go on. A
policy with `act_batch` is one instance that gets all the observations that wait for it; any other policy is made once a
lane, and asked one lane at a time, or, where it only waits for a server, all at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oodbench.policies.base import MAX_BATCH, PolicySpec, answers
from oodbench.policies.loading import LoadedPolicy, refuse_shared, spec_of
from oodbench.run.episode import Act, Answer, Reset, Rules, Turns, serve, turns
from oodbench.run.records import EpisodeRecord
from oodbench.run.trace import Tape, TraceWriter
from oodbench.sim.observation import Seen
from oodbench.sim.world import MODELS, World
from oodbench.suite import Episode, Suite


@dataclass
class _Lane:
    """A world, the policy that is asked for it, and what it is doing."""

    index: int
    world: World
    policy: Any
    episode: Turns | None = None
    tape: Tape | None = None
    turn: Reset | Act | None = None  # what the policy is to be asked, or is being asked
    answer: Answer | Exception | None = None


@dataclass
class Lanes:
    """Up to `count` episodes at once. Use as a context manager; it closes the policies.

    traces: a run folder that gets a trace of every episode. max_batch: observations in one call of a batched policy.
    """

    loaded: LoadedPolicy
    suite: Suite
    count: int
    real_time: bool = False
    traces: Path | None = None
    max_batch: int = MAX_BATCH
    _lanes: list[_Lane] = field(init=False)
    _asked: dict[Future[Any], list[_Lane]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        first = self.loaded.make()
        self.spec = spec_of(first)
        self.batched = callable(getattr(first, "act_batch", None)) and not self.spec.privileged
        policies = (
            [first] * self.count if self.batched else [first, *(self.loaded.make() for _ in range(self.count - 1))]
        )
        if not self.batched:
            refuse_shared(policies, self.loaded.uri)
        quality, models = self.suite.protocol.quality, max(4, MODELS // self.count)
        self._lanes = [_Lane(i, World(quality, models), policy) for i, policy in enumerate(policies)]
        waits = getattr(first, "remote", False) and not self.batched
        self._threads = ThreadPoolExecutor(self.count if waits else 1, "policy")
        self._name = type(first).__name__
        self._writer = TraceWriter(self.traces) if self.traces else None
        self.metadata: dict[str, Any] = getattr(first, "metadata", None) or {}

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, *exception: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._writer:
            self._writer.close()
        for policy in {id(lane.policy): lane.policy for lane in self._lanes}.values():
            with contextlib.suppress(Exception):
                getattr(policy, "close", lambda: None)()

    @property
    def world(self) -> World:
        """The first lane's."""
        return self._lanes[0].world

    def free(self) -> list[int]:
        """Indices of the lanes that have nothing to play."""
        return [lane.index for lane in self._lanes if lane.episode is None]

    def start(self, index: int, episode: Episode, film: Path | None) -> EpisodeRecord | None:
        """Begin an episode in a free lane. Returns the record if it is over at once (its scene cannot be made)."""
        lane = self._lanes[index]
        rules = Rules(self.suite.protocol.success, self.real_time)
        lane.tape = Tape() if self._writer else None
        lane.episode = turns(
            lane.world, self.spec, self._name, episode, self.suite, rules, film, session=index, tape=lane.tape
        )
        return self._go_on(lane)

    def advance(self, patience: float = 0.05) -> Iterator[tuple[int, EpisodeRecord]]:
        """Ask, wait at most `patience` seconds for answers when there is nothing else to do, and play what can be.

        Yields (lane, record) of the episodes that are over. Raises PolicyError as soon as the policy breaks its
        contract.
        """
        self._ask()
        self._hear(patience if not any(lane.answer for lane in self._lanes) else 0.0)
        for lane in self._lanes:
            if lane.answer is not None:
                record = self._go_on(lane)
                self._hear(0.0)
                self._ask()  # the policy should not rest while the other worlds are played
                if record is not None:
                    yield lane.index, record

    def _go_on(self, lane: _Lane) -> EpisodeRecord | None:
        """Play a lane until it needs the policy again, or is over."""
        assert lane.episode is not None
        answer, lane.answer, lane.turn = lane.answer, None, None
        try:
            if answer is None:
                lane.turn = next(lane.episode)
            elif isinstance(answer, Exception):
                lane.turn = lane.episode.throw(answer)
            else:
                lane.turn = lane.episode.send(answer)
        except StopIteration as stop:
            lane.episode = None
            if self._writer and lane.tape and not stop.value.error:
                self._writer.write(stop.value, lane.tape)
            return stop.value
        if isinstance(lane.turn, Act) and self.count > 1:
            try:
                lane.turn.observation.look()  # here, where OpenGL is
            except Exception as error:
                lane.answer = error
        return None

    def _ask(self) -> None:
        """Hand the policy what waits for it: one batch at a time, or, lane by lane, all of it."""
        asked = {lane.index for lanes in self._asked.values() for lane in lanes}
        waiting = [lane for lane in self._lanes if lane.turn and not lane.answer and lane.index not in asked]
        if not waiting or (self.batched and self._asked):
            return
        if self.batched:
            batch = waiting[: self.max_batch]
            self._submit(lambda: _serve_batch(batch, self.spec), batch)
        else:
            for lane in waiting:
                self._submit(lambda lane=lane: [_serve_one(lane, self.spec)], [lane])  # type: ignore[misc]

    def _submit(self, work: Callable[[], list[Answer | Exception]], lanes: list[_Lane]) -> None:
        if self.count > 1:
            self._asked[self._threads.submit(work)] = lanes
        else:  # no thread: the policy may render when it looks, and a debugger finds it where one expects it
            lanes[0].answer = work()[0]

    def _hear(self, patience: float) -> None:
        if not self._asked:
            return
        done, _ = wait(self._asked, timeout=patience, return_when=FIRST_COMPLETED)
        for future in done:
            for lane, answer in zip(self._asked.pop(future), future.result(), strict=True):
                lane.answer = answer


def _serve_one(lane: _Lane, spec: PolicySpec) -> Answer | Exception:
    assert lane.turn is not None
    try:
        return serve(lane.policy, lane.turn, spec)
    except Exception as error:
        return error


def _serve_batch(lanes: list[_Lane], spec: PolicySpec) -> list[Answer | Exception]:
    """Resets one by one, then all the observations in one call."""
    policy = lanes[0].policy
    said: dict[int, Answer | Exception] = {}
    observations: list[Seen] = []
    for lane in lanes:
        if isinstance(lane.turn, Act):
            observations.append(lane.turn.observation)
        else:
            said[lane.index] = _serve_one(lane, spec)
    if observations:
        asking = [lane for lane in lanes if isinstance(lane.turn, Act)]
        began = time.perf_counter()
        try:
            values = answers(policy, observations)
        except Exception as error:
            said |= {lane.index: error for lane in asking}
        else:
            seconds = time.perf_counter() - began
            said |= {lane.index: Answer(value, seconds) for lane, value in zip(asking, values, strict=True)}
    return [said[lane.index] for lane in lanes]
