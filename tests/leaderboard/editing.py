"""What the tests of entries do to them."""

from __future__ import annotations

import json

from oodbench.leaderboard import admission
from oodbench.leaderboard import entry as entries
from oodbench.leaderboard.admit import admit
from oodbench.leaderboard.validate import Checked, Checker, validate

from .conftest import sign

WON = {"success": True, "settled": True, "final": True, "ever": True, "failure": None}
LOST = {"success": False, "settled": False, "final": False, "ever": False, "failure": "dropped"}


def refusals(folder, replays=0, salt="") -> list[str]:
    (check,) = validate([folder], replays, salt=salt)
    return check.refused


def edit(folder, *keys, to):
    """Change a value in run.json, with the hash that fits."""
    info = json.loads((folder / "run.json").read_text())
    part = info
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    (folder / "run.json").write_text(json.dumps(info))
    sign(folder)


def say(folder, old, new):
    """Change what the authors say."""
    text = (folder / entries.INFO).read_text()
    assert old in text
    (folder / entries.INFO).write_text(text.replace(old, new))


def swap(kept, i, **changes):
    return [record.model_copy(update=changes) if n == i else record for n, record in enumerate(kept)]


def checker_of(folder) -> Checker:
    return Checker(admission.read(folder.parents[1]))


def admitted(folder, drawn=48, **options) -> Checked:
    return admit(folder, checker_of(folder), drawn=drawn, films=0, **options)
