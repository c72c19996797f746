"""Checks of the machine, each with the exact way out when it fails."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from oodbench import paths
from oodbench.errors import AssetError, OodbenchError

PINS = {"mujoco": "3.9.0"}
SPACE = 0.5  # GiB that the cache and a run want


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    found: str
    fix: str = ""


def run(*, fix: bool = False) -> list[Check]:
    """All checks, in the order in which things depend on each other. fix: prepare the robot's meshes if need be."""
    return [_python(), *map(_pin, PINS), _numpy(), _cache(fix), _gl(), _video(), _disk()]


def _python() -> Check:
    found = sys.version.split()[0]
    return Check("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _pin(name: str) -> Check:
    try:
        found = version(name)
    except PackageNotFoundError:
        found = "missing"
    return Check(
        name, found == PINS[name], found, f"pip install {name}=={PINS[name]} (other versions change the physics)"
    )


def _numpy() -> Check:
    found = version("numpy")
    return Check("numpy", found.startswith("1."), found, "pip install 'numpy<2' (robosuite 1.5.2 needs it)")


def _cache(fix: bool) -> Check:
    def where() -> str:
        from oodbench.sim import robots

        if not fix and not robots.is_prepared("panda"):
            raise AssetError(f"{robots.folder('panda')}: not there")
        return f"{robots.ensure('panda')} ({robots.versions()['panda']})"

    remedy = "oodbench doctor --fix (needs robosuite), or copy this folder from a machine that has it"
    return _attempt("robot meshes", where, remedy)


def _gl() -> Check:
    def renderer() -> str:
        from oodbench.sim.render import backend, gl_info

        return f"{gl_info()['renderer']} ({backend() or 'default'})"

    return _attempt("OpenGL", renderer, "as it says")


def _video() -> Check:
    def where() -> str:
        import imageio_ffmpeg

        return imageio_ffmpeg.get_ffmpeg_exe()

    return _attempt("ffmpeg", where, "pip install --force-reinstall imageio-ffmpeg")


def _disk() -> Check:
    folder = paths.cache_dir()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    return Check("disk", free > SPACE, f"{free:.1f} GiB free at {folder}", "free some space, or set OODBENCH_CACHE")


def _attempt(name: str, probe: Callable[[], str], fix: str = "") -> Check:
    try:
        return Check(name, True, probe())
    except OodbenchError as error:
        return Check(name, False, str(error), fix or str(error))
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", fix or "reinstall oodbench")
