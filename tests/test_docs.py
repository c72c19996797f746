"""What the documentation says is what the package does."""

import re
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner

from oodbench.cli import app
from oodbench.pool import standard
from oodbench.suite import SUITES

ROOT = Path(__file__).resolve().parents[1]
RELEASED = (
    "core-2", "full-2", "think-2", "language-2", "sensor-2", "physical-2", "compound-2", "blindvla-13",
)  # fmt: skip


def test_the_readmes_counts_are_true():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    counts = re.search(r"(\d+) train and (\d+) test objects, (\d+) and (\d+)\s+receptacles", text).groups()
    train, test, near, far = map(int, counts)
    count = lambda kind, split: len(standard().objects_of(kind, split))  # noqa: E731
    assert (train, test) == (count("object", "train"), count("object", "test"))
    assert (near, far) == (count("receptacle", "train"), count("receptacle", "test"))
    core = re.search(r"(\d+) tasks, (\d+) shifts, severities 1, 3, 5, (\d+) episodes", text).groups()
    plan = SUITES.get("core-2").plan()
    shifts = {episode.shift.name for episode in plan} - {"none"}
    assert tuple(map(int, core)) == (len({episode.task for episode in plan}), len(shifts), len(plan))


def test_the_catalogue_names_every_released_shift_task_and_suite():
    """And is not stale when somebody adds one of his own, which is in no released suite."""
    text = (ROOT / "docs/catalogue.md").read_text(encoding="utf-8")
    plan = [episode for name in RELEASED for episode in SUITES.get(name).plan(limit=1)]
    played = {part.name for episode in plan for part, _ in episode.shift.parts}
    for name in (*RELEASED, *played, *(episode.task for episode in plan)):
        assert f"`{name}`" in text, name
    assert len(played) >= 50


def test_the_readmes_policy_runs(cli, tmp_path):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    code = next(block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "class MyPolicy" in block)
    (tmp_path / "my_policy.py").write_text(code)
    uri = "my_policy.py:MyPolicy?checkpoint=model.pt"
    result = cli("run", "quick", "--policy", uri, "--limit", 1, "--task", "stack", "--shift", "none", "--workers", 0)
    assert result.returncode == 0, result.stderr
    assert "0.0 %" in result.stdout


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
