"""What papers take from a report: a table that compiles, numbers that agree with each other, a paragraph, figures."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ENTRIES = Path(__file__).resolve().parents[2] / "leaderboard" / "entries"
RUNS = [ENTRIES / name / "core-2" for name in ("expert", "expert-noisy", "random")]
DOCUMENT = r"""\documentclass{article}
\usepackage{booktabs}
\begin{document}
\input{table}
\end{document}
"""


@pytest.fixture(scope="module")
def said() -> dict[str, str]:
    """Every text format of the report of three entries."""
    from typer.testing import CliRunner

    from oodbench.cli import app

    found = {}
    for kind in ("latex", "csv", "json", "bibtex", "markdown"):
        done = CliRunner().invoke(app, ["report", *map(str, RUNS), "--format", kind])
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
    assert "4641 episodes a policy" in said["latex"]
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
def test_figures(cli, tmp_path, kind, magic):
    done = cli("report", *RUNS, "--format", kind, "--out", f"curves.{kind}")
    assert done.returncode == 0, done.stderr
    content = (tmp_path / f"curves.{kind}").read_bytes()
    assert content.startswith(magic)
    if kind == "svg":
        assert b"visual.camera-pose" in content


def test_a_suite_without_shifts_has_no_curves_and_says_so(cli):
    done = cli("report", ENTRIES / "expert" / "think-2", "--format", "pdf")
    assert done.returncode == 2
    assert "no shifts were played" in done.stderr
