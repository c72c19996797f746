"""The table of the reference VLA's arms, from their runs: success by axis, and what each differs from `default` by.

python baselines/results.py cpu > baselines/results-cpu.md
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import numpy as np

from oodbench.concepts import concept_of_scene
from oodbench.run import columns
from oodbench.run.columns import Episodes
from oodbench.run.info import read_info
from oodbench.shift import ShiftSpec
from oodbench.stats.blocks import rate
from oodbench.stats.paired import paired_difference
from oodbench.stats.rates import Rate
from oodbench.suite import Episode, Suite
from vla.model import facts
from vla.tier import HERE, load_tier

AXES = ("id", "semantic", "visual", "execution")
BASELINE = "default"
FEW = 5  # scenes a task from which on a difference gets an interval here; fewer than elsewhere, and said so
Run = tuple[Suite, Episodes]


def main(tier: str) -> None:
    chosen = load_tier(tier)
    root = HERE.parent / "runs" / "baselines" / tier / "eval"
    for suite in sorted(path.name for path in root.iterdir()):
        order = lambda path: (path.name.rsplit("-", 1)[-1], _place(path.name, chosen.arms))  # noqa: E731
        runs = {path.name: _run(path) for path in sorted((root / suite).iterdir(), key=order)}
        for task in chosen.tasks:
            _print(suite, task, {name: (s, e[e.task.is_(task)]) for name, (s, e) in runs.items()})
    _gates(tier)


def _place(name: str, arms: tuple[str, ...]) -> int:
    """Of an arm in the tier's list; those that are not in it come last."""
    arm = name.rsplit("-", 1)[0]
    return arms.index(arm) if arm in arms else len(arms)


def _run(path: Path) -> Run:
    suite = read_info(path).suite_to_play()
    return suite, columns.read(path / "episodes.jsonl")


def _print(suite: str, task: str, runs: dict[str, Run]) -> None:
    runs = {name: run for name, run in runs.items() if len(run[1])}
    if not runs:
        return
    axes = [axis for axis in AXES if any(e.axis.is_(axis).any() for _, e in runs.values())]
    print(f"### {suite}, {task}\n")
    print("| policy | " + " | ".join(axis.upper() if axis == "id" else axis for axis in axes) + " |")
    print("|---|" + "---:|" * len(axes))
    for name, (_, found) in runs.items():
        print(f"| {name} | " + " | ".join(_score(found[found.axis.is_(axis)]) for axis in axes) + " |")
    for name, (_, found) in runs.items():
        arm, seed = name.rsplit("-", 1) if name[-1].isdigit() else (name, "")
        base = runs.get(f"{BASELINE}-{seed}")
        if arm != BASELINE and seed and base:
            print(
                f"| {name} - {BASELINE}-{seed} | "
                + " | ".join(_difference(found, base[1], axis) for axis in axes)
                + " |"
            )
    split = _by_concept(runs)
    if split:
        print(
            "\nSemantic shifts by the thing (C_robot: demonstrated, C_web: only in pretraining, C_none: never seen):\n"
        )
        concepts = sorted({c for row in split.values() for c in row}, key=("robot", "web", "none").index)
        print("| policy | " + " | ".join(f"C_{c}" for c in concepts) + " |")
        print("|---|" + "---:|" * len(concepts))
        for name, row in split.items():
            print(f"| {name} | " + " | ".join(_rate(row[c]) for c in concepts) + " |")
    print()


def _by_concept(runs: dict[str, Run]) -> dict[str, dict[str, Rate]]:
    found: dict[str, dict[str, Rate]] = {}
    for name, (suite, episodes) in runs.items():
        row: dict[str, Rate] = defaultdict(lambda: Rate(0, 0))
        for i in np.flatnonzero(episodes.axis.is_("semantic")):
            task, shift, severity, seed = episodes.key(int(i))
            scene = Episode(task, ShiftSpec.parse(shift, severity), seed).scene(suite)
            row[concept_of_scene(scene)] += episodes.rate(i[None])
        found[name] = row
    return found


def _score(episodes: Episodes) -> str:
    """Success, with an interval whose unit is the scene."""
    episodes = episodes[episodes.scored]
    rated = rate(episodes.scene_codes, episodes.cell_codes, episodes.success, fewest=FEW)
    if rated is None:
        return "-"
    found, _ = rated
    around = f" ({100 * found.interval.low:.0f}-{100 * found.interval.high:.0f})" if found.interval else ""
    return f"{100 * found.value:.1f}{around}, n {len(episodes)}"


def _rate(rate: Rate) -> str:
    if rate.value is None:
        return "-"
    return f"{100 * rate.value:.1f}, n {rate.n}"


def _difference(a: Episodes, b: Episodes, axis: str) -> str:
    found = paired_difference(a[a.axis.is_(axis)], b[b.axis.is_(axis)], fewest=FEW)
    if found is None:
        return "-"
    interval = f" ({100 * found.interval.low:+.1f} to {100 * found.interval.high:+.1f})" if found.interval else ""
    return f"{100 * found.value:+.1f}{interval}, {found.scenes} scenes"


def _gates(tier: str) -> None:
    """What the checkpoints themselves know: accuracy of the questions, errors and cosines on held-out episodes."""
    folder = HERE / "checkpoints" / tier
    known = facts(folder / "pretrained.safetensors")
    print("### Questions after pretraining\n")
    concepts = list(known["questions"])
    types = list(dict.fromkeys(t for c in concepts for t in known["questions"][c]))
    print("| question | " + " | ".join(f"C_{c}" for c in concepts) + " |")
    print("|---|" + "---:|" * len(concepts))
    for type_ in types:
        print(f"| {type_} | " + " | ".join(_share(known["questions"][c], c, [type_]) for c in concepts) + " |")
    print("| all | " + " | ".join(_share(known["questions"][c], c, types) for c in concepts) + " |")
    print("\n### Held-out demonstrations\n")
    rows: dict[str, dict[str, float]] = {
        p.stem: facts(p)["validation"] for p in sorted(folder.glob("*-[0-9]*.safetensors"))
    }
    keys = list(next(iter(rows.values()))) if rows else []
    print("| arm | " + " | ".join(keys) + " |\n|---|" + "---:|" * len(keys))
    for name, row in rows.items():
        print(f"| {name} | " + " | ".join(f"{row[key]:.4f}" for key in keys) + " |")


def _share(table: dict[str, dict[str, list[int]]], concept: str, types: list[str]) -> str:
    """Of the questions that turn on a thing of this concept."""
    right, n = (sum(table.get(t, {}).get(concept, [0, 0])[i] for t in types) for i in (0, 1))
    return f"{100 * right / n:.1f} % of {n}" if n else "-"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "cpu")
