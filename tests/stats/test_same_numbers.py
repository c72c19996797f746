"""Every processor prints the same numbers: the same bytes of JSON under other BLAS kernels, without numpy's vector
units, without those of the C library, with one thread; and nothing that would differ comes back unnoticed."""

from __future__ import annotations

import ast
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from oodbench.stats.sums import arcsine, rounded, sine_squared, weighted

ROOT = Path(__file__).parents[2]
NO_VECTORS = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"
KINDS = {
    "Haswell": {},
    "Prescott": {"NPY_DISABLE_CPU_FEATURES": NO_VECTORS, "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX"},
    "Nehalem": {"OPENBLAS_NUM_THREADS": "1"},
    "Sandybridge": {"NPY_DISABLE_CPU_FEATURES": NO_VECTORS},
    "Zen": {"OPENBLAS_NUM_THREADS": "2"},
}
TASKS = ("lift", "put-on", "think-color", "think-parity")
AXES = ("semantic", "visual", "execution")


def make_run(folder: Path, uri: str, skill: float) -> None:
    """A run that nobody played: 4 tasks of 30 scenes, three shifts at three severities, and words left out."""
    rng = np.random.default_rng(int(1000 * skill))
    lines = []
    for task in TASKS:
        luck = rng.normal(0, 0.2, 30)
        cells = [("none", "id", 0), ("control.blank", "control", 1)]
        cells += [(f"{axis}.some", axis, level) for axis in AXES for level in (1, 3, 5)]
        for shift, axis, level in cells:
            for seed, more in enumerate(luck.tolist()):
                won = bool(rng.random() < skill + more - 0.07 * level)
                line = {
                    "task": task, "shift": shift, "severity": level, "seed": seed, "axis": axis, "success": won,
                    "failure": None if won else ("dropped", "never-reached")[seed % 2], "steps": 50 + seed,
                    "choice": "board" if won or seed % 3 else None, "closure_sha256": f"{seed:016x}".ljust(64, "0"),
                }  # fmt: skip
                lines.append(json.dumps(line) + "\n")
    folder.mkdir()
    (folder / "episodes.jsonl").write_text("".join(lines))
    info = {
        "policy": {"uri": uri},
        "suite": {"name": "made-up", "version": 1, "sha256": "0" * 64},
        "plan": {"episodes": len(lines)},
    }
    (folder / "run.json").write_text(json.dumps(info))


def numbers(folder: Path) -> str:
    """Every kind of number that is printed, of the runs in a folder, as JSON."""
    from dataclasses import asdict

    from oodbench.gate.baseline import Baseline, GatePlan
    from oodbench.gate.decide import Decider
    from oodbench.report import compare, overview, paper, summary
    from oodbench.run.records import EpisodeRecord
    from oodbench.shift import ShiftSpec
    from oodbench.stats import blocks, clustered, discordant, power, rates, real
    from oodbench.suite import Episode

    paths = sorted(path for path in folder.iterdir() if path.is_dir())
    runs = summary.load([path.relative_to(folder) for path in paths])
    standing = overview.standing(runs)
    assert standing is not None
    ranking = standing.ranking
    rng = np.random.default_rng(0)
    plan = GatePlan(suite="smoke", suite_sha256="", margin=0.1, alpha=0.05, beta=0.1, episodes=80, every_shift=True)
    shifts = [ShiftSpec.parse(f"visual.{name}@3") for name in ("noise", "clutter", "background", "camera-pose")]
    order = [Episode("lift", shifts[i % 4], i) for i in range(80)]
    then, now = rng.random(80) < 0.9, rng.random(80) < 0.7
    base = Baseline(
        plan=plan, policy={}, versions={}, created="", closures=("",) * 80,
        success="".join("01"[int(won)] for won in then),
    )  # fmt: skip
    decider = Decider(base, order)
    records = [
        EpisodeRecord(
            task=e.task, shift=e.shift.name, severity=e.shift.severity, seed=e.seed, axis="visual", success=bool(won)
        )
        for e, won in zip(order, now, strict=True)
    ]
    decider.hear(records)
    values = {str(t): rng.normal(0.1, 0.3, 40) for t in range(3)}
    found = {
        "summary": summary.as_json(runs),
        "rows": [asdict(overview.row_of(run)) for run in runs],
        "method": asdict(overview.row_of_method("all", runs)),
        "ranking": [ranking.names, ranking.ranks, ranking.letters]
        + [x.tolist() for x in (ranking.mean, ranking.difference, ranking.half, ranking.p)],
        "compare": compare.as_json(compare.compare(*paths[:2])),
        "csv": paper.long_csv(runs),
        "gate": asdict(decider.verdict("x")) | {"plan": None},
        "mean": [asdict(clustered.clustered_mean(values)), asdict(clustered.bootstrap(values))],
        "flips": [clustered.sign_flip(values), clustered.sign_flip({"t": values["0"][:9]}, one_sided=True)],
        "design": blocks.rate(np.arange(120) // 3, np.arange(120) % 4, (rng.random(120) < 0.6).astype(int))[1],
        "rates": [asdict(f(k, 37)) for k in (0, 11, 36) for f in (rates.wilson, rates.clopper_pearson)],
        "pairs": [asdict(discordant.tango(9, 4, 61)), discordant.mcnemar(9, 4), discordant.mcnemar(9, 4, mid=True)],
        "power": [power.pairs_needed(0.8, 0.1, 0.4), power.mcnemar_power(150, 0.8, 0.1, 0.4)],
        "real": asdict(real.agreement(rng.random(9).tolist(), rng.random(9).tolist())),
    }
    return json.dumps(found, default=lambda x: x.item() if hasattr(x, "item") else str(x))


def test_every_processor_prints_the_same_numbers(tmp_path):
    for i in range(4):
        make_run(tmp_path / str(i), f"policy-{i}", 0.5 + 0.12 * i)
    command = [sys.executable, __file__, str(tmp_path)]
    found = {}
    kinds = list(KINDS.items())
    for some in (kinds[:2], kinds[2:4], kinds[4:]):
        started = {}
        for core, more in some:
            env = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_CORETYPE": core, **more}
            started[core] = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
        for core, child in started.items():
            found[core], _ = child.communicate(timeout=120)
            assert child.returncode == 0
    assert len(found["Haswell"]) > 20_000
    for core, text in found.items():
        apart = next((i for i, (a, b) in enumerate(zip(text, found["Haswell"], strict=False)) if a != b), 0)
        assert text == found["Haswell"], f"{core}: {text[max(0, apart - 80) : apart + 40]}"


# --- what the numbers are made of ----------------------------------------------------------------------------------


def test_whole_numbers_times_anything_are_exact_in_any_order():
    rng = np.random.default_rng(0)
    counts = rng.multinomial(300, np.full(300, 1 / 300), size=200)
    values = rng.normal(size=(300, 3))
    found = weighted(counts, values)
    assert found / 300 == pytest.approx((counts[:, :, None] * values).sum(1) / 300, abs=300 * 2**-51 * 5)
    order = rng.permutation(300)
    assert (weighted(counts[:, order], values[order]) == found).all()
    assert (weighted(np.asfortranarray(counts), values[:, :1])[:, 0] == weighted(counts, values[:, 0])).all()
    assert (weighted(counts, np.zeros(300)) == 0).all()
    assert weighted(np.ones((2, 3)), np.array([1e-300, 2e-300, 0.0])) == pytest.approx([3e-300] * 2, rel=1e-14, abs=0)


def test_arcsines_and_sines_are_those_of_the_c_library():
    x = np.linspace(0, 1, 2001)
    assert arcsine(x) == pytest.approx([math.asin(v) for v in x.tolist()], abs=5e-16)
    angles = np.linspace(0, math.pi / 2, 501).tolist()
    assert [sine_squared(a) for a in angles] == pytest.approx([math.sin(a) ** 2 for a in angles], abs=1e-15)
    assert rounded(1.9599639845400545) == 1.95996398454


SCANNED = ("stats", "report", "gate", "leaderboard", "cli", "run/columns.py")
NUMPY = {  # that dispatch by processor, or go through BLAS or LAPACK
    "dot", "vdot", "inner", "matmul", "tensordot", "einsum", "linalg", "cov", "corrcoef", "convolve", "correlate",
    "polyfit", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "sin", "cos", "tan", "arcsin",
    "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "power", "float_power", "cbrt", "hypot", "geomspace",
    "logspace",
}  # fmt: skip
SCIPY = {  # compiled loops that call no BLAS; `rounded` takes off what exp and log leave in their last bits
    "stats.binom", "stats.norm", "stats.t", "stats.beta", "stats.false_discovery_control", "optimize.brentq",
    "optimize.isotonic_regression", "integrate.trapezoid",
}  # fmt: skip
ALLOWED = {
    ("stats/sums.py", "@"): "of whole numbers, exact in any order",
}


def faults(source: str, name: str) -> list[str]:
    """What a file uses of the above: "file:line: what"."""
    found, tree = [], ast.parse(source)
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    scipy = {alias.asname or alias.name for node in imports if node.module == "scipy" for alias in node.names}
    for node in ast.walk(tree):
        what = ""
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            what = "@"
        elif isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow):
            right = node.right if isinstance(node, ast.BinOp) else node.value
            whole = isinstance(right, ast.Constant) and isinstance(right.value, int)
            what = "" if whole else "**"
        elif isinstance(node, ast.Attribute):
            base = node.value.id if isinstance(node.value, ast.Name) else ""
            if (base == "np" and node.attr in NUMPY) or node.attr == "dot":
                what = f"np.{node.attr}"
            elif base in scipy and f"{base}.{node.attr}" not in SCIPY:
                what = f"{base}.{node.attr}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("numpy.", "scipy.")):
            what = f"from {node.module}"
        elif isinstance(node, ast.ImportFrom) and node.module == "numpy":
            what = "from numpy"
        if what and (name, what) not in ALLOWED:
            found.append(f"{name}:{node.lineno}: {what}")
    return found


def test_nothing_that_differs_by_processor_ends_in_a_number():
    package = ROOT / "oodbench"
    files = [
        file
        for part in SCANNED
        for file in ([package / part] if part.endswith(".py") else (package / part).rglob("*.py"))
    ]
    assert len(files) > 30
    assert [f for file in files for f in faults(file.read_text(), file.relative_to(package).as_posix())] == []


@pytest.mark.parametrize(
    "line",
    [
        "a @ b", "a @= b", "np.log(a)", "a.dot(b)", "np.linalg.norm(a)", "a ** 0.5", "from numpy.linalg import norm",
        "from scipy import stats; stats.pearsonr(a, b)", "from scipy import optimize; optimize.minimize(a, b)",
    ],
)  # fmt: skip
def test_the_guard_sees(line):
    assert faults(line, "stats/x.py")


if __name__ == "__main__":
    print(numbers(Path(sys.argv[1])))
