"""A small pool of worker processes that survives its workers: one world and one policy each, replaced when they die."""

from __future__ import annotations

import contextlib
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
from oodbench.policies.loading import load_policy, spec_of
from oodbench.run.episode import play
from oodbench.run.records import EpisodeRecord
from oodbench.sim.world import World
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
    """What a worker needs to begin."""

    policy_uri: str
    suite: Suite


@dataclass(frozen=True)
class Facts:
    """What a worker finds when it begins: the OpenGL that draws, and what the policy declares."""

    gl: dict[str, str]
    spec: PolicySpec


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


class _Worker:
    """One process, its pipe, and what it is doing."""

    def __init__(self, setup: Setup, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, setup), daemon=True)
        with _threads(threads):
            self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.attempt = 0
        self.ready = False
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, job: Job, attempt: int, timeout: float) -> None:
        self.job, self.attempt = job, attempt
        self.deadline = time.monotonic() + timeout
        self.pipe.send(job)

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
            for worker in self._workers:
                if worker.ready and worker.job is None and self._queue:
                    worker.give(*self._queue.popleft(), self._timeout)
            for record in self._collect():
                left -= 1
                yield record

    def close(self) -> None:
        for worker in self._workers:
            worker.kill()

    def _collect(self) -> list[EpisodeRecord]:
        """Wait until something happens, and return the episodes that are over."""
        busy = [worker for worker in self._workers if worker.job or not worker.ready]
        next_deadline = min(worker.deadline for worker in busy)
        patience = max(0.0, next_deadline - time.monotonic())
        happened = wait([worker.pipe for worker in busy] + [worker.process.sentinel for worker in busy], patience)
        finished = []
        for worker in busy:
            record = None
            if worker.pipe in happened:
                record = self._receive(worker)
            elif worker.process.sentinel in happened:
                record = self._replace(worker, _death(worker))
            elif time.monotonic() > worker.deadline:
                record = self._replace(
                    worker, f"stopped after {self._timeout:g} s without finishing (--episode-timeout)"
                )
            if record:
                finished.append(record)
        return finished

    def _receive(self, worker: _Worker) -> EpisodeRecord | None:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, ConnectionError):
            return self._replace(worker, _death(worker))
        if kind == "fatal":
            raise WorkerError(content)
        if kind == "ready":
            worker.ready = True
            self._hear(content)
            return None
        job, worker.job = worker.job, None
        assert job is not None
        return self._settle(job, worker.attempt, content)

    def _replace(self, worker: _Worker, reason: str) -> EpisodeRecord | None:
        """Put a new worker in the place of a dead or hanging one."""
        worker.kill()
        if not worker.ready:
            raise WorkerError(f"policy {self._setup.policy_uri}: its worker process could not start: {reason}")
        self._workers[self._workers.index(worker)] = _Worker(self._setup, self._threads)
        if worker.job is None:
            return None
        return self._settle(worker.job, worker.attempt, blank_record(worker.job.episode, f"worker {reason}"))

    def _settle(self, job: Job, attempt: int, record: EpisodeRecord) -> EpisodeRecord | None:
        """The final record, or None when the episode goes back into the queue."""
        if record.error and attempt < ATTEMPTS:
            self._queue.appendleft((job, attempt + 1))
            return None
        return record.model_copy(update={"attempts": attempt})


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
    player = _Player(setup)
    hear(player.facts())
    for job in jobs:
        attempts = 1
        record = player.play(job)
        while record.error and attempts < ATTEMPTS:
            attempts += 1
            record = player.play(job)
        yield record.model_copy(update={"attempts": attempts})


class _Player:
    """A world and a policy."""

    def __init__(self, setup: Setup) -> None:
        self._suite = setup.suite
        self._policy: Any = load_policy(setup.policy_uri).make()
        self._world = World(setup.suite.protocol.quality)

    def facts(self) -> Facts:
        try:
            gl = self._world.gl_info()
        except OodbenchError as error:  # a policy that never looks needs no GL
            gl = {"error": str(error)}
        return Facts(gl, spec_of(self._policy))

    def play(self, job: Job) -> EpisodeRecord:
        return play(self._world, self._policy, job.episode, self._suite, film_path=job.film)


def _serve(pipe: Connection, setup: Setup) -> None:
    """A worker's life: load, say so, play what is sent until the pipe closes (the main process is done, or gone)."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process to handle
    try:
        try:
            player = _Player(setup)
            pipe.send(("ready", player.facts()))
            while True:
                job = pipe.recv()
                pipe.send(("done", player.play(job)))
        except OodbenchError as error:
            pipe.send(("fatal", str(error)))
    except (EOFError, ConnectionError):
        return
