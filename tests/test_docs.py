"""What the documentation says is what the package does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from oodbench.catalogue import objects
from oodbench.report.catalogue import refreshed

ROOT = Path(__file__).resolve().parents[1]


def test_the_catalogue_of_shifts_is_up_to_date():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert refreshed(text) == text, "run `make docs`"


def test_the_readmes_counts_of_objects_are_true():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    train, test, near, far = map(
        int, re.search(r"(\d+) train and (\d+) test objects, (\d+) and (\d+) rec", text).groups()
    )
    assert (train, test) == (len(objects("object", "train")), len(objects("object", "test")))
    assert (near, far) == (len(objects("receptacle", "train")), len(objects("receptacle", "test")))


def test_the_readmes_policy_runs(cli, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class MyPolicy" in block)
    (tmp_path / "my_policy.py").write_text(code)
    uri = "my_policy.py:MyPolicy?checkpoint=model.pt"
    result = cli("run", "quick", "--policy", uri, "--limit", 1, "--task", "stack", "--shift", "none", "--workers", 0)
    assert result.returncode == 0, result.stderr
    assert "0.0 %" in result.stdout


def test_contributings_shift_is_one_function_that_passes_the_contract():
    """The worked example, registered and played."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(@shift.*?)```", text, re.DOTALL)[1]
    program = (
        "from oodbench.scene import Scene, changed_channels\n"
        "from oodbench.shift import SHIFTS, Context, ShiftSpec, shift\n"
        "from oodbench.task import TASKS\n"
        f"{code}\n"
        "task = TASKS.get('put-on'); plain = task.sample(0)\n"
        "shifted = ShiftSpec.parse('execution.payload@5').apply(plain, task=task)\n"
        "assert changed_channels(plain, shifted) == {'dynamics'}\n"
        "assert shifted.dynamics.object_mass == 4.0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("command", ["run", "report", "view", "replay", "list", "doctor", "bench"])
def test_every_command_has_a_help_text_with_an_example(cli, command):
    shown = cli(command, "--help").stdout
    assert f"oodbench {command}" in shown
    assert "Example" in shown


def test_no_module_is_too_long_to_read_in_one_sitting():
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "oodbench").rglob("*.py")}
    assert max(lengths.values()) <= 450, max(lengths, key=lengths.get)
