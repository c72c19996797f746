"""Spoilt run folders and entries are refused in so many words. Ten thousand: `python -m tests.leaderboard.fuzz`."""

from __future__ import annotations

import shutil

import pytest

from .fuzz import GIB, Ground, fuzz, peak

pytestmark = pytest.mark.xdist_group("board")


def test_a_hundred_spoilt_folders(runs, genuine, tmp_path):
    ground = Ground(tmp_path / "ground", runs, genuine)
    before = peak()
    found = fuzz(ground, 100, seed=14)
    assert found.problems == []
    assert found.ends["validate: taken"], "none reaches the pages"
    assert found.ends["submit: taken"]
    assert peak() - before < GIB


def test_the_fuzzer_sees_what_it_looks_for(runs, genuine, tmp_path):
    """A command that reads elsewhere, writes elsewhere, imports, and raises what it should not."""
    ground = Ground(tmp_path / "ground", runs, genuine)

    def bad(kind):
        def step():
            ground.out.mkdir()
            shutil.copyfile(ground.outside / "secret.mp4", ground.out / "film.mp4")
            (ground.root / "runs" / "new").touch()
            raise KeyError("x")

        yield "bad", step

    ground.steps = bad
    found = fuzz(ground, 1)
    said = "\n".join(found.problems)
    assert "bad: KeyError" in said
    assert "touched" in said
    assert "film.mp4 holds what lies elsewhere" in said
