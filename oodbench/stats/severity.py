"""What a severity curve adds up to."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise


def area_under(curve: Mapping[float, float]) -> float | None:
    """Area under a curve of success rate over severity, as a share of its range, by the trapezoid rule.

    curve: severity -> rate, with the in-distribution rate at 0. 1 means full success at every severity that was played.
    None with fewer than two points.
    """
    points = sorted(curve.items())
    if len(points) < 2:
        return None
    area = sum((b - a) * (p + q) / 2 for (a, p), (b, q) in pairwise(points))
    return area / (points[-1][0] - points[0][0])
