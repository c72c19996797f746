"""Bad input ends in one line that names it and the way out: exit code 2, no traceback."""

import pytest

from oodbench.paths import data_dir


def _one_line(result, *says):
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.returncode == 2, result.stderr
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    assert "Traceback" not in result.stderr + result.stdout
    for text in says:
        assert text in lines[0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["run", "quik", "--policy", "no-op"], ["suite 'quik'", "'quick'"]),
        (["run", "quick", "--policy", "expret"], ["policy 'expret'", "'expert'"]),
        (["run", "quick", "--policy", "no-op", "--task", "put-onn"], ["task 'put-onn'", "'put-on'"]),
        (
            ["run", "quick", "--policy", "no-op", "--shift", "visual.lightning"],
            ["'visual.lightning'", "'visual.lighting'"],
        ),
        (["run", "quick", "--policy", "no-op", "--shift", "visual.lighting@7"], ["severity 7", "[0, 5]"]),
        (["run", "quick", "--policy", "absent.py:P"], ["absent.py", "no such file"]),
        (["run", "quick", "--policy", "no_such_module:P"], ["no module 'no_such_module'"]),
        (["view", "visual.lightning"], ["'visual.lighting'"]),
        (["view", "visual.lighting", "--severities", "0,9"], ["severity 9"]),
        (["view", "visual.lighting", "--task", "stak"], ["'stack'"]),
        (["list", "shift"], ["'shifts'"]),
        (["report", "nowhere"], ["nowhere", "run.json"]),
        (["replay", "nowhere.json"], ["nowhere.json"]),
    ],
)
def test_unknown_names_and_values(cli, args, says):
    _one_line(cli(*args), *says)


def test_typers_own_usage_errors_exit_2_too(cli):
    assert cli("run", "quick").returncode == 2
    assert cli("run", "quick", "--policy", "no-op", "--limit", "0").returncode == 2


@pytest.mark.parametrize(
    ("attr", "says"),
    [
        ("six", ["shape (6,)", "(n, 7)"]),
        ("nan", ["nan", "finite"]),
        ("wild", ["40", "[-1, 1]"]),
        ("wrong_type", ["str"]),
        ("sixx", ["'sixx'", "'six'"]),
        ("Once?hwo=1", ["hwo", "how"]),
    ],
)
def test_policies_that_break_the_contract(cli, policy_file, attr, says):
    result = cli("run", "quick", "--policy", f"{policy_file}:{attr}", "--limit", 1, "--workers", 1, "--quiet")
    _one_line(result, *says)


def test_a_policy_file_that_fails_to_import(cli, tmp_path):
    (tmp_path / "broken.py").write_text("import numpy\n\nimport a_module_that_is_not_there\n")
    _one_line(cli("run", "quick", "--policy", "broken.py:P"), "a_module_that_is_not_there", "broken.py:3")
    (tmp_path / "syntax.py").write_text("x = 1\ndef f(:\n")
    _one_line(cli("run", "quick", "--policy", "syntax.py:P"), "SyntaxError", "syntax.py:2")


def test_a_misspelt_policy_file_names_its_neighbour(cli, policy_file):
    _one_line(cli("run", "quick", "--policy", f"{policy_file.parent}/policy.py:still"), "policies.py")


def test_a_folder_of_another_plan(cli):
    same = ["run", "quick", "--policy", "no-op", "--task", "stack", "--workers", 0, "--quiet", "--out", "run"]
    assert cli(*same, "--limit", 1, "--shift", "none").returncode == 0
    _one_line(cli(*same, "--limit", 2, "--shift", "none"), "another plan", "1 episodes", "2 episodes", "--out")
    other = [item if item != "no-op" else "random" for item in same]
    _one_line(cli(*other, "--limit", 1, "--shift", "none"), "another policy", "no-op", "random")


def test_a_broken_suite_names_file_line_and_key(cli, tmp_path):
    text = (data_dir("tasks") / "suites" / "quick.toml").read_text()
    (tmp_path / "a.toml").write_text(text.replace("episodes = 2", "episodes = -2"))
    _one_line(cli("run", "a.toml", "--policy", "no-op"), "a.toml:", "cells.1.episodes", "greater than 0")
    (tmp_path / "b.toml").write_text(text.replace("version = 2", "version = = 2"))
    _one_line(cli("run", "b.toml", "--policy", "no-op"), "b.toml", "line 1", "version = = 2")
    (tmp_path / "c.toml").write_text(text.replace('"visual.*"', '"visaul.*"'))
    _one_line(cli("run", "c.toml", "--policy", "no-op"), "c.toml:", "visaul")
    (tmp_path / "d.toml").write_text(text.replace("severities = [1, 3, 5]", "severities = [1, 7]"))
    _one_line(cli("run", "d.toml", "--policy", "no-op"), "d.toml", "severity 7")
