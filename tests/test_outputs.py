"""A folder of results replaces an older one, whole or not at all, and nothing that somebody else put there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oodbench.errors import OodbenchError
from oodbench.outputs import MARKER, replacing


def write(folder: Path, text: str, what: str = "site") -> None:
    with replacing(folder, what) as part:
        (part / "index.html").write_text(text)


def test_a_new_an_empty_and_an_own_folder_are_written(tmp_path):
    folder = tmp_path / "deep" / "site"
    write(folder, "1")
    (folder / "stale.html").touch()
    write(folder, "2")
    assert sorted(p.name for p in folder.iterdir()) == [MARKER, "index.html"]
    assert (folder / "index.html").read_text() == "2"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", "3")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["site"], "nothing is left beside it"


@pytest.mark.parametrize("how", ["thesis", "other marker", "linked marker", "link", "file", "git", "here", "above"])
def test_what_is_not_ours_stays(tmp_path, monkeypatch, how):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years")
    if how == "other marker":
        (folder / MARKER).write_text("docs\n")
    elif how == "linked marker":
        (tmp_path / "m").write_text("site\n")
        (folder / MARKER).symlink_to(tmp_path / "m")
    elif how != "thesis":
        (folder / MARKER).write_text("site\n")
    target = folder
    if how == "link":
        target = tmp_path / "linked"
        target.symlink_to(folder)
    elif how == "file":
        target = folder / "thesis.tex"
    elif how == "git":
        (folder / ".git").mkdir()
    elif how == "here":
        monkeypatch.chdir(folder)
        target = Path()
    elif how == "above":
        (folder / "below").mkdir()
        monkeypatch.chdir(folder / "below")
    with pytest.raises(OodbenchError, match="give another folder, or remove it yourself"):
        write(target, "1")
    assert (folder / "thesis.tex").read_text() == "years"


def test_home_and_the_root_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (tmp_path / MARKER).write_text("site\n")
    for target in (tmp_path, Path("/")):
        with pytest.raises(OodbenchError, match="not a place for a site"):
            write(target, "1")


def test_a_failure_keeps_what_was_there(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    write(folder, "1")
    with pytest.raises(ZeroDivisionError), replacing(folder, "site") as part:
        (part / "index.html").write_text(f"half {1 / 0}")
    real = os.rename

    def fail(source, target):
        if str(source).endswith(".part"):
            raise OSError(5, "Input/output error")
        real(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OodbenchError, match="Input/output error"):
        write(folder, "2")
    assert (folder / "index.html").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_what_came_there_meanwhile_stays(tmp_path):
    folder = tmp_path / "site"
    filling = replacing(folder, "site")
    filling.__enter__()
    folder.mkdir()
    (folder / "thesis.tex").write_text("years")
    with pytest.raises(OodbenchError, match="holds something else"):
        filling.__exit__(None, None, None)
    assert (folder / "thesis.tex").read_text() == "years"


def test_two_at_once_do_not_meet(tmp_path):
    folder = tmp_path / "site"
    with replacing(folder, "site") as first:
        (first / "index.html").write_text("1")
        with replacing(folder, "site") as second:
            assert first != second
            (second / "index.html").write_text("2")
        assert (first / "index.html").read_text() == "1"
    assert (folder / "index.html").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["site"]


def test_a_callers_own_marker(tmp_path):
    folder = tmp_path / "entry"
    for _ in range(2):
        with replacing(folder, "entry", "entry.toml") as part:
            (part / "entry.toml").write_text("")
    assert [p.name for p in folder.iterdir()] == ["entry.toml"]
