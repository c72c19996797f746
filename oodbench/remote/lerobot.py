"""`lerobot://path`: a LeRobot checkpoint, in the environment that `oodbench lerobot-env` makes.

lerobot pins more than an evaluation's environment should, so that a process of that environment serves the policy and
this one talks to it as to any server of ours. Each worker starts its own; it ends with the worker.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from oodbench.errors import PolicyError
from oodbench.remote.client import PATIENCE, TIMEOUT, need
from oodbench.remote.native import Native

ENVIRONMENT = ".venv-lerobot"
READY = "serving on "


def connect(
    address: str,
    env: str = ENVIRONMENT,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    execute: int | None = None,
    **arguments: Any,
) -> LeRobot:
    """A LeRobot policy in a process of its own.

    address: a folder that `save_pretrained` wrote, or the name of a repository on the Hub. env: the environment, a
    folder that `oodbench lerobot-env` made. execute: actions of each chunk that are executed; default: what the
    policy's own config says. arguments: see `oodbench.interop.lerobot.load` (preset, device, cameras, ...).
    """
    need("websockets", "lerobot://")
    return LeRobot(address, Path(env), timeout, patience, execute, arguments)


class LeRobot(Native):
    def __init__(
        self, path: str, env: Path, timeout: float, patience: float, execute: int | None, arguments: dict[str, Any]
    ) -> None:
        python = env / "bin" / "python"
        if not python.exists():
            raise PolicyError(
                f"policy lerobot://{path}: no environment in {env}; make it with: oodbench lerobot-env {env}"
            )
        place = str(Path(path).resolve()) if Path(path).exists() else path
        uri = "oodbench.interop.lerobot:load?" + urlencode({"path": place, **arguments})
        command = [str(python), "-m", "oodbench", "serve", uri, "--port", "0", "--until-stdin-closes"]
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env={key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")},
        )  # fmt: skip
        super().__init__(self._address(path), timeout, patience, execute)

    def _address(self, path: str) -> str:
        """Where the server listens, which it says on its first line. Raises PolicyError with its last words."""
        assert self._server.stdout is not None
        for line in self._server.stdout:
            if READY in line:
                threading.Thread(target=self._drain, daemon=True).start()
                return line.split(READY, 1)[1].split()[0]
        code = self._server.wait()
        self._log.seek(0)
        words = [line for line in self._log.read().splitlines() if line.strip()]
        said = words[-1].removeprefix("error: ") if words else f"its server ended with exit code {code}"
        raise PolicyError(f"policy lerobot://{path}: {said}")

    def _drain(self) -> None:
        """Put what the server prints later into its log: a full pipe would stop it."""
        assert self._server.stdout is not None
        with contextlib.suppress(ValueError):  # closed meanwhile
            for line in self._server.stdout:
                self._log.write(line)
                self._log.flush()

    def close(self) -> None:
        super().close()
        if self._server.stdin:
            self._server.stdin.close()
        try:
            self._server.wait(5)
        except subprocess.TimeoutExpired:
            self._server.kill()
