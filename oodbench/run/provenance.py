"""What a run was made with: versions, hardware, commit; what two runs may differ in without saying so."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from oodbench import __version__, paths

PHYSICS = ("mujoco", "numpy")  # versions that may change outcomes
PACKAGES = (*PHYSICS, "gymnasium", "robosuite", "torch", "pillow", "scipy")


def versions() -> dict[str, str]:
    """Versions of oodbench, Python and the packages that matter (those that are installed)."""
    found = {"oodbench": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache
def assets_sha256() -> str:
    """Hash of all tasks and assets that oodbench ships, and of the prepared robot."""
    from oodbench.sim import robots

    digest = hashlib.sha256()
    for name in ("tasks", "assets"):
        root = paths.data_dir(name)
        for file in sorted(root.rglob("*.toml")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    digest.update(robots.cache_sha256().encode())
    return digest.hexdigest()


def hardware() -> dict[str, Any]:
    """Processor, cores, memory, operating system."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30 if hasattr(os, "sysconf") else 0.0
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "platform": platform.platform(),
    }


def git() -> dict[str, Any] | None:
    """Commit of the checkout that oodbench runs from, and whether it was changed; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    try:
        ask = lambda *words: subprocess.run(  # noqa: E731
            ["git", "-C", str(root), *words], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
        if Path(ask("rev-parse", "--show-toplevel")) != root:
            return None
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
