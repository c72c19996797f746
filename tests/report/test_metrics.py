"""Metrics: a number an episode, its mean by axis with an interval whose unit is the scene."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.errors import SpecError
from oodbench.report import metrics
from oodbench.report.summary import RunSummary
from oodbench.run.columns import Episodes
from oodbench.run.records import EpisodeRecord


@pytest.fixture
def run(tmp_path) -> RunSummary:
    """Twenty scenes, of which every other one succeeds, the n-th after n steps; and one error."""
    records = [
        EpisodeRecord(task="lift", shift="none", severity=0, seed=n, axis="id", success=n % 2 == 0, steps=n)
        for n in range(20)
    ]
    records.append(EpisodeRecord(task="lift", shift="none", severity=0, seed=99, axis="id", steps=500, error="lost"))
    return RunSummary(tmp_path, {}, Episodes.of(records), "someone")


def test_steps_to_success_are_of_episodes_that_succeed(run):
    found = metrics.measured(run)["steps-to-success"]["id"]
    assert (found.mean.value, found.episodes) == (9.0, 10)
    assert found.mean.interval.low < 9.0 < found.mean.interval.high
    assert metrics.as_json(run)["steps-to-success"]["id"]["scenes"] == 10
    assert "n 10" in metrics.lines([run])[1][2]


def test_a_metric_that_gives_no_number_an_episode_is_named(run, monkeypatch):
    broken = metrics.Metric("broken", "broken", "", lambda episodes: np.zeros(3))
    monkeypatch.setattr(metrics.METRICS, "_things", {"broken": broken})
    with pytest.raises(SpecError, match=r"metric 'broken': gives shape \(3,\) for 20 episodes"):
        metrics.measured(run)
