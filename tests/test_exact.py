"""No BLAS, and no function that a processor chooses, where bits count; and what is used instead is right."""

import ast
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

import oodbench
from oodbench import exact
from oodbench.policies import rotations as by_math
from oodbench.sim import rotations

PACKAGE = Path(oodbench.__file__).parent
COVERED = sorted(
    path.relative_to(PACKAGE).as_posix()
    for pattern in (
        *("sim/*.py", "shifts/*.py", "expert/*.py", "demos/labels.py", "demos/record.py", "policies/*.py"),
        *("exact.py", "golden.py", "scene.py", "seeding.py", "shift.py", "spacing.py", "surfaces.py", "task.py"),
    )
    for path in PACKAGE.glob(pattern)
    if path.name != "lighten.py"  # prepares the files of a robot once; what is used are the files
)

# What NumPy computes by BLAS, LAPACK or functions that differ by vector unit, and what differs by version.
NUMPY = {
    *("linalg", "dot", "vdot", "inner", "matmul", "einsum", "tensordot", "kron", "convolve", "correlate", "polyfit"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "sinh", "cosh", "tanh", "arcsinh", "arccosh"),
    *("arctanh", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "power", "float_power", "hypot"),
    *("cbrt", "fft", "interp", "cov", "corrcoef", "geomspace", "logspace", "polyval", "unwrap", "argsort", "matrix"),
}
MATH = {"hypot", "dist", "sumprod"}  # computed otherwise from Python 3.10 over 3.12 on
LIBRARIES = {"scipy", "numpy.linalg", "numpy.fft"}

# (module, what): why it may stay.
ALLOWED = {
    ("sim/textures.py", "np.fft"): "chosen by no processor; its last bit is far below a grey level",
    ("task.py", "math.dist"): "only compared with a distance between footprints",
    ("shifts/semantic_reference.py", "sum()"): "of integers",
    ("spacing.py", "np.interp"): "measures the table of levels, which is data afterwards",
}


def _offences(path: str) -> Iterator[tuple[str, int]]:
    """(what, line) of everything in a module that may have other bits elsewhere."""
    for node in ast.walk(ast.parse((PACKAGE / path).read_text())):
        match node:
            case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
                yield "@", node.lineno
            case ast.BinOp(op=ast.Pow(), right=exponent) | ast.AugAssign(op=ast.Pow(), value=exponent):
                constants = isinstance(node, ast.BinOp) and isinstance(node.left, ast.Constant)
                if not (isinstance(exponent, ast.Constant) and (exponent.value in (0.5, 2) or constants)):
                    yield "**", node.lineno
            case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr=name) if name in NUMPY:
                yield f"np.{name}", node.lineno
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in MATH:
                yield f"math.{name}", node.lineno
            case ast.Call(func=ast.Attribute(value=ast.expr(), attr="dot" | "argsort")):
                yield "dot() or argsort()", node.lineno
            case ast.Call(func=ast.Name(id="sum")):  # of floats compensated from Python 3.12 on
                yield "sum()", node.lineno
            case ast.Import(names=names):
                yield from ((f"import {alias.name}", node.lineno) for alias in names if _foreign(alias.name))
            case ast.ImportFrom(module=str(module)) if _foreign(module) or module == "numpy":
                yield f"import {module}", node.lineno


def _foreign(module: str) -> bool:
    return any(module == library or module.startswith(library + ".") for library in LIBRARIES)


@pytest.mark.parametrize("path", COVERED)
def test_nothing_between_a_scene_and_its_outcome_depends_on_the_processor(path):
    found = [f"{path}:{line}: {what}" for what, line in _offences(path) if (path, what) not in ALLOWED]
    assert not found, "use oodbench.exact, math, or MuJoCo's functions (sim/rotations.py): " + ", ".join(found)


def test_every_exception_is_still_needed():
    assert not {key for key in ALLOWED if key not in {(path, what) for path in COVERED for what, _ in _offences(path)}}


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("a @ b", "@"),
        ("a @= b", "@"),
        ("a ** b", "**"),
        ("a ** 3", "**"),
        ("a **= 0.3", "**"),
        ("np.linalg.norm(a)", "np.linalg"),
        ("f(np.sin)", "np.sin"),
        ("a.dot(b)", "dot() or argsort()"),
        ("math.hypot(a, b)", "math.hypot"),
        ("sum(x for x in a)", "sum()"),
        ("from scipy.spatial import transform", "import scipy.spatial"),
        ("import numpy.linalg as la", "import numpy.linalg"),
        ("from numpy import sin", "import numpy"),
        ("a ** 2 + 2 ** 20 + math.sin(a) + np.sqrt(a) + a.sum()", None),
    ],
)
def test_the_guard_sees(monkeypatch, tmp_path, code, what):
    (tmp_path / "module.py").write_text(code)
    monkeypatch.setattr(f"{__name__}.PACKAGE", tmp_path)
    assert [found for found, _ in _offences("module.py")] == ([what] if what else [])


# --- what is used instead ------------------------------------------------------------------------------------------


def test_functions_of_arrays_are_those_of_numpy():
    x = np.linspace(-30, 30, 20_001)
    assert np.allclose(exact.exp(x), np.exp(x), rtol=1e-15, atol=0)
    assert np.allclose(exact.exp(np.array([-1e4, 0.0])), [0.0, 1.0], atol=1e-300)
    above = np.geomspace(1e-6, 1e6, 20_001)
    assert np.allclose(exact.log(above), np.log(above), rtol=4e-16, atol=2e-16)
    assert np.allclose(exact.power(above, -1.3), above**-1.3, rtol=1e-14, atol=0)
    assert np.allclose(exact.sine(x), np.sin(math.tau * (x - np.rint(x))), rtol=0, atol=1e-15)


def test_vectors():
    a, b = np.array([0.3, -2.0, 1.5]), (1.0, 0.25, -4.0)
    assert exact.dot(a, b) == pytest.approx(np.dot(a, b))
    assert exact.norm(a) == pytest.approx(np.linalg.norm(a))
    assert np.allclose(exact.unit(a), a / np.linalg.norm(a))
    assert np.allclose(exact.lengths(np.stack([a, b])), np.linalg.norm([a, b], axis=1))
    assert exact.total([0.1] * 10) != math.fsum([0.1] * 10), "from left to right, in every version of Python"
    with pytest.raises(ValueError, match="shorter"):
        exact.dot(a, b[:2])


@pytest.mark.parametrize("x", [-1.0, 0.0, 0.3, 1.0, 2.75, 3.0, 9.0])
def test_interpolation(x):
    values = (0.0, 0.1, 0.5, 0.6)
    assert exact.between(x, values) == pytest.approx(np.interp(x, range(4), values))


RNG = np.random.default_rng(3)


def test_rotations_are_scipys():
    directions = RNG.normal(size=(300, 3))
    for row, length in zip(directions, [0.0, 1e-10, 1e-6, *RNG.uniform(0, 6.2, 297)], strict=True):
        vector = length * row / np.linalg.norm(row)
        there = Rotation.from_rotvec(vector)
        quat = by_math.of_vector(vector)
        assert np.allclose(np.roll(there.as_quat(), 1), quat)
        assert np.allclose(rotations.of_vector(vector), quat)
        assert np.allclose(by_math.to_vector(quat), there.as_rotvec())
        assert np.allclose(by_math.to_euler(quat), there.as_euler("xyz"))
        again = Rotation.from_quat(np.roll(by_math.of_euler(by_math.to_euler(quat)), -1))
        assert np.allclose(again.as_matrix(), there.as_matrix())
        difference = rotations.difference(rotations.of_vector(vector), np.array([1.0, 0, 0, 0]))
        assert np.allclose(difference, there.as_rotvec())


@pytest.mark.parametrize("pitch", [math.pi / 2, -math.pi / 2])
@pytest.mark.filterwarnings("ignore:Gimbal lock")
def test_euler_angles_straight_up_and_down(pitch):
    there = Rotation.from_euler("xyz", [0.3, pitch, -0.9])
    assert np.allclose(by_math.to_euler(by_math.of_euler([0.3, pitch, -0.9])), there.as_euler("xyz"), atol=1e-6)


def test_damped_least_squares():
    jacobian, wanted = RNG.normal(size=(6, 7)), RNG.normal(size=6)
    expected = jacobian.T @ np.linalg.solve(jacobian @ jacobian.T + 0.05**2 * np.eye(6), wanted)
    solver = rotations.LeastSquares(7, 0.05)
    for _ in range(2):  # nothing stays behind of the first
        assert np.allclose(solver.solve(jacobian, wanted), expected)
    assert np.allclose(rotations.applied(jacobian, expected), jacobian @ expected)
