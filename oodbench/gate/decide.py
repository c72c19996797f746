"""Playing the gate's plan until it is decided."""

from __future__ import annotations

import datetime
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from oodbench.errors import OodbenchError, SpecError
from oodbench.gate.baseline import DIGITS, Baseline, GatePlan, outcomes
from oodbench.policies.loading import load_policy
from oodbench.run import provenance
from oodbench.run.folder import RunFolder
from oodbench.run.pool import Job, Setup, play_all
from oodbench.run.records import EpisodeRecord
from oodbench.run.runner import EPISODE_SECONDS, Listener, Quiet, evaluate_plan
from oodbench.stats.multiple import holm
from oodbench.stats.power import pairs_needed
from oodbench.stats.rates import Rate
from oodbench.stats.sequential import BettingTest, SpendingTest, confidence_sequence
from oodbench.suite import SUITES, Episode

Decision = Literal["PASS", "REGRESSION", "INCONCLUSIVE"]
STRETCH = 1.5  # episodes at most, as a multiple of what a test of a fixed number would need
ASSUMED_RATE, ASSUMED_CORRELATION = 0.8, 0.4
ERRORS = 0.05  # share of episodes that may end in an error


class InfrastructureError(OodbenchError):
    """The candidate could not be evaluated; this says nothing about how good it is."""


@dataclass(frozen=True)
class Group:
    """A cell's shift and severity: outcomes so far. p: of "it did not drop", anytime-valid, adjusted over shifts."""

    shift: str
    severity: float
    baseline: Rate
    candidate: Rate
    p: float
    regression: bool


@dataclass(frozen=True)
class Verdict:
    """What the gate says, and on what evidence.

    episodes: pairs that counted, in the plan's order; played: episodes that were played in all (some beyond the
    decision, by other workers). drop: of mean success, baseline minus candidate; low, high: bounds that hold whenever
    the gate stops. p: of "the candidate is as good" at the decision.
    """

    decision: Decision
    reason: str
    plan: GatePlan
    baseline: dict[str, object]
    candidate: str
    episodes: int
    played: int
    errors: int
    baseline_rate: float
    candidate_rate: float
    drop: float
    low: float
    high: float
    p: float
    groups: tuple[Group, ...]


def plan_for(
    suite: str,
    margin: float,
    *,
    alpha: float = 0.05,
    beta: float = 0.1,
    episodes: int | None = None,
    tasks: Sequence[str] = (),
    shifts: Sequence[str] = (),
    every_shift: bool = False,
) -> GatePlan:
    """A plan; by default with half as many episodes again as a test of a fixed number would need for the margin.

    Raises SpecError for a margin that no reasonable number of episodes finds.
    """
    if episodes is None:
        try:
            fixed = pairs_needed(ASSUMED_RATE, margin, ASSUMED_CORRELATION, 1 - beta, alpha)
        except ValueError as error:
            raise SpecError(f"margin {100 * margin:g} points: {error}") from None
        episodes = math.ceil(STRETCH * fixed)
    return GatePlan(
        suite=suite, suite_sha256=SUITES.get(suite).sha256, tasks=tuple(tasks), shifts=tuple(shifts), margin=margin,
        alpha=alpha, beta=beta, episodes=episodes, every_shift=every_shift,
    )  # fmt: skip


def make_baseline(
    policy: str,
    plan: GatePlan,
    out: Path,
    *,
    run: Path | None = None,
    workers: int | None = None,
    envs: int = 1,
    listener: Listener | None = None,
) -> Baseline:
    """Play the whole plan with a policy, and write its outcomes to `out`, to be committed.

    run: a run folder; the same one again goes on with it. Raises OodbenchError.
    """
    suite = SUITES.get(plan.suite)
    order = plan.order(suite)
    folder = run or out.with_suffix(".run")
    kept = evaluate_plan(policy, suite, order, out=folder, workers=workers, envs=envs, listener=listener)
    success, scenes = outcomes(kept.records(), order)
    info = kept.info.policy.model_dump(mode="json", include={"uri", "name", "files", "metadata"})
    found = Baseline(
        plan=plan, policy={key: value for key, value in info.items() if value},
        versions=provenance.versions(), assets_sha256=provenance.assets_sha256(), success=success, scenes=scenes,
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    found.write(out)
    return found


def check(
    policy: str,
    baseline: Baseline,
    *,
    run: Path,
    workers: int | None = None,
    envs: int = 1,
    timeout: float = EPISODE_SECONDS,
    listener: Listener | None = None,
) -> Verdict:
    """Play the baseline's plan with a candidate, in its order, until the gate is decided.

    The decision is taken on the longest prefix of the plan that is complete, whatever order workers finish in: fast
    episodes are not like slow ones. run: a run folder; the same one again goes on with it. Raises SpecError when the
    two cannot be compared, InfrastructureError when the candidate cannot be evaluated.
    """
    suite = baseline.comparable()
    order = baseline.plan.order(suite)
    loaded = load_policy(policy)
    decider = Decider(baseline, order)
    listener = listener or Quiet()
    folder = RunFolder(run)
    with folder.begin(suite, loaded, order):
        done = {record.key: record for record in folder.records() if not record.error}
        decided = decider.hear(done.values())
        listener.start(folder.path, len(order), list(done.values()))
        status = "interrupted"
        try:
            jobs = [Job(episode) for episode in order if episode.key not in done]
            if not decided:
                count = provenance.hardware()["cores"] or 1 if workers is None else workers
                played = play_all(Setup(policy, suite, envs, traces=folder.path), jobs, count, timeout, folder.hear)
                try:
                    for record in played:
                        folder.write(record)
                        listener.record(record)
                        if decider.hear([record]):
                            break
                except SpecError:
                    raise
                except OodbenchError as error:
                    raise InfrastructureError(str(error)) from error
                finally:
                    played.close()  # type: ignore[attr-defined]
            status = "complete"
        finally:
            folder.update(status=status)
            listener.stop()
    return decider.verdict(policy)


@dataclass
class Decider:
    """Takes outcomes in any order, and decides on the complete prefix of the plan."""

    baseline: Baseline
    order: Sequence[Episode]
    decision: Decision | None = None
    _records: dict[tuple[str, str, float, int], EpisodeRecord] = field(default_factory=dict)
    _next: int = 0
    _differences: list[int] = field(default_factory=list)
    _counted: list[int] = field(default_factory=list)  # places in the plan
    _errors: int = 0
    _reason: str = ""

    def __post_init__(self) -> None:
        plan = self.baseline.plan
        self._worse = SpendingTest(plan.alpha_suite, plan.episodes)
        self._better = BettingTest(plan.margin)
        self._shifts: dict[str, BettingTest] = defaultdict(lambda: BettingTest(0.0, sign=-1))
        self._names = sorted({episode.shift.name for episode in self.order})

    def hear(self, records: Iterable[EpisodeRecord]) -> bool:
        """Returns whether the gate is decided. Raises SpecError when a scene is not the baseline's, and
        InfrastructureError when too many episodes ended in errors."""
        for record in records:
            self._records[record.key] = record
        while not self.done and self._next < len(self.order):
            record_ = self._records.get(self.order[self._next].key)
            if record_ is None:
                break
            self._count(self._next, record_)
            self._next += 1
        if self.decision is None and self._next == len(self.order):
            self.decision, self._reason = "INCONCLUSIVE", "the planned episodes are used up"
        return self.done

    @property
    def done(self) -> bool:
        """Whether no further episode is needed."""
        used_up = self._next == len(self.order)
        return self.decision is not None and (used_up or not self.baseline.plan.every_shift)

    def _count(self, place: int, record: EpisodeRecord) -> None:
        if record.success is None:
            self._errors += 1
            if self._errors > max(3.0, ERRORS * self.baseline.plan.episodes):
                raise InfrastructureError(
                    f"{self._errors} of the first {place + 1} episodes ended in errors, the last with: {record.error}"
                )
            return
        if (record.scene_sha256 or "")[:DIGITS] != self.baseline.scenes[place]:
            raise SpecError(
                f"not comparable: {'/'.join(map(str, record.key))} is another scene than the baseline's; make a new "
                "one with `oodbench baseline`"
            )
        plan = self.baseline.plan
        difference = int(self.baseline.success[place]) - int(record.success)
        self._differences.append(difference)
        self._counted.append(place)
        self._shifts[record.shift].add(difference)
        dropped = ["mean success of the suite dropped"] if self._worse.add(difference) else []
        bad = [name for name, p in self._adjusted().items() if p <= plan.alpha_shifts]
        if bad:
            dropped.append(f"success dropped under {', '.join(bad)}")
        if dropped:
            self.decision, self._reason = "REGRESSION", "; ".join(dropped)
        if self._better.add(difference) >= 1 / plan.beta and self.decision is None:
            self.decision = "PASS"
            self._reason = f"a drop of {100 * plan.margin:g} points or more of mean success is ruled out"

    def _adjusted(self) -> dict[str, float]:
        """p by shift, adjusted over all shifts of the plan; 1 for those that were not played yet."""
        return dict(zip(self._names, holm([self._shifts[name].p for name in self._names]), strict=True))

    def verdict(self, candidate: str) -> Verdict:
        assert self.decision is not None
        plan = self.baseline.plan
        low, high = confidence_sequence(self._differences) if self._differences else (-1.0, 1.0)
        then = [int(self.baseline.success[place]) for place in self._counted]
        drop = sum(self._differences) / max(len(self._differences), 1)
        base = sum(then) / max(len(then), 1)
        adjusted = self._adjusted()
        cells: dict[tuple[str, float], list[tuple[int, int]]] = defaultdict(list)
        for place, difference in zip(self._counted, self._differences, strict=True):
            shift, success = self.order[place].shift, int(self.baseline.success[place])
            cells[shift.name, shift.severity].append((success, success - difference))
        groups = tuple(
            Group(
                shift, severity, Rate(sum(a for a, _ in both), len(both)), Rate(sum(b for _, b in both), len(both)),
                adjusted[shift], adjusted[shift] <= plan.alpha_shifts,
            )
            for (shift, severity), both in sorted(cells.items())
        )  # fmt: skip
        reason = self._reason
        if self.decision == "INCONCLUSIVE":
            reason += f"; the drop lies between {100 * low:+.1f} and {100 * high:+.1f} points"
        return Verdict(
            self.decision, reason, plan, self.baseline.policy, candidate, len(self._differences), len(self._records),
            self._errors, base, base - drop, drop, low, high, self._worse.p, groups,
        )  # fmt: skip
