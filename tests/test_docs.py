"""What the documentation says is what the package does."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from oodbench.cli import app
from oodbench.pool import standard
from oodbench.shift import SHIFTS
from oodbench.suite import SUITES
from oodbench.task import TASKS

ROOT = Path(__file__).resolve().parents[1]


def test_the_readmes_counts_are_true():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    counts = re.search(r"(\d+) train and (\d+) test objects, (\d+) and (\d+)\s+receptacles", text).groups()
    train, test, near, far = map(int, counts)
    count = lambda kind, split: len(standard().objects_of(kind, split))  # noqa: E731
    assert (train, test) == (count("object", "train"), count("object", "test"))
    assert (near, far) == (count("receptacle", "train"), count("receptacle", "test"))
    core = re.search(r"(\d+) tasks, (\d+) shifts, severities 1, 3, 5, (\d+) episodes", text).groups()
    plan = SUITES.get("core-1").plan()
    shifts = {episode.shift.name for episode in plan} - {"none"}
    assert tuple(map(int, core)) == (len({episode.task for episode in plan}), len(shifts), len(plan))


def test_the_catalogue_names_every_shift_and_task():
    text = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in [*SHIFTS.names(), *TASKS.names(), *SUITES.names()])


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
        "shifted = ShiftSpec.parse('execution.tilted-gravity@5').apply(plain, task=task)\n"
        "assert changed_channels(plain, shifted) == {'actuation'}\n"
        "assert shifted.actuation.bias[1] == -0.1\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.slow
def test_contributings_task_is_one_file_that_the_expert_solves(cli, tmp_path):
    """The worked example, sampled and played under a shift."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = re.search(r"```toml\n(version = 1\nsummary.*?)```", text, re.DOTALL)[1]
    (tmp_path / "put-back.toml").write_text(code)
    (tmp_path / "mine.toml").write_text(
        'version = 1\nsummary = "mine"\n[[cells]]\ntasks = ["put-back.toml"]\nshifts = ["none"]\nepisodes = 2\n'
        '[[cells]]\ntasks = ["put-back.toml"]\nshifts = ["semantic.distractors"]\nseverities = [3]\nepisodes = 2\n'
    )
    result = cli("run", "mine.toml", "--policy", "expert", "--json")
    assert result.returncode == 0, result.stderr
    axes = json.loads(result.stdout)["axes"]
    assert axes["id"] == axes["semantic"] == {"successes": 2, "episodes": 2}


def _commands(group, path=()):
    for name, command in group.commands.items():
        yield from _commands(command, (*path, name)) if hasattr(command, "commands") else [(*path, name)]


COMMANDS = sorted(_commands(typer.main.get_command(app)))


def test_all_commands_are_known_here():
    assert len(COMMANDS) >= 25
    assert {("run",), ("list",), ("demos", "record"), ("leaderboard", "build")} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_a_help_text_with_an_example(command):
    shown = CliRunner().invoke(app, [*command, "--help"], prog_name="oodbench", terminal_width=200)
    assert shown.exit_code == 0, shown.output
    words = " ".join(re.sub(r"[^\x20-\x7e]", " ", shown.output).split())
    said = words.partition("Usage:")[2]
    assert said.startswith(f" oodbench {' '.join(command)}")
    example = re.search(r"Examples?: (.*)", said)
    assert example, words
    assert f"oodbench {' '.join(command)}" in example[1]


def test_no_module_is_too_long_to_read_in_one_sitting():
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT / "oodbench").rglob("*.py")}
    assert max(lengths.values()) <= 450, max(lengths, key=lengths.get)


@pytest.mark.parametrize("path", sorted((ROOT / ".github/workflows").glob("*.yml")), ids=lambda path: path.name)
def test_no_workflow_pastes_an_input_into_a_shell(path):
    """What a caller gives reaches commands as environment variables, or it could be commands itself."""
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert commands
    assert not [command for command in commands if "${{" in command]
