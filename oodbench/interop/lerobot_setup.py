"""Making the environment that LeRobot policies run in: lerobot's pins are many and strict."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from oodbench import __version__
from oodbench.errors import OodbenchError

HERE = Path(__file__).parent
TORCH = "torch==2.13.0"
# torchvision's compiled operators are built for CUDA's torch; beside a CPU build its import fails on describing them.
# No policy of lerobot's uses them.
CPU_TORCHVISION = (
    "import sys, types; sys.modules.setdefault('torchvision._meta_registrations', types.ModuleType('unused'))\n"
)


def make(folder: Path, python: str = sys.executable, torch: str = TORCH, say: Callable[[str], None] = print) -> Path:
    """Make, or complete, a virtual environment with lerobot and this oodbench in `folder`; returns its Python.

    python: the interpreter to make it of. torch: what to ask pip for first. Raises OodbenchError with pip's last line.
    """
    inside = folder / "bin" / "python"
    if not inside.exists():
        _run([python, "-m", "venv", str(folder)], say, f"making {folder}")
    pip = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, torch], say, f"installing {torch}")
    wanted = ["-r", str(HERE / "lerobot_env" / "dependencies.txt"), *_oodbench()]
    _run([*pip, *wanted], say, "installing oodbench and what lerobot imports")
    wanted = ["-r", str(HERE / "lerobot_env" / "no-dependencies.txt"), str(HERE / "lerobot_plugin")]
    _run([*pip, "--no-deps", *wanted], say, "installing lerobot and oodbench's plug-in for lerobot-eval")
    if subprocess.run([str(inside), "-c", "import torchvision"], capture_output=True).returncode:
        found = subprocess.run(
            [str(inside), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        (Path(found.stdout.strip()) / "oodbench_cpu_torchvision.pth").write_text(CPU_TORCHVISION)
    check = "import lerobot.policies, oodbench.interop.lerobot_eval"
    _run([str(inside), "-c", check], say, "checking that lerobot and oodbench import")
    return inside


def _oodbench() -> list[str]:
    """This oodbench: the checkout, where it runs from one, or the version that is installed."""
    root, extras = HERE.parents[1], "[pinned,remote]"
    if (root / "pyproject.toml").exists():
        return ["-e", f"{root}{extras}"]
    return [f"oodbench{extras}=={version('oodbench') or __version__}"]


def _run(command: list[str], say: Callable[[str], None], what: str) -> None:
    say(what)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        words = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise OodbenchError(f"{what} failed: {words[-1] if words else f'exit code {done.returncode}'}")
