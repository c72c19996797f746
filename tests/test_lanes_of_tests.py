"""The tests' own rules: what is heavy is never silently skipped."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
CONFTEST = (Path(__file__).parent / "conftest.py").read_text(encoding="utf-8")
TESTS = """
import pytest

@pytest.mark.browser
def test_with_a_browser():
    pytest.skip("no Chromium here")

@pytest.mark.lerobot
@pytest.mark.skipif(True, reason="no .venv-lerobot")
def test_with_lerobot():
    pass

def test_of_something_optional():
    pytest.skip("no pdflatex here")
"""


@pytest.mark.parametrize(("ci", "failed"), [("true", 2), ("", 0)])
def test_in_ci_what_is_heavy_cannot_be_skipped(pytester, monkeypatch, ci, failed):
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(TESTS)
    found = pytester.inline_run("-p", "no:cacheprovider")
    passed, skipped, failures = found.listoutcomes()
    assert (len(passed), len(skipped), len(failures)) == (0, 3 - failed, failed)
    said = " ".join(str(report.longrepr) for report in [*skipped, *failures])
    assert all(reason in said for reason in ("no Chromium here", "no .venv-lerobot", "no pdflatex here"))
