"""A policy that several clients share: one thread asks it, in batches where it takes batches."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from oodbench.errors import PolicyError
from oodbench.policies.base import MAX_BATCH, EpisodeInfo, answers, ask, numbers
from oodbench.policies.loading import LoadedPolicy, refuse_shared, spec_of
from oodbench.sim.observation import Snapshot

MAX_WAIT = 0.005  # seconds


@dataclass
class _Work:
    """Something to ask of the policy: EpisodeInfo (a reset) or Snapshot (actions); None ends the thread."""

    session: int
    content: EpisodeInfo | Snapshot | None
    result: Future[Any] = field(default_factory=Future)


class Hub:
    """Sessions of one policy. All methods may be called from any thread.

    max_batch: observations in one call of `act_batch`. max_wait: seconds that an observation waits for others; it waits
    for no one when all sessions are there. A policy without `act_batch` is made once a session. Raises PolicyError when
    the policy cannot be made, or is privileged.
    """

    def __init__(self, loaded: LoadedPolicy, max_batch: int = MAX_BATCH, max_wait: float = MAX_WAIT) -> None:
        self.loaded = loaded
        first = loaded.make()
        self.spec = spec_of(first)
        if self.spec.privileged:
            raise PolicyError(f"policy {loaded.uri} reads the simulator's state, which a server does not have")
        self.batched = callable(getattr(first, "act_batch", None))
        self.metadata = getattr(first, "metadata", None) or {}
        self._shared = first
        self._idle: list[Any] = [] if self.batched else [first]
        self._own: dict[int, Any] = {}
        self._numbers = itertools.count()
        self._open: set[int] = set()
        self._max_batch, self._max_wait = max_batch, max_wait
        self._queue: queue.Queue[_Work] = queue.Queue()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="policy", daemon=True)
        self._thread.start()

    def join(self) -> int:
        """A new session."""
        with self._lock:
            session = next(self._numbers)
            self._open.add(session)
        return session

    def leave(self, session: int) -> None:
        """The session is over; its policy can serve another."""
        with self._lock:
            self._open.discard(session)
            policy = self._own.pop(session, None)
            if policy is not None:
                self._idle.append(policy)

    def reset(self, session: int, episode: EpisodeInfo) -> None:
        """An episode begins in the session. Raises what the policy raises."""
        self._ask(_Work(session, replace(episode, session=session)))

    def act(self, session: int, observation: Snapshot) -> np.ndarray:
        """(n, 7) float64 in the policy's conventions. Raises what the policy raises, or PolicyError."""
        observation.session = session
        return numbers(self._ask(_Work(session, observation)), self.loaded.name)

    def close(self) -> None:
        self._queue.put(_Work(-1, None))
        self._thread.join(5)
        for policy in (self._shared, *self._own.values(), *self._idle):
            with contextlib.suppress(Exception):
                getattr(policy, "close", lambda: None)()

    def _ask(self, work: _Work) -> Any:
        self._queue.put(work)
        return work.result.result()

    def _run(self) -> None:
        while True:
            work = self._queue.get()
            if work.content is None:
                return
            if self.batched and isinstance(work.content, Snapshot):
                self._serve_batch(self._gather(work))
            else:
                self._serve(work)

    def _gather(self, first: _Work) -> list[_Work]:
        """The observations that are there, or come within the time that they may wait for each other."""
        batch, until = [first], time.monotonic() + self._max_wait
        while len(batch) < min(self._max_batch, len(self._open)):
            try:
                work = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                break
            if work.content is None:
                self._queue.put(work)
                break
            if isinstance(work.content, Snapshot):
                batch.append(work)
            else:
                self._serve(work)
        return batch

    def _serve(self, work: _Work) -> None:
        try:
            policy = self._policy(work.session)
            content = work.content
            value = ask(policy, content) if isinstance(content, Snapshot) else policy.reset(content)
        except BaseException as error:
            work.result.set_exception(error)
        else:
            work.result.set_result(value)

    def _serve_batch(self, batch: list[_Work]) -> None:
        try:
            values = answers(self._shared, [work.content for work in batch if isinstance(work.content, Snapshot)])
        except BaseException as error:
            for work in batch:
                work.result.set_exception(error)
        else:
            for work, value in zip(batch, values, strict=True):
                work.result.set_result(value)

    def _policy(self, session: int) -> Any:
        if self.batched:
            return self._shared
        with self._lock:
            if session not in self._own and self._idle:
                self._own[session] = self._idle.pop()
        if session not in self._own:
            policy = self.loaded.make()
            refuse_shared([*self._own.values(), policy], self.loaded.uri)
            self._own[session] = policy
        return self._own[session]
