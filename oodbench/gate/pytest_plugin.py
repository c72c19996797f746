"""pytest: `def test_release(assert_no_regression): assert_no_regression("my_policy.py:P", "baseline.json")`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from oodbench.gate.decide import Verdict


@pytest.fixture
def assert_no_regression(tmp_path: Path) -> Callable[..., Verdict]:
    """A function (policy, baseline file, inconclusive="skip", **as in oodbench.gate.decide) that plays the gate.

    A regression fails the test with what dropped; an inconclusive end skips it, or fails it with inconclusive="fail",
    or lets it pass with "pass". Returns the verdict.
    """

    def run(policy: str, baseline: str | Path, inconclusive: str = "skip", **options: Any) -> Verdict:
        from oodbench.gate.baseline import Baseline
        from oodbench.gate.decide import check
        from oodbench.gate.outputs import sentence

        verdict = check(policy, Baseline.read(Path(baseline)), **({"run": tmp_path / "gate"} | options))
        words = sentence(verdict)
        if verdict.decision == "REGRESSION" or (verdict.decision == "INCONCLUSIVE" and inconclusive == "fail"):
            pytest.fail(words, pytrace=False)
        if verdict.decision == "INCONCLUSIVE" and inconclusive == "skip":
            pytest.skip(words)
        return verdict

    return run
