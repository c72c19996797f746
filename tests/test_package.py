"""An installed oodbench works from any folder; its tools answer."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from oodbench.task import TASKS

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_carries_tasks_and_assets_and_finds_them(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(installed)
    code = (
        f"import sys; sys.path.insert(0, {str(installed)!r})\n"
        "import oodbench; assert 'installed' in oodbench.__file__\n"
        "from oodbench.task import TASKS; from oodbench.suite import SUITES; from oodbench.catalogue import OBJECTS\n"
        "import oodbench.report.html\n"
        "print(len(TASKS.names()), len(SUITES.names()), len(OBJECTS.names()))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    tasks, suites, objects = map(int, found.stdout.split())
    assert tasks == len(list((ROOT / "tasks").glob("*.toml")))
    assert suites == len(list((ROOT / "tasks/suites").glob("*.toml")))
    assert objects == len(list((ROOT / "assets/objects").glob("*.toml")))
    assert (installed / "oodbench/report/templates/report.html.j2").is_file()


def test_doctor_finds_this_machine_ready(process):
    result = process("doctor", "--json")
    checks = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.returncode == 0, checks
    assert checks["mujoco"]["found"] == "3.9.0"


def test_doctor_says_how_to_fix_a_missing_cache(process, monkeypatch, tmp_path):
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "nothing"))
    result = process("doctor")
    assert result.returncode == 2
    assert "oodbench doctor --fix" in result.stdout


def test_doctor_says_which_packages_bring_opengl(process, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    result = process("doctor")
    if result.returncode:  # a machine that happens to have OSMesa passes
        assert "apt-get" in result.stdout
        assert "Traceback" not in result.stderr


@pytest.mark.slow
def test_list_json_is_complete(cli):
    shifts = json.loads(cli("list", "shifts", "--json").stdout)
    assert len([s for s in shifts if not s["shift"].startswith("control.")]) >= 40
    assert {"shift", "what", "channels", "a level of severity", "source", "STAR-Gen"} <= set(shifts[0])
    for what in ("tasks", "suites", "policies", "objects", "textures"):
        assert json.loads(cli("list", what, "--json").stdout)
        assert cli("list", what).returncode == 0


@pytest.mark.slow
def test_view_writes_a_sheet_with_a_row_a_task_and_a_column_a_severity(cli, tmp_path):
    from PIL import Image

    result = cli("view", "visual.lighting", "--severities", "0,5", "--size", "64", "--out", "sheet.png")
    assert result.returncode == 0, result.stderr
    image = Image.open(tmp_path / "sheet.png")
    assert image.width >= 2 * 64
    assert image.height >= len(TASKS.names()) * 64
    assert image.width < 3 * 64 + 64
