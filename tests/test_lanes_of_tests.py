"""The tests' own rules: what is heavy is never silently skipped."""

from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.mark.parametrize(
    ("ci", "marker", "outcome"),
    [
        ("true", "browser", "failed"),
        ("true", "lerobot", "failed"),
        ("true", "slow", "skipped"),
        ("", "browser", "skipped"),
    ],
)
def test_in_ci_what_is_heavy_cannot_be_skipped(request, monkeypatch, ci, marker, outcome):
    monkeypatch.setenv("CI", ci)
    item = SimpleNamespace(nodeid="test_it", get_closest_marker=lambda name: name == marker)
    report = SimpleNamespace(skipped=True, outcome="skipped", longrepr=("test_it.py", 3, "Skipped: no Chromium here"))
    ours = request.config.pluginmanager.get_plugin(str(Path(__file__).parent / "conftest.py"))
    hook = ours.pytest_runtest_makereport(item)
    next(hook)
    with pytest.raises(StopIteration) as over:
        hook.send(report)
    assert over.value.value.outcome == outcome
    assert "no Chromium here" in str(report.longrepr)
