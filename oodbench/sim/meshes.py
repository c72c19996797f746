"""Triangle meshes of the object families: turned on a lathe, swept along a curve, cut out of a sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from oodbench.exact import each, lengths, unit

Mesh = tuple[np.ndarray, np.ndarray]  # vertices (n, 3) float, faces (m, 3) int


def turned(profile: Sequence[tuple[float, float]], segments: int = 20, hollow: bool = False) -> Mesh:
    """Revolve a profile of (radius, z) points, bottom to top, about the z axis.

    Ends off the axis are capped; when `hollow`, the profile is a closed loop instead (a rim).
    """
    points = [(max(r, 0.0), z) for r, z in profile]
    if hollow:
        points.append(points[0])
    else:
        if points[0][0] > 0:
            points.insert(0, (0.0, points[0][1]))
        if points[-1][0] > 0:
            points.append((0.0, points[-1][1]))
    rings = []
    cosines, sines = _circle(segments)
    for r, z in points:
        ring = np.array([[0.0, 0.0, z]]) if r == 0 else np.stack([r * cosines, r * sines, np.full(segments, z)], axis=1)
        rings.append(ring)
    return _skin(rings)


def sweep(
    path: Sequence[tuple[float, float, float]], radii: Sequence[float], segments: int = 12, flat: float = 1.0
) -> Mesh:
    """A tube along the points of `path`, with a radius at each; `flat` squeezes it along its second normal."""
    points = np.asarray(path, float)
    tangents = np.gradient(points, axis=0)
    tangents /= lengths(tangents)[:, None]
    up = np.array([0.0, 0.0, 1.0]) if abs(tangents[:, 2]).max() < 0.9 else np.array([0.0, 1.0, 0.0])
    cosines, sines = (values[:, None] for values in _circle(segments))
    rings = []
    for point, tangent, radius in zip(points, tangents, radii, strict=True):
        if radius <= 0:
            rings.append(point[None])
            continue
        side = unit(np.cross(up, tangent))
        top = np.cross(tangent, side)
        rings.append(point + radius * (cosines * side + flat * (sines * top)))
    if len(rings[0]) > 1:
        rings.insert(0, rings[0].mean(axis=0, keepdims=True))
    if len(rings[-1]) > 1:
        rings.append(rings[-1].mean(axis=0, keepdims=True))
    return _skin(rings)


def extruded(outline: Sequence[tuple[float, float]], height: float, bevel: float = 0.0) -> Mesh:
    """A star-shaped (seen from the origin) outline, counter-clockwise, raised to `height`; edges cut by `bevel`."""
    flat = np.asarray(outline, float)
    inner = flat * (1 - bevel / lengths(flat)[:, None].clip(1e-6)) if bevel else flat
    layers = (
        [(inner, 0.0), (flat, bevel), (flat, height - bevel), (inner, height)]
        if bevel
        else [(flat, 0.0), (flat, height)]
    )
    rings = [np.array([[0.0, 0.0, 0.0]])]
    rings += [np.column_stack([layer, np.full(len(layer), z)]) for layer, z in layers]
    rings.append(np.array([[0.0, 0.0, height]]))
    return _skin(rings)


def _circle(segments: int) -> tuple[np.ndarray, np.ndarray]:
    """The cosines and sines of `segments` angles all around, (segments,) each."""
    angles = [math.tau * i / segments for i in range(segments)]
    return each(math.cos, angles), each(math.sin, angles)


def rounded_rectangle(half: tuple[float, float], radius: float, per_corner: int = 4) -> list[tuple[float, float]]:
    """The outline of a rectangle with round corners, counter-clockwise."""
    points = []
    for corner, (sx, sy) in enumerate(((1, 1), (-1, 1), (-1, -1), (1, -1))):
        for step in range(per_corner + 1):
            angle = math.pi / 2 * (corner + step / per_corner)
            points.append(
                (
                    sx * (half[0] - radius) + radius * math.cos(angle),
                    sy * (half[1] - radius) + radius * math.sin(angle),
                )
            )
    return points


def star(points: int, outer: float, inner: float) -> list[tuple[float, float]]:
    """The outline of a star with its first point along +x, counter-clockwise."""
    radii = [outer, inner] * points
    return [(r * math.cos(math.pi * i / points), r * math.sin(math.pi * i / points)) for i, r in enumerate(radii)]


def _skin(rings: list[np.ndarray]) -> Mesh:
    """Join neighbouring rings of points (single points are tips) by triangles, facing outwards."""
    starts = np.cumsum([0, *(len(ring) for ring in rings)])
    faces = []
    for (a, first), (b, second) in zip(
        zip(starts, rings, strict=False), zip(starts[1:], rings[1:], strict=False), strict=False
    ):
        count = max(len(first), len(second))
        for i in range(count):
            j = (i + 1) % count
            if len(first) == 1 and len(second) > 1:
                faces.append((a, b + j, b + i))
            elif len(second) == 1 and len(first) > 1:
                faces.append((a + i, a + j, b))
            elif len(first) > 1:
                faces += [(a + i, a + j, b + j), (a + i, b + j, b + i)]
    return np.concatenate(rings), np.array(faces)
