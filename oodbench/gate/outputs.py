"""A verdict for people and for machines: terminal, JSON, JUnit XML, GitHub's step summary and annotations."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from oodbench.errors import OodbenchError
from oodbench.gate.decide import Group, Verdict

EXIT = {"PASS": 0, "REGRESSION": 1, "INCONCLUSIVE": 3}
INFRASTRUCTURE = 4
SUMMARY_BYTES = 1_000_000  # GitHub drops a step's summary beyond 1 MiB
ANNOTATIONS = 10  # of a kind and step


def sentence(verdict: Verdict) -> str:
    """The verdict in one line."""
    v = verdict
    rates = f"{_percent(v.candidate_rate)} against {_percent(v.baseline_rate)}"
    bounds = f"{100 * v.low:+.1f} to {100 * v.high:+.1f} whenever stopped"
    return (
        f"{v.decision}: {v.reason}. Mean success {rates}, a drop of {100 * v.drop:+.1f} points ({bounds}), "
        f"{v.episodes} of at most {v.plan.episodes} pairs"
    )


def table(verdict: Verdict) -> Table:
    found = Table(title="by shift", title_justify="left", box=SIMPLE, pad_edge=False)
    for header in ("shift", "severity", "baseline", "candidate", "pairs", "p (Holm)"):
        found.add_column(header, justify="left" if header == "shift" else "right", overflow="fold")
    for group in verdict.groups:
        style = "bold red" if group.regression else ""
        found.add_row(*_cells(group), style=style)
    return found


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Every number, with the plan and its hash."""
    content = asdict(verdict) | {"plan": verdict.plan.model_dump(mode="json"), "plan_sha256": verdict.plan.sha256}
    for group, found in zip(content["groups"], verdict.groups, strict=True):
        group["baseline"], group["candidate"] = (
            {"successes": rate.successes, "n": rate.n} for rate in (found.baseline, found.candidate)
        )
    return content | {"exit_code": EXIT[verdict.decision]}


def junit(verdict: Verdict) -> str:
    """A test case for the suite, and one a shift and severity: failed, skipped when undecided, or passed."""
    cases: list[tuple[str, str, str | None, str]] = [
        ("suite", "mean success", _state(verdict), sentence(verdict)),
        *(
            (g.shift, f"severity={g.severity:g}", "failure" if g.regression else None, _group_words(g))
            for g in verdict.groups
        ),
    ]
    name = f"oodbench.{verdict.plan.suite}"
    failures, skipped = (sum(state == kind for _, _, state, _ in cases) for kind in ("failure", "skipped"))
    root = ET.Element(
        "testsuite", name=name, tests=str(len(cases)), failures=str(failures), skipped=str(skipped), errors="0"
    )
    properties = ET.SubElement(root, "properties")
    for key, value in {
        "decision": verdict.decision, "candidate": verdict.candidate, "pairs": verdict.episodes, "drop": verdict.drop,
        "low": verdict.low, "high": verdict.high, "plan_sha256": verdict.plan.sha256,
    }.items():  # fmt: skip
        ET.SubElement(properties, "property", name=key, value=str(value))
    for where, what, state, words in cases:
        case = ET.SubElement(root, "testcase", classname=f"{name}.{where}", name=what)
        if state:
            ET.SubElement(case, state, message=words)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def summary(verdict: Verdict) -> str:
    """Markdown for GITHUB_STEP_SUMMARY, cut below its size limit."""
    made = f"Candidate `{verdict.candidate}`, baseline `{verdict.baseline.get('uri', '?')}`"
    head = [f"### oodbench: {verdict.decision}", "", sentence(verdict), "", f"{made}, plan {verdict.plan.sha256[:12]}."]
    head += ["", "| shift | severity | baseline | candidate | pairs | p (Holm) |"]
    head += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
    text = "\n".join(head) + "\n"
    for group in sorted(verdict.groups, key=lambda g: (g.p, g.shift, g.severity)):
        line = "| " + " | ".join(_cells(group)) + (" **regression** |" if group.regression else " |") + "\n"
        if len((text + line).encode()) > SUMMARY_BYTES:
            return text + "\nThe other shifts are in the JSON file.\n"
        text += line
    return text


def workflow_commands(verdict: Verdict) -> list[str]:
    """Workflow commands that show in a pull request."""
    if verdict.decision == "PASS":
        return [f"::notice title=oodbench::{sentence(verdict)}"]
    kind = "error" if verdict.decision == "REGRESSION" else "warning"
    found = [f"::{kind} title=oodbench::{sentence(verdict)}"]
    found += [f"::error title=oodbench {g.shift}::{_group_words(g)}" for g in verdict.groups if g.regression]
    return found[:ANNOTATIONS]


def write(path: Path, text: str, *, append: bool = False) -> None:
    """Raises OodbenchError when the disk will not take it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise OodbenchError(f"{path}: cannot be written ({error.strerror})") from error


def on_github() -> Path | None:
    """The step summary's file, where this runs in GitHub Actions."""
    found = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(found) if found else None


def _state(verdict: Verdict) -> str | None:
    return {"PASS": None, "REGRESSION": "failure", "INCONCLUSIVE": "skipped"}[verdict.decision]


def _cells(group: Group) -> list[str]:
    rates = [_percent(rate.value or 0.0) for rate in (group.baseline, group.candidate)]
    return [group.shift, f"{group.severity:g}", *rates, str(group.candidate.n), f"{group.p:.3g}"]


def _group_words(group: Group) -> str:
    then, now = (_percent(rate.value or 0.0) for rate in (group.baseline, group.candidate))
    return (
        f"{group.shift}@{group.severity:g}: {now} against {then} on {group.candidate.n} pairs, p {group.p:.3g} (Holm)"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
