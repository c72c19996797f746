"""Shared helpers: running the real command line, policy files, and what must not be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from oodbench import registry

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
def cli(tmp_path: Path):
    """Runs `oodbench ARGS` in an empty folder, as a user would."""

    def call(*args: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "oodbench", *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=timeout, check=False)

    return call
