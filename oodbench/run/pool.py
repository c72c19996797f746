"""A small pool of worker processes that survives its workers, which are replaced when they die or hang."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from oodbench.errors import OodbenchError
from oodbench.policies.base import PolicySpec
from oodbench.policies.loading import load_policy
from oodbench.redact import redacted
from oodbench.run.lanes import Lanes
from oodbench.run.records import EpisodeRecord
from oodbench.suite import Episode, Suite

ATTEMPTS = 2  # an episode that ends in an error is played once more
START_SECONDS = 300.0  # for a worker to import, load its policy and say that it is ready
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """An episode to play, and where to film it (or not)."""

    episode: Episode
    film: Path | None = None


@dataclass(frozen=True)
class Setup:
    """What a worker needs to begin.

    envs: episodes that a worker plays at once. real_time: see run/episode.py. traces: see run/trace.py.
    """

    policy_uri: str
    suite: Suite
    envs: int = 1
    real_time: bool = False
    traces: Path | None = None


@dataclass(frozen=True)
class Facts:
    """What a worker finds when it begins: the OpenGL that draws, and what the policy declares and says of itself."""

    gl: dict[str, str]
    spec: PolicySpec
    metadata: dict[str, Any]


class WorkerError(OodbenchError):
    """A worker could not begin, or a policy broke its contract; the message is the user's to act on."""


def play_all(
    setup: Setup, jobs: Sequence[Job], workers: int, timeout: float, hear: Callable[[Facts], None]
) -> Iterator[EpisodeRecord]:
    """Play the jobs in `workers` processes (0: in this one) and yield records as they come.

    timeout: seconds an episode may take. An episode whose worker dies or hangs, or that ends in an error, is played
    once more. hear: told what each worker finds when it begins. Raises WorkerError when the policy cannot be loaded or
    breaks its contract. Closing the iterator ends the workers.
    """
    if workers == 0:
        yield from _play_here(setup, jobs, hear)
        return
    pool = _Pool(setup, min(workers, max(1, len(jobs))), timeout, hear)
    try:
        yield from pool.run(jobs)
    finally:
        pool.close()


@dataclass
class _Task:
    """An episode that a worker plays in one of its lanes."""

    job: Job
    attempt: int
    deadline: float


class _Worker:
    """One process, its pipe, and what it is doing."""

    def __init__(self, setup: Setup, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup), daemon=True)
        with _threads(threads):
            self.process.start()
        theirs.close()
        self.tasks: dict[int, _Task] = {}  # by lane
        self.free = list(range(setup.envs))
        self.ready = False
        self._started = time.monotonic()

    def give(self, job: Job, attempt: int, timeout: float) -> None:
        lane = self.free.pop(0)
        self.tasks[lane] = _Task(job, attempt, time.monotonic() + timeout)
        with contextlib.suppress(OSError):  # it is gone: _collect will see
            self.pipe.send((lane, job))

    def take(self, lane: int) -> _Task:
        self.free.append(lane)
        return self.tasks.pop(lane)

    @property
    def deadline(self) -> float:
        if not self.ready:
            return self._started + START_SECONDS
        return min((task.deadline for task in self.tasks.values()), default=math.inf)

    def kill(self) -> None:
        self.pipe.close()
        self.process.kill()
        self.process.join()


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Processes started meanwhile use `count` threads, unless the user said otherwise: workers share the cores."""
    mine = {name: str(count) for name in THREADS if name not in os.environ}
    os.environ.update(mine)
    try:
        yield
    finally:
        for name in mine:
            del os.environ[name]


class _Pool:
    def __init__(self, setup: Setup, count: int, timeout: float, hear: Callable[[Facts], None]) -> None:
        self._setup, self._timeout, self._hear = setup, timeout, hear
        self._threads = max(1, (os.cpu_count() or 1) // count)
        self._workers = [_Worker(setup, self._threads) for _ in range(count)]
        self._queue: deque[tuple[Job, int]] = deque()

    def run(self, jobs: Sequence[Job]) -> Iterator[EpisodeRecord]:
        self._queue.extend((job, 1) for job in jobs)
        left = len(jobs)
        while left:
            self._hand_out()
            for record in self._collect():
                left -= 1
                yield record

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()

    def _hand_out(self) -> None:
        """Give every free lane an episode, the emptiest worker first."""
        while self._queue:
            ready = [worker for worker in self._workers if worker.ready and worker.free]
            if not ready:
                return
            min(ready, key=lambda worker: len(worker.tasks)).give(*self._queue.popleft(), self._timeout)

    def _collect(self) -> list[EpisodeRecord]:
        """Wait until something happens, and return the episodes that are over."""
        busy = [worker for worker in self._workers if worker.tasks or not worker.ready]
        next_deadline = min(worker.deadline for worker in busy)
        patience = max(0.0, next_deadline - time.monotonic())
        happened = wait([worker.pipe for worker in busy] + [worker.process.sentinel for worker in busy], patience)
        finished: list[EpisodeRecord] = []
        for worker in busy:
            if worker.pipe in happened:
                finished += self._receive(worker)
            elif worker.process.sentinel in happened:
                finished += self._replace(worker, _death(worker))
            elif time.monotonic() > worker.deadline:
                late = f"stopped after {self._timeout:g} s without finishing (--episode-timeout)"
                finished += self._replace(worker, late, stuck=time.monotonic())
        return finished

    def _receive(self, worker: _Worker) -> list[EpisodeRecord]:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionError):
            return self._replace(worker, _death(worker))
        if kind == "fatal":
            raise WorkerError(content)
        if kind == "ready":
            worker.ready = True
            self._hear(content)
            return []
        lane, record = content
        return self._settle(worker.take(lane), record)

    def _replace(self, worker: _Worker, reason: str, stuck: float | None = None) -> list[EpisodeRecord]:
        """Put a new worker in the place of a dead or hanging one.

        stuck: now, when the worker hangs: the episodes of it that still have time are played again at no cost.
        """
        worker.kill()
        if not worker.ready:
            uri = redacted(self._setup.policy_uri)
            raise WorkerError(f"policy {uri}: its worker process could not start: {reason}")
        self._workers[self._workers.index(worker)] = _Worker(self._setup, self._threads)
        finished = []
        for task in worker.tasks.values():
            if stuck is not None and task.deadline > stuck:
                self._queue.appendleft((task.job, task.attempt))
            else:
                finished += self._settle(task, blank_record(task.job.episode, f"worker {reason}"))
        return finished

    def _settle(self, task: _Task, record: EpisodeRecord) -> list[EpisodeRecord]:
        """The final record, or none when the episode goes back into the queue."""
        if record.error and task.attempt < ATTEMPTS:
            self._queue.appendleft((task.job, task.attempt + 1))
            return []
        return [record.model_copy(update={"attempts": task.attempt})]


def blank_record(episode: Episode, error: str) -> EpisodeRecord:
    """The record of an episode of which nothing is left but why."""
    task, shift, severity, seed = episode.key
    return EpisodeRecord(
        task=task,
        shift=shift,
        severity=severity,
        seed=seed,
        axis=episode.shift.axis,
        error=error,
    )


def _death(worker: _Worker) -> str:
    """How a worker that is gone went."""
    worker.process.join(10)  # its pipe closes a moment before its exit code is there
    code = worker.process.exitcode
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exited with code {code}"


def _play_here(setup: Setup, jobs: Sequence[Job], hear: Callable[[Facts], None]) -> Iterator[EpisodeRecord]:
    queue = deque((job, 1) for job in jobs)
    running: dict[int, tuple[Job, int]] = {}
    with _lanes(setup) as lanes:
        hear(_facts(lanes))
        while queue or running:
            over: list[tuple[int, EpisodeRecord]] = []
            for lane in lanes.free():
                if queue:
                    running[lane] = queue.popleft()
                    record = lanes.start(lane, running[lane][0].episode, running[lane][0].film)
                    if record:
                        over.append((lane, record))
            over += lanes.advance()
            for lane, record in over:
                job, attempt = running.pop(lane)
                if record.error and attempt < ATTEMPTS:
                    queue.appendleft((job, attempt + 1))
                else:
                    yield record.model_copy(update={"attempts": attempt})


def _lanes(setup: Setup) -> Lanes:
    return Lanes(load_policy(setup.policy_uri), setup.suite, setup.envs, setup.real_time, setup.traces)


def _facts(lanes: Lanes) -> Facts:
    try:
        gl = lanes.world.gl_info()
    except OodbenchError as error:  # a policy that never looks needs no GL
        gl = {"error": str(error)}
    return Facts(gl, lanes.spec, lanes.metadata)


def _serve(pipe: Connection, setup: Setup) -> None:
    """A worker's life: load, say so, play what is sent until the pipe closes (the main process is done, or gone)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process to handle
    try:
        try:
            with _lanes(setup) as lanes:
                pipe.send(("ready", _facts(lanes)))
                while True:
                    idle = len(lanes.free()) == setup.envs
                    while idle or pipe.poll():
                        lane, job = pipe.recv()
                        record = lanes.start(lane, job.episode, job.film)
                        if record:
                            pipe.send(("done", (lane, record)))
                        idle = len(lanes.free()) == setup.envs
                    for done in lanes.advance():
                        pipe.send(("done", done))
        except OodbenchError as error:
            pipe.send(("fatal", str(error)))
    except (EOFError, ConnectionError):
        return
