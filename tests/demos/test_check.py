"""The check of the expert: it finds what stands in the way of learning from it, and says so by its exit code."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from oodbench.demos.check import Episode, Tally, TaskCheck, check
from oodbench.demos.record import demo_scene, new_expert
from oodbench.expert import SKILLS
from oodbench.sim.world import World

Run = Callable[..., "subprocess.CompletedProcess[str]"]
OWN = SKILLS.get("raised")


def _tally(settled: int, jumps: list[float], added: float = 0.0) -> Tally:
    changes, noise = np.array(jumps), np.array([0.0] * (len(jumps) - 1) + [added])
    return Tally.of(
        {
            seed: Episode(seed < settled, 30 + seed, changes, noise, None if seed < settled else "dropped")
            for seed in range(20)
        }
    )


def test_a_tally_counts() -> None:
    tally = _tally(18, [0.1, 0.3, 0.2, 0.25])
    assert (tally.settled, tally.episodes, tally.frames) == (18, 20, 80)
    assert tally.interval == pytest.approx((0.699, 0.972), abs=0.001)
    assert tally.steps == pytest.approx(38.5)
    assert tally.smooth == tally.calm == pytest.approx(0.75)
    kicked = _tally(18, [0.1, 0.2, 0.3], added=0.5)
    assert (kicked.smooth, kicked.calm) == (pytest.approx(2 / 3), 1.0)
    assert tally.worst == pytest.approx(0.3)
    assert tally.failed == {18: "dropped", 19: "dropped"}


def test_bounds() -> None:
    """95 of 100 settle under noise; the labels of 99 of 100 frames change by no more than a quarter."""
    good, rough, clumsy = _tally(19, [0.1] * 99 + [0.9]), _tally(20, [0.1] * 49 + [0.9]), _tally(18, [0.1])
    assert TaskCheck("lift", good, good).complaints == []
    assert TaskCheck("lift", clumsy, good).complaints == []
    assert "18 of 20 settle under noise" in TaskCheck("lift", good, clumsy).complaints[0]
    assert "98.0% of frames (clean)" in TaskCheck("lift", rough, good).complaints[0]
    assert "98.0% of frames (under noise)" in TaskCheck("lift", good, rough).complaints[0]
    assert TaskCheck("lift", rough, clumsy).as_dict()["passes"] is False


@pytest.mark.slow
def test_two_processes_find_what_one_does() -> None:
    one, two = (check(["lift", "put-on"], 2, workers=workers) for workers in (0, 2))
    assert one == two
    assert [row.task for row in one] == ["lift", "put-on"]


def test_the_figures_are_those_of_the_expert(monkeypatch: pytest.MonkeyPatch) -> None:
    """Played by hand: the same steps, the same changes of its labels."""
    (row,) = check(["lift"], 1, workers=0)
    world = World("fast")
    world.reset(demo_scene("lift", 0, 0.0))
    expert, labels = new_expert(world, "lift", 0), []
    while not world.status.settled:
        labels.append(expert.action())
        world.step(labels[-1].astype(np.float32))
    changes = np.abs(np.diff(labels, axis=0))
    assert row.clean.steps == len(labels)
    assert row.clean.worst == pytest.approx(changes[changes[:, 6] < 0.05, :6].max(), abs=1e-6)


def _memory(expert, item, height):
    """A skill that counts its calls, which one who is made anew cannot."""
    expert.calls = getattr(expert, "calls", 0) + 1
    return OWN(expert, item, height) if expert.calls > 1 else expert.stay()


def _flicker(expert, item, height):
    """A skill that does nothing every other step."""
    return OWN(expert, item, height) * [*[expert.world.steps % 2] * 6, 1]


@pytest.mark.parametrize(
    ("skill", "says"), [(_memory, "0 of 1 settle under noise"), (_flicker, "labels are smooth in")]
)
def test_one_that_cannot_be_learned_from_fails(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skill: Callable[..., np.ndarray], says: str
) -> None:
    monkeypatch.setitem(SKILLS._things, "raised", skill)
    done = cli("demos", "check", "lift", "--episodes", 1, "--workers", 0, "--out", "found.json")
    assert done.returncode == 1, done.stderr
    assert f"lift: {says}" in done.stdout
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["bounds"] == {"settled": 0.95, "smooth": 0.99, "jump": 0.25}
    assert found["tasks"][0]["passes"] is False
    assert says in " ".join(found["tasks"][0]["complaints"])


def test_an_unknown_task_is_named(cli: Run) -> None:
    done = cli("demos", "check", "lifft")
    assert done.returncode == 2
    assert "did you mean 'lift'" in done.stderr
