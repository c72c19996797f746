"""`oodbench demos`: the whole way from recording to a dataset, on the real command line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(cli: Run) -> Run:
    return partial(cli, "demos")


@pytest.mark.slow
def test_record_info_render_export(run: Run, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    recorded = run("record", store, "--task", "put-on", "--episodes", "2", "--workers", "0")
    assert recorded.returncode == 0, recorded.stderr
    assert "2 episodes, about 0 MB" in recorded.stderr
    assert "sha256" in recorded.stdout
    told = run("info", store)
    assert told.stdout.splitlines()[0] == "put-on"
    assert told.stdout.splitlines()[-1] == recorded.stdout.splitlines()[-1]
    rendered = run(
        "render", store, "--out", str(tmp_path / "frames"), "--size", "64", "--wrist-size", "32", "--workers", "0"
    )
    assert rendered.returncode == 0, rendered.stderr
    assert (tmp_path / "frames" / "frames-00000.npz").exists()
    exported = run("export", store, "--out", str(tmp_path / "lerobot"), "--size", "64", "--workers", "0")
    assert exported.returncode == 0, exported.stderr
    info = json.loads((tmp_path / "lerobot" / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["total_episodes"] >= 1


def test_mistakes_are_one_line(run: Run, tmp_path: Path) -> None:
    for words, expected in (
        (("record", str(tmp_path / "x"), "--task", "put-onto"), "did you mean 'put-on'"),
        (("info", str(tmp_path / "none")), "holds no demonstrations"),
        (("render", str(tmp_path / "none"), "--out", "y", "--size", "100", "--wrist-size", "64"), "does not divide"),
    ):
        done = run(*words)
        assert done.returncode == 2
        assert expected in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
