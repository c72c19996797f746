"""Does the simulation rank policies as the real robot does?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from oodbench.seeding import generator
from oodbench.stats.rates import Interval

RESAMPLES = 4000


@dataclass(frozen=True)
class Agreement:
    """mmrv: mean maximum rank violation, 0 is best. pearson: correlation of the two scores, 1 is best."""

    policies: int
    mmrv: float
    mmrv_interval: Interval | None
    pearson: float | None
    pearson_interval: Interval | None


def mmrv(simulated: Sequence[float] | np.ndarray, real: Sequence[float] | np.ndarray) -> float:
    """Mean over policies of the largest real difference to a policy that the simulation ranks the other way round.

    SimplerEnv (Li et al. 2024, arXiv 2405.05941, section 4): in the units of the real score.
    """
    sim, true = np.asarray(simulated, float), np.asarray(real, float)
    violated = (sim[:, None] < sim[None, :]) != (true[:, None] < true[None, :])
    return float((np.abs(true[:, None] - true[None, :]) * violated).max(1).mean())


def agreement(simulated: Sequence[float], real: Sequence[float], resamples: int = RESAMPLES) -> Agreement:
    """MMRV and Pearson's r, with bootstrap intervals over policies where there are at least five.

    Raises ValueError: fewer than two policies, or not as many of the one as of the other.
    """
    sim, true = np.asarray(simulated, float), np.asarray(real, float)
    if len(sim) != len(true) or len(sim) < 2:
        raise ValueError(f"{len(sim)} simulated and {len(true)} real scores; at least two of each are needed")
    r = float(pearson(sim[None], true[None])[0]) if sim.std() > 0 and true.std() > 0 else None
    if len(sim) < 5:
        return Agreement(len(sim), mmrv(sim, true), None, r, None)
    rng = generator("real", len(sim))
    drawn = rng.integers(len(sim), size=(resamples, len(sim)))
    violations = [mmrv(sim[i], true[i]) for i in drawn]
    with np.errstate(invalid="ignore", divide="ignore"):
        rs = pearson(sim[drawn], true[drawn])
    around = Interval(*(float(x) for x in np.nanquantile(rs, (0.025, 0.975)))) if r is not None else None
    return Agreement(
        len(sim), mmrv(sim, true), Interval(*(float(x) for x in np.quantile(violations, (0.025, 0.975)))), r, around
    )


def pearson(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the rows of two arrays.

    Args:
        a: (rows, n).
        b: (rows, n).

    Returns:
        (rows,), from -1 to 1; not a number where one of the rows is constant.
    """
    a, b = (x - x.mean(1, keepdims=True) for x in (a, b))
    return np.clip((a * b).sum(1) / np.sqrt((a**2).sum(1) * (b**2).sum(1)), -1.0, 1.0)
