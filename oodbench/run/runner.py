"""`evaluate`: a policy on a suite, into a run folder. The command line's `oodbench run` is a thin layer over it."""

from __future__ import annotations

import datetime
import os
import re
import time
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

from oodbench.errors import OodbenchError
from oodbench.policies.loading import load_policy
from oodbench.redact import redacted
from oodbench.run.folder import RunFolder
from oodbench.run.plan import PlanFile
from oodbench.run.pool import Job, Setup, play_all
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.shift import ShiftSpec
from oodbench.suite import SUITES, Episode, Suite, first, select
from oodbench.task import TASKS

HOPELESS = 8  # when so many episodes have ended and all in errors, the run stops
EPISODE_SECONDS = 300.0


class Listener(Protocol):
    """Hears how a run goes; see run/progress.py."""

    def planning(self, done: int, total: int) -> None: ...

    def start(self, folder: Path, total: int, done: Sequence[EpisodeRecord]) -> None: ...

    def record(self, record: EpisodeRecord) -> None: ...

    def stop(self) -> None: ...


class Quiet:
    """A listener that says nothing."""

    def planning(self, done: int, total: int) -> None:
        pass

    def start(self, folder: Path, total: int, done: Sequence[EpisodeRecord]) -> None:
        pass

    def record(self, record: EpisodeRecord) -> None:
        pass

    def stop(self) -> None:
        pass


def evaluate(
    policy: str,
    suite: str | Suite = "quick",
    *,
    out: Path | None = None,
    workers: int | None = None,
    envs: int = 1,
    real_time: bool = False,
    traces: bool = True,
    limit: int | None = None,
    tasks: Sequence[str] = (),
    shifts: Sequence[str] = (),
    seed_offset: int = 0,
    fresh: str = "",
    video: int = 0,
    timeout: float = EPISODE_SECONDS,
    retry_errors: bool = False,
    listener: Listener | None = None,
) -> RunFolder:
    """Play a suite with a policy and keep every episode. Give the same `out` again to go on with a run that stopped.

    policy: a URI (see policies/loading.py). workers: processes; default one a core; 0 plays in this process. envs:
    episodes that each of them plays at once, sharing a policy that has `act_batch`, each with its own otherwise.
    real_time: the world goes on while the policy thinks, and how long it took is recorded; outcomes then depend on the
    machine. traces: keep every action and the hash of every step, for `oodbench verify` (1 to 9 KB an episode). limit:
    at most so many episodes a shifted cell, with the in-distribution ones of their scenes. tasks, shifts: patterns; a
    shift may also be a full spec such as "visual.lighting@3+execution.action-latency@2", which is then played besides
    the in-distribution episodes. fresh: salt for scenes of the same cells that nobody has seen. video: episodes a cell
    that are filmed. timeout: seconds an episode may take. Raises OodbenchError; what was played is kept.
    """
    suite = SUITES.get(suite) if isinstance(suite, str) else suite
    suite = suite.model_copy(update={"fresh": fresh}) if fresh else suite
    plan = choose(suite, limit=limit, tasks=tasks, shifts=shifts, seed_offset=seed_offset)
    return evaluate_plan(
        policy, suite, plan, out=out, workers=workers, envs=envs, real_time=real_time, traces=traces, timeout=timeout,
        retry_errors=retry_errors, listener=listener, filmed=_filmed(plan, video),
    )  # fmt: skip


def evaluate_plan(
    policy: str,
    suite: Suite,
    plan: Sequence[Episode],
    *,
    out: Path | None = None,
    workers: int | None = None,
    envs: int = 1,
    real_time: bool = False,
    traces: bool = True,
    timeout: float = EPISODE_SECONDS,
    retry_errors: bool = False,
    listener: Listener | None = None,
    filmed: Collection[EpisodeKey] = (),
) -> RunFolder:
    """As `evaluate`, with the episodes given. filmed: keys of those that are."""
    loaded = load_policy(policy)
    if envs < 1:
        raise OodbenchError(f"envs is {envs}; it must be at least 1")
    if real_time and envs > 1:
        raise OodbenchError("in real time a policy must be asked for one environment at a time: envs=1")
    count = os.cpu_count() or 1 if workers is None else workers
    listener = listener or Quiet()
    folder = RunFolder(out or default_out(suite, loaded.name))
    with folder.begin(suite, loaded, PlanFile.of(suite, plan, listener.planning), real_time):
        done = folder.done(retry_errors=retry_errors)
        jobs = [Job(e, film_path(folder, e) if e.key in filmed else None) for e in plan if e.key not in done]
        listener.start(folder.path, len(plan), [r for r in folder.records() if r.key in done])
        began, before = time.monotonic(), folder.info.wall_seconds
        status = "interrupted"
        try:
            setup = Setup(policy, suite, envs, real_time, folder.path if traces else None)
            _play(folder, setup, jobs, count, timeout, listener)
            status = "complete"
        finally:
            wall = round(before + time.monotonic() - began, 2)
            folder.update(status=status, workers=count, envs=envs, wall_seconds=wall)
            listener.stop()
    return folder


def choose(
    suite: Suite, *, limit: int | None, tasks: Sequence[str], shifts: Sequence[str], seed_offset: int
) -> list[Episode]:
    """The part of a suite's plan that is asked for."""
    plan = suite.plan(seed_offset=seed_offset)
    specs = [ShiftSpec.parse(text) for text in shifts if "@" in text]
    patterns = [text for text in shifts if "@" not in text]
    chosen = select(plan, tasks, patterns or (["none"] if specs else []))
    chosen = chosen if limit is None else first(chosen, limit)
    plain = [episode for episode in chosen if not episode.shift.parts]
    if specs and not plain:
        raise OodbenchError(f"suite {suite.name!r} has no in-distribution episodes to shift")
    extra = [Episode(e.task, spec, e.seed) for e in plain for spec in specs if spec.applies(TASKS.get(e.task))]
    for spec in specs:
        if not any(episode.shift is spec for episode in extra):
            raise OodbenchError(f"shift {str(spec)!r} makes no sense in any of the tasks asked for")
    merged = {episode.key: episode for episode in [*chosen, *extra]}
    return sorted(merged.values(), key=lambda e: (e.seed, e.task))  # stable: cells of one scene stay together


def _filmed(plan: Sequence[Episode], count: int) -> set[EpisodeKey]:
    """The first episodes of each cell."""
    seen: Counter[tuple[str, str]] = Counter()
    found = set()
    for e in plan:
        seen[e.task, str(e.shift)] += 1
        if seen[e.task, str(e.shift)] <= count:
            found.add(e.key)
    return found


def default_out(suite: Suite, policy: str) -> Path:
    """runs/<suite>-<policy>-<time>."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{suite.name}-{_safe(policy)}-{stamp}"


def film_path(folder: RunFolder, episode: Episode) -> Path:
    """Where the film of an episode goes."""
    task, shift, severity, seed = episode.key
    return folder.videos_path / f"{_safe(task)}--{_safe(shift)}--{severity:g}--{seed}.mp4"


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]", "_", name)


def _play(
    folder: RunFolder, setup: Setup, jobs: Sequence[Job], workers: int, timeout: float, listener: Listener
) -> None:
    if not jobs:
        return
    errors = 0
    played = play_all(setup, jobs, workers, timeout, folder.hear)
    for ended, record in enumerate(played, start=1):
        if record.video:
            record = record.model_copy(update={"video": f"videos/{record.video}"})
        folder.write(record)
        listener.record(record)
        errors += record.error is not None
        if errors == ended == HOPELESS:
            raise OodbenchError(
                f"policy {redacted(setup.policy_uri)}: the first {HOPELESS} episodes all ended in errors, "
                f"the last with: {record.error}"
            )
