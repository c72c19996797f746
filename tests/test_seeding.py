"""Random streams are named: independent of each other, of order, of process."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oodbench.seeding import derive, generator, normal
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS

DERIVED = 265522451693248392964088221061148277088
DRAWN = [0.365407, 0.447005, 0.401126]
PARTS = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 10**6)), min_size=1, max_size=4)


@given(PARTS, PARTS)
def test_different_names_give_different_streams(a, b):
    assert (derive(*a) == derive(*b)) == (a == b)


def test_known_values_guard_against_a_silent_change():
    """Every published score depends on these draws."""
    assert derive("core-1", "put-on", 7, "layout") == DERIVED
    assert np.round(generator("core-1", "put-on", 7, "layout").uniform(size=3), 6).tolist() == DRAWN


STREAMS = {
    "random": "98513369",
    "uniform": "b3e6364e",
    "normal": "afe778c2",
    "standard_normal": "9c5a5d5a",
    "float32": "cdeec63c",
    "integers": "b531589e",
    "wide": "cba35191",
    "permutation": "06a908a7",
    "choice": "1f86abb4",
    "words": "4dc064d5",
}


def test_every_method_draws_the_same_from_every_numpy():
    """NumPy promises the bits of PCG64, not those of what is drawn with them."""
    rng = lambda: generator("pinned", 1)  # noqa: E731
    drawn = {
        "random": rng().random(2000),
        "uniform": rng().uniform(-1, 3, 2000),
        "normal": rng().normal(1, 3, 2000).round(9),  # the tails are the C library's, to its last bit
        "standard_normal": rng().standard_normal(20_000).round(9),
        "float32": rng().standard_normal(20_000, np.float32).astype(float).round(3),
        "integers": rng().integers(0, 77, 2000),
        "wide": rng().integers(0, 2**40, 2000),
        "permutation": rng().permutation(999),
        "choice": rng().choice(50, 20, replace=False),
        "words": np.array(rng().choice(list("abcdef"), 50), "U1"),
    }
    assert {name: hashlib.sha256(values.tobytes()).hexdigest()[:8] for name, values in drawn.items()} == STREAMS


def test_normal_draws_do_not_depend_on_the_c_library():
    """In the tails NumPy asks it for a logarithm, whose last bit differs between libraries."""
    draws = normal(generator("pinned", 2), 50_000)
    assert draws.dtype == np.float64
    assert np.array_equal(draws, draws.astype(np.float32)), "no more digits than any library has right"
    assert (np.abs(draws) > 3.66).any(), "a tail"
    assert np.allclose(draws, generator("pinned", 2).standard_normal(50_000), rtol=1e-7)


def test_tasks_do_not_share_draws():
    a, b = (TASKS.get(name).sample(3) for name in ("put-on", "stack"))
    assert a.robot.qpos != b.robot.qpos


def test_a_new_suite_version_draws_new_scenes():
    suite = SUITES.get("quick")
    newer = Suite.model_validate({**suite.model_dump(), "version": suite.version + 1})
    task = TASKS.get("put-on")
    assert task.sample(0, suite.namespace) != task.sample(0, newer.namespace)
