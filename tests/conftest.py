"""Shared helpers: running the real command line, policy files, and what must not be skipped."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import traceback
from collections.abc import Generator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from oodbench import registry
from oodbench.cli import main

POLICIES = '''
import os, signal, time
import numpy as np
from pathlib import Path

HERE = Path(__file__).parent

def still(observation):
    return np.zeros((8, 7))

def six(observation):
    return np.zeros(6)

def nan(observation):
    return np.full((1, 7), np.nan)

def wild(observation):
    return np.full((1, 7), 40.0)

def boom(observation):
    raise RuntimeError("the lens fell off")

def wrong_type(observation):
    return "left"

class Once:
    """Misbehaves in the first episode that any process plays, then behaves."""
    def __init__(self, how="exit"):
        self.how = how
    def reset(self, episode):
        pass
    def act(self, observation):
        flag = HERE / "misbehaved"
        if not flag.exists():
            flag.touch()
            if self.how == "exit":
                os._exit(7)
            if self.how == "segv":
                os.kill(os.getpid(), signal.SIGSEGV)
            if self.how == "raise":
                raise RuntimeError("once")
            time.sleep(600)
        return np.zeros((8, 7))

class Slow:
    def reset(self, episode):
        pass
    def act(self, observation):
        time.sleep(0.05)
        return np.zeros((8, 7))
'''


@pytest.fixture(autouse=True)
def _nothing_read_from_paths():
    """Each test is a process of its own as far as files given by their paths go."""
    yield
    registry.forget()


HEAVY = ("browser", "lerobot")  # markers of what needs more than pip can install


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI (where CI is set) a browser or a LeRobot environment that is missing is a failure; elsewhere a skip."""
    report = yield
    if report.skipped and os.environ.get("CI") and any(item.get_closest_marker(name) for name in HEAVY):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} must not be skipped in CI. {reason}"
    return report


@pytest.fixture
def policy_file(tmp_path: Path) -> Path:
    """A file with well- and ill-behaved policies."""
    path = tmp_path / "policies.py"
    path.write_text(POLICIES)
    return path


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs `oodbench ARGS` in an empty folder, in this process: a second faster than one of its own."""

    def call(*args: object) -> subprocess.CompletedProcess[str]:
        command, out, err, code = ["oodbench", *map(str, args)], io.StringIO(), io.StringIO(), 0
        with monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(tmp_path)
            patch.syspath_prepend("")
            patch.setenv("COLUMNS", "80")
            patch.setattr(sys, "argv", command)
            try:
                main()
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
            except BaseException:
                traceback.print_exc()
                code = 1
        return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())

    return call


@pytest.fixture
def process(tmp_path: Path):
    """As `cli`, in a process of its own, as a user would: for what depends on its beginning, or ends it."""

    def call(*args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "oodbench", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=timeout, check=False)

    return call
