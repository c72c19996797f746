"""Playing episodes of a run once more, from what was recorded and from the policy, and saying what is not the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError
from oodbench.policies.loading import LoadedPolicy, load_policy
from oodbench.run import provenance, records, trace
from oodbench.run.episode import play
from oodbench.run.folder import short
from oodbench.run.info import RunInfo, read_info
from oodbench.run.records import EpisodeRecord
from oodbench.run.trace import STATE_BYTES, Tape, Trace
from oodbench.seeding import generator
from oodbench.shift import ShiftSpec
from oodbench.sim.world import World
from oodbench.suite import Episode, Suite

CHECKED = ("success", "final", "ever", "settled", "steps", "failure", "choice", "habit", "outcome_sha256")


@dataclass(frozen=True)
class Finding:
    """Something that is not as the run says. where: an episode, or what of the run as a whole."""

    where: str
    what: str


@dataclass
class Report:
    """checked: episodes that were played again. findings: what differs. floor: of `--aa`, episodes in which the policy
    did not do the same twice."""

    checked: int = 0
    from_actions: int = 0
    from_policy: int = 0
    findings: list[Finding] = field(default_factory=list)
    floor: int | None = None


def verify(
    run: Path,
    sample: int | None = 20,
    *,
    with_policy: bool = True,
    aa: bool = False,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Play episodes of a run again and compare.

    sample: how many, drawn; None: all. with_policy: ask the policy too, not only play the recorded actions. aa: ask it
    twice, for how often it differs from itself. tell: hears of the progress. Raises RunFolderError when `run` is none.
    """
    info = read_info(run)
    kept = [record for record in records.read(run / "episodes.jsonl") if record.error is None]
    report = Report(findings=list(_of_the_run(info, kept)))
    traces = trace.read(run)
    suite = info.suite_to_play()
    world = World(suite.protocol.quality)
    policy: Any = None
    if with_policy or aa:
        loaded = load_policy(info.policy.uri)
        report.findings += _of_the_policy(info, loaded)
        policy = loaded.make()
    chosen = _draw(kept, sample)
    report.floor = 0 if aa else None
    for done, record in enumerate(chosen, start=1):
        tell(done, len(chosen))
        report.checked += 1
        name = f"{record.task}/{record.shift}/{record.severity:g}/{record.seed}"
        episode = Episode(record.task, ShiftSpec.parse(record.shift, record.severity), record.seed)
        scene = episode.scene(suite)
        if scene.sha256 != record.scene_sha256:
            report.findings.append(Finding(name, "another scene: tasks, shifts or assets are not those of the run"))
            continue
        recorded = traces.get(record.key)
        if recorded is not None:
            report.from_actions += 1
            report.findings += [Finding(name, what) for what in from_actions(world, scene, record, recorded, suite)]
        if policy is None:
            continue
        tape = Tape()
        again = play(world, policy, episode, suite, tape=tape)
        report.from_policy += 1
        if with_policy:
            report.findings += [Finding(name, what) for what in _from_policy(record, again, tape, recorded)]
        if aa:
            twice = play(world, policy, episode, suite)
            assert report.floor is not None
            report.floor += twice.outcome_sha256 != again.outcome_sha256
    getattr(policy, "close", lambda: None)()
    return report


def _of_the_run(info: RunInfo, kept: Sequence[EpisodeRecord]) -> list[Finding]:
    """What is not the same here as where the run was made, and what does not fit within it."""
    found = []
    here, then = provenance.versions(), info.versions
    for name in ("oodbench", *provenance.PHYSICS):
        if then.get(name) != here.get(name):
            found.append(
                Finding("versions", f"the run was made with {name} {then.get(name)}, here is {here.get(name)}")
            )
    if info.assets_sha256 != provenance.assets_sha256():
        found.append(Finding("assets", "tasks, assets or the robot are not those of the run"))
    suite = info.suite_to_play()
    if suite.sha256 != info.suite.sha256:
        found.append(Finding("suite", "its content does not have the hash that is written beside it"))
    planned = info.plan.episodes or 0
    if len(kept) > planned:
        found.append(Finding("plan", f"{len(kept)} episodes of {planned} that were planned"))
    return found


def _of_the_policy(info: RunInfo, loaded: LoadedPolicy) -> list[Finding]:
    then = info.policy.files
    return [
        Finding("policy", f"{path} is not the file that was run") for path, sha in loaded.files.items()
        if then.get(path) not in (None, sha)
    ]  # fmt: skip


def _draw(kept: Sequence[EpisodeRecord], sample: int | None) -> list[EpisodeRecord]:
    if sample is None or sample >= len(kept):
        return list(kept)
    chosen = generator("verify", len(kept)).choice(len(kept), sample, replace=False)
    return [kept[i] for i in sorted(chosen)]


def from_actions(world: World, scene: Any, record: EpisodeRecord, recorded: Trace, suite: Suite) -> list[str]:
    """What differs when the recorded actions are played again."""
    world.reset(scene)
    for step, (action, state) in enumerate(zip(recorded.actions, recorded.states, strict=True), start=1):
        world.step(action)
        if bytes.fromhex(world.outcome_sha256()[: 2 * STATE_BYTES]) != state:
            return [f"from its actions: the simulator's state differs from step {step} on"]
    status = world.status
    success = bool(getattr(status, suite.protocol.success))
    found = {
        "success": success, "final": status.final, "ever": status.ever, "settled": status.settled, "steps": world.steps,
        "failure": None if success else status.failure, "choice": status.choice, "habit": status.habit,
        "outcome_sha256": world.outcome_sha256(),
    }  # fmt: skip
    return [
        f"from its actions: {name} is {short(found[name], 20)}, the record says {short(getattr(record, name), 20)}"
        for name in CHECKED
        if found[name] != getattr(record, name)
    ]


def _from_policy(record: EpisodeRecord, again: EpisodeRecord, tape: Tape, recorded: Trace | None) -> list[str]:
    """What differs when the policy plays the episode again."""
    if again.error:
        return [f"from the policy: {again.error}"]
    if again.outcome_sha256 == record.outcome_sha256:
        return []
    if recorded is None:
        return ["from the policy: another outcome (the run has no traces to say from where on)"]
    steps = min(len(tape.actions), len(recorded.actions))
    apart = [i for i in range(steps) if not np.array_equal(tape.actions[i], recorded.actions[i])]
    if apart:
        by = float(np.abs(tape.actions[apart[0]] - recorded.actions[apart[0]]).max())
        return [f"from the policy: it acts differently from step {apart[0] + 1} on (by {by:.2g})"]
    return ["from the policy: the same actions, another outcome"]


def repeat_of(run: Path) -> tuple[str, Suite, list[Episode]]:
    """(policy URI, suite, plan) of a run folder, to play it once more. Raises OodbenchError."""
    import json

    info = read_info(run)
    try:
        lines = [json.loads(line) for line in (run / "plan.jsonl").read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise OodbenchError(f"{run / 'plan.jsonl'}: cannot be read ({error})") from error
    plan = [Episode(line["task"], ShiftSpec.parse(line["spec"]), int(line["seed"])) for line in lines]
    return info.policy.uri, info.suite_to_play(), plan
