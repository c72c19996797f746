"""CKA against its definition and its known values."""

from __future__ import annotations

import numpy as np
import pytest

from oodbench.diagnostics.cka import cka, effective_rank, hsic, minibatch_cka
from oodbench.errors import OodbenchError


def by_gram_matrices(x: np.ndarray, y: np.ndarray) -> float:
    """Song et al. 2012, eq. 5, with the matrices written out."""
    n = len(x)
    k, m = x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(m, 0)
    one = np.ones(n)
    total = np.trace(k @ m) + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
    return float((total - 2 / (n - 2) * (one @ k @ m @ one)) / (n * (n - 3)))


def test_hsic_is_the_unbiased_estimator_of_song_et_al() -> None:
    rng = np.random.default_rng(0)
    for n, d, e in ((5, 3, 4), (40, 60, 7)):
        x, y = rng.standard_normal((n, d)) + 2.0, rng.standard_normal((n, e))
        assert hsic(x, y) == pytest.approx(by_gram_matrices(x, y), rel=1e-9)


def test_a_rotated_scaled_and_moved_copy_is_the_same() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((100, 16)) * np.arange(1, 17)
    turn, _ = np.linalg.qr(rng.standard_normal((16, 16)))
    assert cka(x, 3.7 * x @ turn + 5.0) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("n", [32, 64, 256])
def test_independent_features_have_none_however_few_examples(n: int) -> None:
    """Width 192, where the biased estimator gives 0.86, 0.75 and 0.43."""
    rng = np.random.default_rng(n)
    values = [cka(rng.standard_normal((n, 192)), rng.standard_normal((n, 192))) for _ in range(40)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(40)
    assert abs(np.mean(values)) < 0.05


def test_batches_give_about_what_the_whole_gives() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1024, 32))
    y = x @ rng.standard_normal((32, 32)) + 4.0 * rng.standard_normal((1024, 32))
    batches = [(x[i : i + 64], y[i : i + 64]) for i in range(0, 1024, 64)]
    assert minibatch_cka(batches) == pytest.approx(cka(x, y), abs=0.03)


def test_mistakes_and_dead_layers() -> None:
    with pytest.raises(OodbenchError, match="at least 4 pairs"):
        cka(np.zeros((3, 2)), np.zeros((3, 2)))
    assert np.isnan(cka(np.ones((10, 4)), np.random.default_rng(0).standard_normal((10, 4))))


def test_effective_rank_counts_directions() -> None:
    rng = np.random.default_rng(4)
    assert effective_rank(rng.standard_normal((4000, 8))) == pytest.approx(8.0, abs=0.1)
    line = rng.standard_normal((100, 1)) @ rng.standard_normal((1, 8))
    assert effective_rank(line) == pytest.approx(1.0, abs=1e-3)
