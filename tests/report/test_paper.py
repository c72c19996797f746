"""What papers take from a report: a table that compiles, numbers that agree with each other, a paragraph, figures."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from oodbench.policies.loading import LoadedPolicy
from oodbench.run.folder import describe
from oodbench.run.plan import PlanFile
from oodbench.suite import SUITES

SKILL = {"expert": 0.99, "expert-noisy": 0.8, "random": 0.02}  # of made-up policies
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\input{table}
\end{document}
"""


def make_up(folder: Path, policy: str, suite: str) -> Path:
    """A run of a whole suite that nobody played."""
    of, rng = SUITES.get(suite), np.random.default_rng(int(100 * SKILL[policy]))
    plan = of.plan()
    folder.mkdir()
    described = describe(of, LoadedPolicy(policy, policy, lambda: None), PlanFile(("",) * len(plan)))
    (folder / "run.json").write_text(described.model_dump_json())
    with (folder / "episodes.jsonl").open("w") as file:
        for e in plan:
            won = bool(rng.random() < SKILL[policy] - 0.02 * e.shift.severity)
            line = {
                "task": e.task, "shift": e.shift.name, "severity": e.shift.severity, "seed": e.seed,
                "axis": e.shift.axis, "success": won, "steps": 50,
                "closure_sha256": hashlib.sha256(repr(e.key).encode()).hexdigest(),
            }  # fmt: skip
            file.write(json.dumps(line) + "\n")
    return folder


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> list[Path]:
    """Three runs of core-2."""
    root = tmp_path_factory.mktemp("runs")
    return [make_up(root / policy, policy, "core-2") for policy in SKILL]


@pytest.fixture(scope="module")
def said(made_up) -> dict[str, str]:
    """Every text format of the report of three runs."""
    from typer.testing import CliRunner

    from oodbench.cli import app

    found = {}
    for kind in ("latex", "csv", "json", "bibtex", "markdown"):
        done = CliRunner().invoke(app, ["report", *map(str, made_up), "--format", kind])
        assert done.exit_code == 0, done.output
        found[kind] = done.stdout
    return found


def test_the_table_compiles(said, tmp_path):
    if not shutil.which("pdflatex"):
        pytest.skip("no pdflatex here: apt-get install texlive-latex-recommended")
    (tmp_path / "table.tex").write_text(said["latex"])
    (tmp_path / "paper.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    wide = [float(w) for w in re.findall(r"Overfull \\hbox \(([\d.]+)pt too wide\)", done.stdout)]
    assert not wide, "it is wider than the text of a page"
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000


def test_the_table_says_what_the_json_says_and_marks_the_best_group(said):
    runs = {run["policy"].split("/")[0]: run for run in json.loads(said["json"])}
    for name, run in runs.items():
        line, below = re.search(rf"^({name} &.*)\n(.*)$", said["latex"], re.MULTILINE).groups()
        assert f" {100 * run['ood']['value']:.1f}" in line.replace("\\textbf{", "")
        assert f" {100 * run['axes']['visual']['value']:.1f} " in line
        low, high = run["ood"]["interval95"]
        assert f"[${100 * low:.1f}$, ${100 * high:.1f}$]" in below
        assert ("\\textbf" in line) == (name == "expert")
    assert "6489 episodes a policy" in said["latex"]
    assert runs["expert"]["suite_sha256"][:16] in said["latex"]


def test_the_csv_is_tidy(said):
    rows = list(csv.DictReader(io.StringIO(said["csv"])))
    runs = {run["policy"]: run for run in json.loads(said["json"])}
    for policy, run in runs.items():
        cells = [row for row in rows if row["policy"] == policy and row["level"] == "cell"]
        assert len(cells) == len(run["cells"])
        assert sum(int(row["n"]) for row in cells) == run["episodes"]
        (whole,) = [row for row in rows if row["policy"] == policy and row["level"] == "ood"]
        assert float(whole["value"]) == pytest.approx(run["ood"]["value"], abs=1e-6)
        assert float(whole["low"]) <= float(whole["value"]) <= float(whole["high"])


def test_the_paragraph_and_the_citation_name_what_can_be_found_again(said):
    paragraph = re.sub(r"\n% ", " ", said["latex"][said["latex"].index("% We evaluated") :])
    assert "11 tasks under 24 shifts at severities 1, 3, 5" in paragraph
    assert "simultaneous 95 % rank intervals" in paragraph
    sha = json.loads(said["json"])[0]["suite_sha256"]
    assert f"sha256 {sha}" in said["bibtex"]
    assert said["bibtex"].count("@") == 3
    assert said["bibtex"].count("{") == said["bibtex"].count("}")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "magic"), [("pdf", b"%PDF"), ("svg", b"<?xml")])
def test_figures(cli, tmp_path, made_up, kind, magic):
    done = cli("report", *made_up, "--format", kind, "--out", f"curves.{kind}")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / f"curves.{kind}").read_bytes()
    assert content.startswith(magic)
    if kind == "svg":
        assert b"visual.camera-pose" in content


def test_a_suite_without_shifts_has_no_curves_and_says_so(cli, tmp_path):
    done = cli("report", make_up(tmp_path / "think", "expert", "think-2"), "--format", "pdf")
    assert done.returncode == 2
    assert "no shifts were played" in done.stderr
