"""Metrics beside success: a number an episode, its mean by axis with an interval. Open to other packages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from oodbench.errors import SpecError
from oodbench.registry import Registry
from oodbench.report.sections import Lines, report_section
from oodbench.run.columns import Episodes
from oodbench.run.records import AXES
from oodbench.stats.blocks import by_scene
from oodbench.stats.clustered import ClusteredMean, clustered_mean

if TYPE_CHECKING:
    from oodbench.report.summary import RunSummary

Compute = Callable[[Episodes], "np.ndarray | ClusteredMean | None"]


@dataclass(frozen=True)
class Metric:
    """A number that episodes have.

    Attributes:
        name: in the registry, in JSON and CSV.
        title: in tables, with the unit.
        summary: what it is.
        compute: the episodes -> a number for each, NaN where it has none; or a score of them all.
    """

    name: str
    title: str
    summary: str
    compute: Compute


@dataclass(frozen=True)
class Found:
    """A metric over some episodes. episodes: how many had a number; all of them where it is a score of its own."""

    mean: ClusteredMean | None
    episodes: int


METRICS: Registry[Metric] = Registry("metric", of=Metric)


def metric(title: str) -> Callable[[Compute], Compute]:
    """Register the decorated function as a metric, under its name with hyphens for underscores.

    It is given `Episodes` (oodbench/run/columns.py), those of one axis that ended without an error, and returns a
    number for each, (episodes,), NaN where an episode has none; the report takes the mean over tasks with
    a 95 % interval whose unit is the scene. Or it returns a `ClusteredMean` of its own, or None.

    Args:
        title: For the head of tables, with the unit: "steps to success".

    Raises:
        SpecError: The name is taken.
    """

    def register(compute: Compute) -> Compute:
        name = compute.__name__.replace("_", "-")
        summary = (compute.__doc__ or "").strip().split("\n")[0]
        METRICS.add(name, Metric(name, title, summary, compute), compute.__module__)
        return compute

    return register


@metric("control steps to success")
def steps_to_success(episodes: Episodes) -> np.ndarray:
    """Control steps until success, of the episodes that succeed."""
    return np.where(episodes.success == 1, episodes.steps, np.nan)


def measured(run: RunSummary) -> dict[str, dict[str, Found]]:
    """metric -> axis -> what it is there, of all axes that were played.

    Raises:
        SpecError: A metric gives something else than a number an episode.
    """
    e = run.episodes
    masks = {axis: e.axis.is_(axis) & e.scored for axis in AXES}
    kept = {axis: e[mask] for axis, mask in masks.items() if mask.any()}
    return {item.name: {axis: _found(item, episodes) for axis, episodes in kept.items()} for item in METRICS}


def _found(item: Metric, episodes: Episodes) -> Found:
    values = item.compute(episodes)
    if values is None or isinstance(values, ClusteredMean):
        return Found(values, len(episodes))
    values = np.asarray(values, float)
    if values.shape != (len(episodes),):
        raise SpecError(f"metric {item.name!r}: gives shape {values.shape} for {len(episodes)} episodes")
    there = np.isfinite(values)
    found = clustered_mean(by_scene(episodes.scene_codes[there], episodes.cell_codes[there], values[there]))
    return Found(found, int(there.sum()))


@report_section(
    "metrics",
    "Metrics",
    "The mean over tasks, with a 95 % interval whose unit is the scene, and the episodes that have the number.",
)
def lines(runs: Sequence[RunSummary]) -> Lines:
    """A row a policy and metric, a column an axis."""
    axes = [axis for axis in AXES if any(axis in run.axes for run in runs)]
    rows = []
    for run in runs:
        for name, found in measured(run).items():
            cells = [_cell(found.get(axis)) for axis in axes]
            if any(cell != "-" for cell in cells):
                rows.append([run.label, METRICS.get(name).title, *cells])
    return (
        [["policy", "metric", *("in-distribution" if axis == "id" else axis for axis in axes)], *rows] if rows else []
    )


def _cell(found: Found | None) -> str:
    if found is None or found.mean is None:
        return "-"
    i = found.mean.interval
    around = f" ({i.low:.3g} to {i.high:.3g})" if i else ""
    return f"{found.mean.value:.3g}{around}, n {found.episodes}"


def as_json(run: RunSummary) -> dict[str, Any]:
    """metric -> axis -> value, interval, scenes and episodes."""

    def one(found: Found) -> dict[str, Any]:
        mean = found.mean
        interval = mean.interval if mean else None
        return {
            "value": mean.value if mean else None,
            "interval95": [interval.low, interval.high] if interval else None,
            "scenes": mean.scenes if mean else 0,
            "episodes": found.episodes,
        }

    return {name: {axis: one(found) for axis, found in axes.items()} for name, axes in measured(run).items()}
