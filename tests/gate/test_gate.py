"""The release gate by its real command: every exit code, what it writes, and that it cannot be fooled."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from oodbench.errors import SpecError
from oodbench.gate.baseline import Baseline, GatePlan
from oodbench.gate.decide import Decider, InfrastructureError, make_baseline, plan_for
from oodbench.gate.outputs import summary
from oodbench.run.records import EpisodeRecord
from oodbench.suite import SUITES

SMALL = {"tasks": ["press-button"], "shifts": ["visual.noise", "execution.robot-init"]}


@pytest.fixture(scope="module")
def committed(tmp_path_factory) -> Path:
    """The expert's baseline on a plan of 60 episodes, and one of 8, which decides nothing."""
    folder = tmp_path_factory.mktemp("gate")
    for name, episodes in (("baseline", 60), ("short", 8)):
        plan = plan_for("smoke", 0.1, episodes=episodes, **SMALL)
        make_baseline("expert", plan, folder / f"{name}.json", workers=2)
    return folder


def gate(folder: Path, policy: str, baseline: str = "baseline.json", *more: str, cwd: Path, **env: str):
    command = [
        sys.executable,
        "-m",
        "oodbench",
        "check",
        policy,
        "--baseline",
        str(folder / baseline),
        "--quiet",
        *more,
    ]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **env}, timeout=240, check=False
    )


@pytest.mark.slow
def test_exit_0_the_same_policy_passes_early(committed, tmp_path):
    done = gate(committed, "expert", "baseline.json", "--json", "v.json", "--junit", "v.xml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    verdict = json.loads((tmp_path / "v.json").read_text())
    assert verdict["decision"] == "PASS"
    assert verdict["episodes"] <= 60
    assert verdict["low"] <= 0 <= verdict["high"]
    assert verdict["plan"] == Baseline.read(committed / "baseline.json").plan.model_dump(mode="json")
    suite = ET.parse(tmp_path / "v.xml").getroot()
    assert suite.get("failures") == "0"
    assert {case.get("name") for case in suite.iter("testcase")} == {"mean success", "severity=0", "severity=3"}


@pytest.mark.slow
def test_exit_1_a_regression_is_caught_and_shown_where_github_looks(committed, tmp_path):
    page = tmp_path / "summary.md"
    done = gate(committed, "no-op", "baseline.json", "--junit", "v.xml", cwd=tmp_path, GITHUB_STEP_SUMMARY=str(page))
    assert done.returncode == 1, done.stderr
    assert "REGRESSION" in done.stdout
    assert "::error title=oodbench::REGRESSION" in done.stdout
    assert "### oodbench: REGRESSION" in page.read_text()
    assert int(ET.parse(tmp_path / "v.xml").getroot().get("failures")) >= 1


@pytest.mark.slow
def test_exit_2_what_cannot_be_compared_is_named(committed, tmp_path):
    done = gate(committed, "expertt", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'expert'" in done.stderr
    edited = json.loads((committed / "baseline.json").read_text())
    for change, says in (
        ({"success": "0" + edited["success"][1:]}, "was changed after it was written"),
        ({"versions": edited["versions"] | {"mujoco": "3.1.0"}}, "made with mujoco 3.1.0, here it is 3.9.0"),
        ({"closures": ("0" * 12, *edited["closures"][1:])}, "is another scene than the baseline's; make a new one"),
    ):
        changed = Baseline.model_validate(edited | change)
        path = tmp_path / "other.json"
        path.write_text((changed if "success" in change else changed.signed()).model_dump_json())
        done = gate(tmp_path, "expert", "other.json", cwd=tmp_path)
        assert done.returncode == 2
        assert says in done.stderr, done.stderr


@pytest.mark.slow
def test_exit_3_too_few_episodes_decide_nothing_and_say_what_is_left_open(committed, tmp_path):
    done = gate(committed, "expert", "short.json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "INCONCLUSIVE: the planned episodes are used up; the drop lies between" in done.stdout


@pytest.mark.slow
def test_exit_4_a_candidate_that_cannot_be_evaluated_is_no_regression(committed, tmp_path, policy_file):
    done = gate(committed, f"{policy_file}:boom", cwd=tmp_path)
    assert done.returncode == 4
    assert "the lens fell off" in done.stderr
    done = gate(committed, f"{policy_file}:nan", cwd=tmp_path)
    assert done.returncode == 4
    assert "must be finite" in done.stderr


@pytest.mark.slow
def test_the_same_command_goes_on_with_a_gate_that_was_stopped(committed, tmp_path):
    first = gate(committed, "expert", "short.json", "--out", "run", cwd=tmp_path)
    played = (tmp_path / "run" / "episodes.jsonl").read_text()
    again = gate(committed, "expert", "short.json", "--out", "run", cwd=tmp_path)
    assert first.returncode == again.returncode == 3
    assert (tmp_path / "run" / "episodes.jsonl").read_text() == played


@pytest.mark.slow
def test_the_worked_check_of_the_documentation(tmp_path):
    """docs/gate.md: the expert passes against itself, and one that sees three centimetres off is caught."""
    make_baseline("expert", plan_for("smoke", 0.1), tmp_path / "baseline.json", workers=2)
    done = gate(tmp_path, "expert", "baseline.json", "--json", "same.json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "same.json").read_text())["episodes"] <= 60
    done = gate(tmp_path, "expert-noisy?sigma=0.03", "baseline.json", "--json", "noisy.json", cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    verdict = json.loads((tmp_path / "noisy.json").read_text())
    assert verdict["drop"] > 0.03
    assert verdict["episodes"] < 200


@pytest.mark.slow
def test_a_regression_is_found_under_the_right_shifts(tmp_path):
    """docs/gate.md: a candidate that sees six centimetres off while pictures are corrupted, and else as the expert."""
    shifts = ["visual.noise", "visual.table-texture", "visual.camera-pose", "execution.robot-init"]
    plan = plan_for("smoke", 0.1, shifts=shifts, episodes=150, every_shift=True)
    make_baseline("expert", plan, tmp_path / "baseline.json", workers=2)
    candidate = "expert-noisy?sigma=0.06&corrupted_only=true"
    done = gate(tmp_path, candidate, "baseline.json", "--json", "v.json", "--junit", "v.xml", cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    verdict = json.loads((tmp_path / "v.json").read_text())
    assert verdict["episodes"] == 150, "the whole plan"
    assert {group["shift"] for group in verdict["groups"] if group["regression"]} == {"visual.noise"}
    assert "success dropped under visual.noise" in verdict["reason"]
    failed = [c for c in ET.parse(tmp_path / "v.xml").getroot().iter("testcase") if c.find("failure") is not None]
    assert "oodbench.smoke.visual.noise" in {case.get("classname") for case in failed}


# --- deciding ------------------------------------------------------------------------------------------------------


def records(baseline: Baseline, success: list[bool | None]) -> list[EpisodeRecord]:
    order = baseline.plan.order(SUITES.get(baseline.plan.suite))
    return [
        EpisodeRecord(
            task=e.task, shift=e.shift.name, severity=e.shift.severity, seed=e.seed, axis=e.shift.axis,
            closure_sha256=closure.ljust(64, "0"), success=s, error=None if s is not None else "the lens fell off",
        )
        for e, closure, s in zip(order, baseline.closures, success, strict=False)
    ]  # fmt: skip


def decider(baseline: Baseline) -> Decider:
    return Decider(baseline, baseline.plan.order(SUITES.get(baseline.plan.suite)))


def test_the_decision_does_not_depend_on_the_order_in_which_workers_finish(committed):
    baseline = Baseline.read(committed / "baseline.json")
    rng = np.random.default_rng(0)
    played = records(baseline, [bool(x) for x in rng.random(60) < 0.8])
    found = []
    for order in (range(60), reversed(range(60)), rng.permutation(60)):
        one = decider(baseline)
        for i in order:
            one.hear([played[i]])
        verdict = one.verdict("x")
        found.append((verdict.decision, verdict.episodes, verdict.drop))
    assert len(set(found)) == 1


def test_a_shift_that_collapses_is_named_although_the_others_hold(committed):
    """A single shift of many that fails altogether, under a plan long enough to see it."""
    baseline = perfect(plan_for("smoke", 0.3, episodes=400, every_shift=True))
    one = decider(baseline)
    lost = [e.shift.name == "visual.noise" for e in one.order]
    one.hear(records(baseline, [not x for x in lost]))
    verdict = one.verdict("x")
    assert verdict.drop == pytest.approx(sum(lost) / 400)
    assert verdict.drop < 0.2, "the mean alone would pass"
    assert verdict.decision == "REGRESSION"
    assert {g.shift for g in verdict.groups if g.regression} == {"visual.noise"}
    assert "success dropped under visual.noise" in verdict.reason


def perfect(plan: GatePlan) -> Baseline:
    """A baseline that succeeds everywhere, in made-up scenes."""
    return Baseline(
        plan=plan, policy={}, versions={}, created="", success="1" * plan.episodes,
        closures=tuple(f"{i:012x}" for i in range(plan.episodes)),
    )  # fmt: skip


def test_a_candidate_that_crashes_where_it_would_fail_gains_nothing():
    """Failing, it would not pass at this margin; crashing in exactly those scenes, it does not either."""
    baseline = perfect(plan_for("smoke", 0.04, episodes=400))
    hard = [i % 20 == 7 for i in range(400)]  # a twentieth: as many as may crash, more than the margin
    verdicts = []
    for lost in (False, None):
        one = decider(baseline)
        one.hear(records(baseline, [lost if x else True for x in hard]))
        verdicts.append(one.verdict("x"))
    failing, crashing = verdicts
    assert failing.decision != "PASS"
    assert crashing.decision == "INCONCLUSIVE", "what did not happen is not a regression either"
    assert crashing.errors == 20
    assert crashing.episodes == 380
    assert "20 episodes crashed, which a pass counts as failures and a regression as successes" in crashing.reason
    assert crashing.drop == 0.0
    assert crashing.low <= 0.0 < 0.05 <= crashing.high, "the bounds hold both ways"


def test_crashes_count_for_the_candidate_before_it_is_called_worse():
    """Twelve crashes in a row would be a regression as failures; they say nothing about how good it is."""
    baseline = perfect(plan_for("smoke", 0.1))
    one = decider(baseline)
    assert not one.hear(records(baseline, [None] * 12))
    assert one.hear(records(baseline, [None] * 12 + [False] * 60))
    verdict = one.verdict("x")
    assert verdict.decision == "REGRESSION"
    assert verdict.errors == 12
    failed = decider(baseline)
    assert failed.hear(records(baseline, [False] * 12))


def test_a_crash_delays_a_pass_and_too_many_end_the_gate(committed):
    baseline = perfect(plan_for("smoke", 0.1, episodes=200))
    passed = {}
    for crashes in (0, 1):
        one = decider(baseline)
        assert one.hear(records(baseline, [True] * 5 + [None] * crashes + [True] * (195 - crashes)))
        verdict = one.verdict("x")
        assert (verdict.decision, verdict.errors) == ("PASS", crashes)
        passed[crashes] = verdict.episodes
    assert passed[1] > passed[0]
    short = Baseline.read(committed / "baseline.json")
    with pytest.raises(InfrastructureError, match="4 of the first 4 episodes ended in errors"):
        decider(short).hear(records(short, [None] * 60))


def test_another_scene_is_refused(committed):
    baseline = Baseline.read(committed / "baseline.json")
    other = records(baseline, [True])[0].model_copy(update={"closure_sha256": "f" * 64})
    with pytest.raises(SpecError, match="another scene than the baseline's"):
        decider(baseline).hear([other])


def test_every_episode_of_a_plan_is_a_scene_of_its_own_and_every_round_visits_every_cell():
    plan = plan_for("smoke", 0.1)
    order = plan.order(SUITES.get("smoke"))
    assert len({(e.task, e.seed) for e in order}) == len(order) == plan.episodes == 312
    cells = {(e.task, str(e.shift)) for e in order}
    for some in itertools.islice(zip(*[iter(order)] * len(cells), strict=False), 3):
        assert {(e.task, str(e.shift)) for e in some} == cells
    assert order == plan.order(SUITES.get("smoke")), "and it is the same plan every time"


def test_a_summary_stays_below_githubs_limit(committed, monkeypatch):
    from oodbench.gate import outputs

    baseline = Baseline.read(committed / "baseline.json")
    one = decider(baseline)
    one.hear(records(baseline, [True] * 60))
    monkeypatch.setattr(outputs, "SUMMARY_BYTES", 500)
    text = summary(one.verdict("x"))
    assert len(text.encode()) < 700
    assert "in the JSON file" in text


@pytest.mark.slow
def test_the_pytest_fixture_fails_skips_and_passes(committed, tmp_path):
    (tmp_path / "test_release.py").write_text(
        f"BASELINE, SHORT = {str(committed / 'baseline.json')!r}, {str(committed / 'short.json')!r}\n"
        "def test_same(assert_no_regression): assert_no_regression('expert', BASELINE, workers=0)\n"
        "def test_worse(assert_no_regression): assert_no_regression('no-op', BASELINE, workers=0)\n"
        "def test_open(assert_no_regression): assert_no_regression('expert', SHORT, workers=0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs"], cwd=tmp_path, capture_output=True, text=True, timeout=240
    )
    assert "1 failed, 1 passed, 1 skipped" in done.stdout, done.stdout
    assert "REGRESSION: " in done.stdout
    assert "INCONCLUSIVE" in done.stdout
