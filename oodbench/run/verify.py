"""Playing episodes of a run once more, from what was recorded, and saying how far that is from what the run says.

The run may be a stranger's: nothing of it is run or loaded. A policy is only asked where the user names one.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from oodbench.errors import OodbenchError, RunFolderError
from oodbench.policies.loading import LoadedPolicy, load_policy
from oodbench.run import files, provenance, records, trace
from oodbench.run.episode import play
from oodbench.run.folder import short
from oodbench.run.info import PLAN, RunInfo, episode_to_play, read_info
from oodbench.run.records import EpisodeRecord
from oodbench.run.trace import STATE_BYTES, Tape, Trace
from oodbench.run.video import Film
from oodbench.scene import Scene
from oodbench.seeding import generator
from oodbench.sim.world import World
from oodbench.suite import Episode, Suite

Verdict = Literal["same bits", "same episode", "another episode"]
VERDICTS: tuple[Verdict, ...] = ("same bits", "same episode", "another episode")
# How far (m) the hand and the objects may be from where they were, at all times that are kept, for an episode to be the
# same: a tenth of the size of the objects that are handled, and too little to be seen in a film. Another processor's or
# library's rounding stays far below it until contacts amplify it.
TOLERANCE = 0.005
OUTCOME = ("success", "final", "ever", "settled", "failure", "choice", "habit")
CHECKED = (*OUTCOME, "steps", "stages", "outcome_sha256")


@dataclass(frozen=True)
class Replay:
    """What playing the recorded actions again gave.

    verdict: "same bits": the simulator's state is the recorded one after every step, and the record says what came of
    it. "same episode": the hand and the objects stay within TOLERANCE, and success, stages and the kind of failure are
    the recorded ones. "another episode": anything else.
    millimetres: the most that the hand or an object was away from where it was recorded; None where the trace has no
    positions. step: the first control step (from 1) whose state differs; None where none does.
    differences: why it is not the same bits, most important first; empty when it is.
    """

    verdict: Verdict
    millimetres: float | None
    step: int | None
    differences: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether it is the episode that was recorded, to the bit or within the tolerance."""
        return self.verdict != "another episode"


@dataclass(frozen=True)
class Finding:
    """Something that is not as the run says. where: an episode, or what of the run as a whole."""

    where: str
    what: str


@dataclass
class Report:
    """checked: episodes that were looked at. from_actions, from_policy: those that were played again from their traces
    and by the policy. verdicts: of those played from their traces, by name. findings: what differs. notes: what is not
    the same here as where the run was made, which need not matter. floor: of `--aa`, episodes in which the policy did
    not do the same twice."""

    checked: int = 0
    from_actions: int = 0
    from_policy: int = 0
    verdicts: dict[str, Replay] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)
    floor: int | None = None

    @property
    def counts(self) -> dict[Verdict, int]:
        """Episodes of each verdict."""
        found = Counter(replay.verdict for replay in self.verdicts.values())
        return {verdict: found[verdict] for verdict in VERDICTS}

    @property
    def passed(self) -> bool:
        """Whether something was played again and all of it is as the run says."""
        return not self.findings and self.from_actions + self.from_policy > 0

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "passed": self.passed,
            "tolerance_millimetres": 1000 * TOLERANCE,
            "checked": self.checked,
            "from_actions": self.from_actions,
            "from_policy": self.from_policy,
            "verdicts": self.counts,
            "episodes": {
                name: {"verdict": r.verdict, "millimetres": r.millimetres, "step": r.step, "differences": r.differences}
                for name, r in self.verdicts.items()
            },
            "findings": [{"where": f.where, "what": f.what} for f in self.findings],
            "notes": [{"where": f.where, "what": f.what} for f in self.notes],
            "differs_from_itself": self.floor,
        }


def verify(
    run: Path,
    sample: int | None = 20,
    *,
    policy: str | None = None,
    aa: bool = False,
    paths: bool = False,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Report:
    """Play episodes of a run again and compare.

    Args:
        run: A run folder, anybody's.
        sample: How many episodes, drawn; None: all.
        policy: The URI of a policy to ask too; it has to come from the user, never from the run.
        aa: Ask it twice, for how often it differs from itself.
        paths: Whether the run may name tasks by paths, which are then read; only for one's own runs.
        tell: Hears of the progress: how many are done, of how many.

    Returns:
        The verdicts and what differs.

    Raises:
        OodbenchError: `run` is no run folder or cannot be read; the policy cannot be loaded; `aa` without a policy.
    """
    if aa and policy is None:
        raise OodbenchError("to compare a policy with itself, say which: --policy URI")
    info = read_info(run)
    suite = info.suite_to_play(paths=paths)
    kept = [record for record in records.read(run / "episodes.jsonl") if record.error is None]
    report = Report(findings=list(_of_the_run(info, suite, kept)), notes=list(_of_the_machine(info)))
    traces = trace.read(run)
    world = World(suite.protocol.quality)
    made: Any = None
    if policy is not None:
        loaded = load_policy(policy)
        report.findings += _of_the_policy(info, loaded)
        made = loaded.make()
    chosen = _draw(kept, sample)
    report.floor = 0 if aa else None
    for done, record in enumerate(chosen, start=1):
        tell(done, len(chosen))
        report.checked += 1
        name = f"{record.task}/{record.shift}/{record.severity:g}/{record.seed}"
        try:
            episode = episode_to_play(record.task, record.shift, record.severity, record.seed, paths=paths)
            scene = episode.scene(suite)
            recorded = traces.get(record.key)
        except OodbenchError as error:
            report.findings.append(Finding(name, str(error)))
            continue
        if scene.sha256 != record.scene_sha256:
            report.findings.append(Finding(name, "another scene: tasks, shifts or assets are not those of the run"))
            continue
        if recorded is not None:
            report.from_actions += 1
            found = report.verdicts[name] = from_actions(world, scene, record, recorded, suite)
            if not found.same:
                report.findings += [Finding(name, what) for what in found.differences]
        if made is None:
            continue
        tape = Tape()
        again = play(world, made, episode, suite, tape=tape)
        report.from_policy += 1
        report.findings += [Finding(name, what) for what in _from_policy(record, again, tape, recorded)]
        if aa:
            twice = play(world, made, episode, suite)
            assert report.floor is not None
            report.floor += twice.outcome_sha256 != again.outcome_sha256
    getattr(made, "close", lambda: None)()
    return report


def _of_the_machine(info: RunInfo) -> list[Finding]:
    """What is not the same here as where the run was made; whether it matters, the episodes say."""
    here = provenance.versions()
    found = [
        Finding("versions", f"the run was made with {name} {info.versions.get(name)}, here is {here.get(name)}")
        for name in ("oodbench", *provenance.PHYSICS)
        if info.versions.get(name) != here.get(name)
    ]
    if info.assets_sha256 != provenance.assets_sha256():
        found.append(Finding("assets", "tasks, assets or the robot are not those of the run"))
    return found


def _of_the_run(info: RunInfo, suite: Suite, kept: Sequence[EpisodeRecord]) -> list[Finding]:
    """What does not fit within the run."""
    found = []
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


def from_actions(
    world: World, scene: Scene, record: EpisodeRecord, recorded: Trace, suite: Suite, film: Film | None = None
) -> Replay:
    """Play the recorded actions of an episode again.

    Args:
        world: Is reset to `scene`.
        scene: Of the episode.
        record: What the run says of it.
        recorded: Its trace.
        suite: Of the run; its protocol says which reading of success counts.
        film: Gets pictures on the way; the caller closes it.

    Returns:
        The verdict.
    """
    if len(recorded.actions) > scene.timing.horizon:
        said = f"{len(recorded.actions)} actions in an episode of {scene.timing.horizon} steps"
        return Replay("another episode", None, None, (said,))
    world.reset(scene)
    first: int | None = None
    apart, where, late = 0.0, "", 0
    kept = dict(zip(trace.kept_steps(len(recorded.actions)), recorded.positions, strict=False))
    names = ["the hand", *(item.id for item in scene.objects)]
    for step, (action, state) in enumerate(zip(recorded.actions, recorded.states, strict=True), start=1):
        if film:
            film.shoot(world)
        world.step(action)
        if first is None and bytes.fromhex(world.outcome_sha256()[: 2 * STATE_BYTES]) != state:
            first = step
        if step in kept:
            metres, thing = _apart(trace.positions(world), kept[step], names)
            if metres > apart:
                apart, where = metres, thing
                late = late or (step if metres > TOLERANCE else 0)
    if film:
        film.shoot(world, last=True)
    millimetres = 1000 * apart if kept and math.isfinite(apart) else None
    wrong = _differences(world, record, suite, exact=first is None)
    if first is None:
        return Replay("another episode" if wrong else "same bits", millimetres, None, wrong)
    said = f"from its actions: the simulator's state differs from step {first} on"
    if millimetres is None:
        why = f"{where} is another" if where else "the trace has no positions to say how far"
        return Replay("another episode", None, first, (f"{said} ({why})", *wrong))
    if apart <= TOLERANCE and not wrong:
        return Replay("same episode", millimetres, first, (f"{said}, by at most {millimetres:.2g} mm",))
    if where:
        said += f", {where} by {millimetres:.3g} mm"
    if late:
        said += f" (more than {1000 * TOLERANCE:g} from step {late} on)"
    return Replay("another episode", millimetres, first, (said, *wrong))


def _apart(now: np.ndarray, then: np.ndarray, names: Sequence[str]) -> tuple[float, str]:
    """(metres, name) of what is farthest from where it was; infinite where they are not the same things."""
    if now.shape != then.shape:
        return math.inf, "the number of things"
    if not np.isfinite(now).all():
        return math.inf, "the simulator's state"
    far = [math.dist(a, b) for a, b in zip(now.tolist(), then.tolist(), strict=True)]
    most = max(range(len(far)), key=far.__getitem__)
    return far[most], names[most]


def _differences(world: World, record: EpisodeRecord, suite: Suite, *, exact: bool) -> tuple[str, ...]:
    """What the record says otherwise than the world that has just played it. exact: in every bit and step."""
    status = world.status
    success = bool(getattr(status, suite.protocol.success))
    now: dict[str, Any] = {
        "success": success, "final": status.final, "ever": status.ever, "settled": status.settled, "steps": world.steps,
        "failure": None if success else status.failure, "choice": status.choice, "habit": status.habit,
        "stages": dict(status.stages), "outcome_sha256": world.outcome_sha256(),
    }  # fmt: skip
    said: dict[str, Any] = {name: getattr(record, name) for name in CHECKED}
    if not exact:  # which stages were reached, not when; the hash cannot be the same
        for values in (now, said):
            values["stages"] = sorted(name for name, step in values["stages"].items() if step is not None)
            values["outcome_sha256"] = None
    return tuple(
        f"from its actions: {name} is {short(now[name], 20)}, the record says {short(said[name], 20)}"
        for name in CHECKED
        if now[name] != said[name]
    )


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


def repeat_of(run: Path, *, paths: bool = False) -> tuple[Suite, list[Episode]]:
    """What a run folder played, to play it once more.

    Args:
        run: The run folder.
        paths: Whether it may name tasks by paths, which are then read; only for one's own runs.

    Returns:
        The suite and the plan.

    Raises:
        OodbenchError: Something of it cannot be read, is not installed, or is too large.
    """
    suite = read_info(run).suite_to_play(paths=paths)
    path = run / "plan.jsonl"
    try:
        lines = files.read_bytes(run, "plan.jsonl", files.PLAN_BYTES).splitlines()
        if len(lines) > PLAN:
            raise RunFolderError(f"{path}: has {len(lines)} episodes; at most {PLAN} are read")
        plan = []
        for text in lines:
            line = json.loads(text)
            plan.append(episode_to_play(str(line["task"]), str(line["spec"]), None, int(line["seed"]), paths=paths))
    except FileNotFoundError:
        raise RunFolderError(f"{path}: there is no such file") from None
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise RunFolderError(f"{path}: cannot be read ({error})") from error
    return suite, plan
