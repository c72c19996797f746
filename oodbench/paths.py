"""Where oodbench finds its data files, and where it keeps its cache."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def data_dir(name: str) -> Path:
    """The folder `tasks` or `assets`: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def cache_dir() -> Path:
    """The user's cache of prepared assets: $OODBENCH_CACHE, else $XDG_CACHE_HOME/oodbench, else ~/.cache/oodbench.

    It can be copied to another machine, which then needs no robosuite.
    """
    override = os.environ.get("OODBENCH_CACHE")
    if override:
        return Path(override)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "oodbench"
