"""Paired differences against scipy's paired t test, and what cannot be paired."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from oodbench.errors import RunFolderError
from oodbench.run.columns import Episodes
from oodbench.run.records import EpisodeRecord
from oodbench.stats.paired import paired_difference


def records(outcomes: np.ndarray, task: str = "put-on", scene: int = 0) -> list[EpisodeRecord]:
    """(seeds, shifts) of 0 and 1."""
    return [
        EpisodeRecord(
            task=task, shift=f"visual.{j}", severity=3.0, seed=i, axis="visual", success=bool(outcomes[i, j]),
            closure_sha256=f"{scene + 100 * i + j:064x}"[::-1],
        )
        for i in range(outcomes.shape[0])
        for j in range(outcomes.shape[1])
    ]  # fmt: skip


def test_it_is_the_paired_t_interval_over_scenes() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((30, 4)) < 0.7, rng.random((30, 4)) < 0.5
    found = paired_difference(Episodes.of(records(a)), Episodes.of(records(b)))
    assert found is not None
    assert found.interval is not None
    expected = stats.ttest_rel(a.mean(1), b.mean(1)).confidence_interval(0.95)
    assert found.value == pytest.approx(a.mean() - b.mean())
    assert (found.interval.low, found.interval.high) == pytest.approx(tuple(expected))
    assert (found.scenes, found.pairs) == (30, 120)
    assert (found.only_a, found.only_b) == (int((a & ~b).sum()), int((b & ~a).sum()))


def test_the_order_of_the_episodes_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.random((12, 3)) < 0.7, rng.random((12, 3)) < 0.5
    one, other = Episodes.of(records(a)), Episodes.of(records(b))
    assert paired_difference(Episodes.of(records(a)[::-1]), other) == paired_difference(one, other)


def test_few_scenes_give_no_interval_unless_asked_for() -> None:
    rng = np.random.default_rng(2)
    a, b = (Episodes.of(records(rng.random((7, 8)) < 0.5)) for _ in range(2))
    few = paired_difference(a, b)
    assert few is not None
    assert few.interval is None
    enough = paired_difference(a, b, fewest=5)
    assert enough is not None
    assert enough.interval is not None


def test_errors_and_missing_episodes_do_not_count() -> None:
    a = records(np.ones((12, 2)))
    b = records(np.zeros((12, 2)))
    b[0] = b[0].model_copy(update={"success": None, "error": "lost"})
    found = paired_difference(Episodes.of(a), Episodes.of(b[:-1]))
    assert found is not None
    assert found.pairs == 22
    assert found.value == 1.0
    assert paired_difference(Episodes.of(a), Episodes.of([])) is None


def test_other_scenes_are_refused() -> None:
    with pytest.raises(RunFolderError, match="not shown the same scene"):
        paired_difference(Episodes.of(records(np.ones((12, 2)))), Episodes.of(records(np.ones((12, 2)), scene=7)))
