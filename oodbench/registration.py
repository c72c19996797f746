"""The gymnasium ids, one for every task; done when oodbench is imported, without importing the simulator."""

from __future__ import annotations

import tomllib

from gymnasium.envs.registration import register as _register
from gymnasium.envs.registration import registry

from oodbench.paths import data_dir


def register() -> None:
    """Register ``oodbench/<task>-v<version>`` for every task that oodbench ships."""
    for path in sorted(data_dir("tasks").glob("*.toml")):
        try:
            version = tomllib.loads(path.read_text(encoding="utf-8"))["version"]
        except (OSError, ValueError, KeyError):
            continue  # a broken task must not break `import gymnasium`; `oodbench list tasks` says what is wrong
        id = f"oodbench/{path.stem}-v{version}"
        if id not in registry:
            _register(id=id, entry_point="oodbench.env:OodbenchEnv", kwargs={"task": path.stem})
