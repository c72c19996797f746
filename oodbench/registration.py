"""The gymnasium ids, one for every task; done when oodbench is imported, without importing the simulator."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gymnasium.envs.registration import register as _register
from gymnasium.envs.registration import registry

from oodbench.paths import data_dir
from oodbench.registry import points, things

ENV = "oodbench.env:OodbenchEnv"
ANY = "oodbench/task-v0"  # task="my.toml": one that has no id of its own


def register() -> None:
    """Register ``oodbench/<task>-v<version>`` for every task of this package and of others, and `ANY`."""
    _add(ANY)
    for name, version in (*map(_named, sorted(data_dir("tasks").glob("*.toml"))), *_of_others()):
        if version is not None:
            _add(f"oodbench/{name}-v{version}", task=name)


def _add(id: str, **kwargs: Any) -> None:
    if id not in registry:
        _register(id=id, entry_point=ENV, kwargs=kwargs)


def _named(task: Any) -> tuple[str, int | None]:
    """Name and version of a task or of its file; no version where it cannot be read.

    A broken task must not break `import gymnasium`; `oodbench list tasks` says what is wrong.
    """
    if not isinstance(task, Path):
        return str(getattr(task, "name", "")), getattr(task, "version", None)
    try:
        return task.stem, int(tomllib.loads(task.read_text(encoding="utf-8"))["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return task.stem, None


def _of_others() -> Iterator[tuple[str, int | None]]:
    for point in points("oodbench.tasks"):
        try:
            found, _ = things(point.load())
        except Exception:  # the registry of tasks says so once, when tasks are looked at
            continue
        yield from map(_named, found)
