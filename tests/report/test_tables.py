"""The think tasks' table: the row over all is the mean of the tasks' scores, each by its own number of boards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from oodbench.report.summary import RunSummary
from oodbench.report.tables import think_rows
from oodbench.run.columns import Episodes
from oodbench.run.records import EpisodeRecord


def played(task: str, wins: int, losses: int, errors: int = 0) -> list[EpisodeRecord]:
    outcomes = [True] * wins + [False] * losses + [None] * errors
    return [
        EpisodeRecord(
            task=task, shift="none", severity=0.0, seed=i, axis="id", success=won,
            choice="board" if won is not None else None, error="lost" if won is None else None,
        )
        for i, won in enumerate(outcomes)
    ]  # fmt: skip


def rows(*records: list[EpisodeRecord]) -> dict:
    run = RunSummary(Path(), {}, Episodes.of([r for some in records for r in some]), "x")
    return {row.task: row for row in think_rows(run)}


def test_the_score_over_all_is_the_mean_of_the_tasks_by_their_own_number_of_boards():
    found = rows(played("think-color", 20, 10), played("think-parity", 24, 6))
    assert found["think-color"].score == pytest.approx((2 / 3 - 1 / 3) / (2 / 3)), "three boards"
    assert found["think-parity"].score == pytest.approx((0.8 - 0.5) / 0.5), "two"
    whole = found["all"]
    assert whole.score == pytest.approx((0.5 + 0.6) / 2)
    widths = [(found[t].interval.high - found[t].interval.low) / 2 for t in ("think-color", "think-parity")]
    assert whole.score - whole.interval.low == pytest.approx(math.hypot(*widths) / 2)
    assert (whole.success.successes, whole.success.n) == (44, 60)


def test_a_task_whose_episodes_all_crashed_is_in_the_counts_and_not_in_the_mean():
    some = (played("think-color", 20, 10), played("think-parity", 24, 6))
    without, found = rows(*some), rows(*some, played("think-count", 0, 0, errors=5))
    assert found["think-count"].score is None
    assert (found["all"].score, found["all"].interval) == (without["all"].score, without["all"].interval)
    assert found["all"].success.errors == 5
    assert rows(played("think-color", 0, 0, 3), played("think-count", 0, 0, 3))["all"].score is None
