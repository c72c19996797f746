"""The table of the arms: its figures are those of the records."""

from __future__ import annotations

import numpy as np
import pytest

import results
from oodbench.concepts import concept_of_scene
from oodbench.run.columns import Episodes
from oodbench.run.records import EpisodeRecord
from oodbench.shift import ShiftSpec
from oodbench.suite import SUITES, Episode

SHIFT = "semantic.unseen-object"


def played(wins: np.ndarray) -> Episodes:
    known = {"task": "put-on", "shift": SHIFT, "severity": 3.0, "axis": "semantic"}
    return Episodes.of(
        EpisodeRecord.model_validate({**known, "seed": seed, "closure_sha256": f"{seed:x}", "success": bool(win)})
        for seed, win in enumerate(wins)
    )


def test_rates_differences_and_concepts_are_those_of_the_records(capsys: pytest.CaptureFixture[str]) -> None:
    suite = SUITES.get("blindvla-13")
    wins = {"default-0": np.arange(20) % 2 == 0, "align-0": np.arange(20) % 4 != 3}
    results._print("blindvla-13", "put-on", {name: (suite, played(w)) for name, w in wins.items()})
    rows = {line.split("|")[1].strip(): line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")}
    assert "| default-0 - default-0" not in rows
    difference = rows["align-0 - default-0"]
    assert "+25.0 (" in difference
    assert "20 scenes" in difference
    split = rows["align-0"]  # the last table with this name is the one by concept
    concepts = [
        concept_of_scene(Episode("put-on", ShiftSpec.parse(SHIFT, 3.0), seed).scene(suite)) for seed in range(20)
    ]
    for concept in ("web", "none"):
        of = [win for win, c in zip(wins["align-0"], concepts, strict=True) if c == concept]
        assert f"{100 * np.mean(of):.1f}, n {len(of)}" in split


def test_arms_come_in_the_order_of_their_tier() -> None:
    names = ["align-0", "scratch-0", "default-0", "freeze-0"]
    assert sorted(names, key=lambda name: results._place(name, ("default", "freeze", "align"))) == [
        "default-0", "freeze-0", "align-0", "scratch-0",
    ]  # fmt: skip
