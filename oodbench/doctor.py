"""Checks of the machine, each with the exact way out when it fails."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from oodbench.errors import OodbenchError

PINS = {"mujoco": "3.9.0"}
SPACE = 0.5  # GiB that a run wants


@dataclass(frozen=True)
class Check:
    name: str
    ok: bool
    found: str
    fix: str = ""
    warning: bool = False  # nothing is broken, but one should know


def run() -> list[Check]:
    """All checks, in the order in which things depend on each other."""
    return [_python(), *map(_pin, PINS), _numpy(), _robot(), _bits(), _gl(), _video(), _disk()]


def _python() -> Check:
    found = sys.version.split()[0]
    return Check("python", sys.version_info >= (3, 11), found, "install Python 3.11 or newer")


def _pin(name: str) -> Check:
    """Another version than the suites' and the leaderboard's works as well; its outcomes are not comparable."""
    remedy = f"pip install {name}=={PINS[name]}"
    try:
        found = version(name)
    except PackageNotFoundError:
        return Check(name, False, "missing", remedy)
    if found == PINS[name]:
        return Check(name, True, found)
    said = f"{found}; the suites' scores and the leaderboard are of {PINS[name]}, others end otherwise"
    return Check(name, True, said, f"{remedy}, to compare with them; else none needed", warning=True)


def _numpy() -> Check:
    return Check("numpy", True, version("numpy"))


def _robot() -> Check:
    def what() -> str:
        from oodbench import robots
        from oodbench.sim.robots import spec

        spec("panda").compile()
        return f"panda, from {robots.versions()['panda']} ({robots.content_sha256('panda')[:12]})"

    return _attempt("robot", what, "pip install --force-reinstall --no-deps oodbench")


def _bits() -> Check:
    """Whether the golden episode has the pinned bits here. Other bits are no fault, and no reason not to run."""
    name, pinned = "bits", ""
    try:
        from oodbench import golden

        pinned = golden.read().sha256[:12]
        found = golden.compare()
    except Exception as error:
        return Check(
            name, False, f"the golden episode cannot be played: {error}", "mend what is named above, and try again"
        )
    if found.same:
        return Check(name, True, f"same bits as the reference: {pinned}")
    since = f"from control step {found.since}" if found.since else "in the last digits only"
    return Check(
        name,
        True,
        f"other bits than the reference, {since} on; {1000 * found.apart:.3g} mm apart at the end (here "
        f"{found.sha256[:12]}, reference {pinned}; mujoco {version('mujoco')}, {_machine()})",
        "none needed: episodes are played as well here, but outcomes' hashes are not those of other machines, and "
        "`oodbench verify` judges by millimetres. The reference is mujoco "
        f"{PINS['mujoco']} on x86-64 with FMA (2013 or later) and glibc",
        warning=True,
    )


def _machine() -> str:
    """The processor and the C library, whose sine MuJoCo's kinematics call."""
    from oodbench.run.provenance import hardware

    library = " ".join(filter(None, platform.libc_ver())) or "a libc without a version"
    return f"{hardware()['cpu'] or platform.machine()}, {library}"


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
    free = shutil.disk_usage(".").free / 2**30
    return Check("disk", free > SPACE, f"{free:.1f} GiB free here", "free some space, or run in another folder")


def _attempt(name: str, probe: Callable[[], str], fix: str = "") -> Check:
    try:
        return Check(name, True, probe())
    except OodbenchError as error:
        return Check(name, False, str(error), fix or str(error))
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", fix or "reinstall oodbench")
