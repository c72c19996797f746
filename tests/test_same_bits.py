"""Scenes, episodes and pictures have the same bits under every kernel that a processor may choose.

bits/child.py does all of it in one process: an episode of every task with the expert and with recorded actions, every
shift, every corruption, texture and glyph. It is run once plainly, and once in every environment below.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # two seconds each

CHILD = Path(__file__).parent / "bits" / "child.py"
CHOSEN = ("JSIMD_FORCENONE", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "NPY_DISABLE_CPU_FEATURES", "GLIBC_TUNABLES")
CORES = (
    "Prescott",
    "Core2",
    "Nehalem",
    "Sandybridge",
    "Haswell",
    "Zen",
    "SkylakeX",
    "Cooperlake",
    "Barcelona",
    "Bulldozer",
)
NO_VECTORS = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"
NO_FMA = "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX2_Usable,-FMA_Usable,-FMA4_Usable"


def _run(**environment: str) -> dict[str, dict[str, str]]:
    """What child.py finds there. Skips where this processor cannot run it."""
    plain = {name: value for name, value in os.environ.items() if name not in CHOSEN}
    command = [sys.executable, "-W", "ignore", str(CHILD)]
    done = subprocess.run(command, env=plain | environment, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode == -signal.SIGILL:
        pytest.skip(f"this processor lacks instructions that {environment} uses")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def usual():
    return _run()


def _differing(a: dict[str, dict[str, str]], b: dict[str, dict[str, str]], *groups: str) -> list[str]:
    assert a.keys() == b.keys()
    assert all(a[group].keys() == b[group].keys() for group in groups)
    return [f"{group}: {name}" for group in groups for name in a[group] if a[group][name] != b[group][name]]


ALL = ("mujoco", "scenes", "pictures", "conversions", "models", "outcomes")


def test_everything_is_played(usual):
    from oodbench.shift import SHIFTS
    from oodbench.sim.sensors import EFFECTS
    from oodbench.task import TASKS

    for name in TASKS.names():
        assert {f"{name}: expert", f"{name}: random"} <= usual["outcomes"].keys()
    assert {*TASKS.names(), *SHIFTS.names()} <= usual["scenes"].keys()
    assert {f"sensor {kind}" for kind in EFFECTS.names()} <= usual["pictures"].keys()


@pytest.mark.parametrize("core", CORES)
def test_under_every_kernel_of_openblas(usual, core):
    found = _run(OPENBLAS_CORETYPE=core)
    if found["machine"]["openblas"] != core:
        pytest.skip(f"this OpenBLAS has no kernel {core}: it takes {found['machine']['openblas']}")
    assert not _differing(usual, found, *ALL)


@pytest.mark.parametrize("core", ["Prescott", "SkylakeX"])
def test_without_numpys_vector_units(usual, core):
    """Those that the usual machines differ in; then all that this NumPy chooses at run time."""
    for without in (NO_VECTORS, usual["machine"]["numpy"]):
        found = _run(NPY_DISABLE_CPU_FEATURES=without, OPENBLAS_CORETYPE=core)
        assert not _differing(usual, found, *ALL)
    if usual["machine"]["numpy"] != "baseline":
        assert found["machine"]["numpy"] == "baseline", "the switch had no effect"


@pytest.mark.parametrize("threads", ["1", "2"])
def test_with_one_thread_and_two(usual, threads):
    assert not _differing(usual, _run(OPENBLAS_NUM_THREADS=threads), *ALL)


def test_without_the_vector_units_of_the_jpeg_library(usual):
    assert not _differing(usual, _run(JSIMD_FORCENONE="1"), "pictures")


def test_without_the_libms_fused_operations(usual):
    """On processors without FMA, of before 2013, glibc's sine has other last bits, and MuJoCo's kinematics call it.

    So the physics there is another one, whatever oodbench does, as MuJoCo by itself shows; what is rounded is not.
    """
    found = _run(GLIBC_TUNABLES=NO_FMA)
    if found["machine"]["libm"] == usual["machine"]["libm"]:
        pytest.skip("this libc has one sine only, or this processor no FMA")
    assert not _differing(usual, found, "scenes", "pictures")
    if _differing(usual, found, "outcomes"):
        assert _differing(usual, found, "mujoco"), "MuJoCo gives the same bits: the difference is oodbench's"
