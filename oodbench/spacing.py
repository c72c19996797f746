"""Even spacing of the visual shifts: a level is a fifth of the way to level 5 in what can be seen, not in a parameter.

`reach` says how far a shift's parameter goes at a severity. The table behind it, assets/spacing.toml, is measured by

    python -m oodbench.spacing

which renders training scenes under each visual shift with parameters from 0 to their largest and puts the levels where
the distance of the pictures grows in even steps. The distance is 1 - SSIM (Wang et al. 2004, uniform 8 x 8 windows) of
both cameras' pictures, averaged over three scales; no policy has a part in it.
"""

from __future__ import annotations

import sys
import tomllib
from functools import lru_cache

import numpy as np

from oodbench.exact import between
from oodbench.paths import data_dir

FILE = "spacing.toml"
GRID = tuple(np.linspace(0.0, 1.0, 21)[1:])
SEEDS = range(12)
WINDOW = 8
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


EVEN = (0.2, 0.4, 0.6, 0.8, 1.0)
_measuring: set[str] = set()  # shifts whose levels are even for now, because they are being measured


def reach(name: str, severity: float) -> float:
    """How far, in [0, 1], the parameter of shift `name` goes at `severity`; linear between the levels."""
    levels = EVEN if name in _measuring else _table().get(name, EVEN)
    return between(severity, (0.0, *levels))


def spaced() -> tuple[str, ...]:
    """The shifts whose levels were measured."""
    return tuple(_table())


@lru_cache(maxsize=1)
def _table() -> dict[str, tuple[float, ...]]:
    path = data_dir("assets") / FILE
    return {name: tuple(row) for name, row in tomllib.loads(path.read_text()).items()} if path.is_file() else {}


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """How different two pictures look, (n, n, 3) uint8 each: 0 for equal ones, 1 for unrelated ones, at most 2."""
    found = []
    x, y = a.astype(float), b.astype(float)
    for _ in range(3):
        found.append(1.0 - _ssim(x, y))
        x, y = halved(x), halved(y)
    return float(np.mean(found))


def _ssim(x: np.ndarray, y: np.ndarray) -> float:
    mx, my = window_mean(x), window_mean(y)
    vx, vy, cov = window_mean(x * x) - mx * mx, window_mean(y * y) - my * my, window_mean(x * y) - mx * my
    return float((((2 * mx * my + C1) * (2 * cov + C2)) / ((mx * mx + my * my + C1) * (vx + vy + C2))).mean())


def halved(picture: np.ndarray) -> np.ndarray:
    """A picture, (n, n, k), at half its size."""
    half = len(picture) // 2
    return picture.reshape(half, 2, half, 2, -1).mean(axis=(1, 3))


def window_mean(x: np.ndarray) -> np.ndarray:
    """Mean of a picture, (n, n, k), over every WINDOW x WINDOW window, (n - WINDOW + 1, n - WINDOW + 1, k)."""
    total = np.pad(x, ((1, 0), (1, 0), (0, 0))).cumsum(axis=0).cumsum(axis=1)
    w = WINDOW
    return (total[w:, w:] - total[:-w, w:] - total[w:, :-w] + total[:-w, :-w]) / w**2


def even_levels(distances: np.ndarray) -> tuple[float, ...]:
    """Where in [0, 1] the levels 1..5 lie, from the distances at GRID, which are taken to grow."""
    grown = np.maximum.accumulate(np.concatenate([[0.0], distances]))
    grown = grown + 1e-9 * np.arange(len(grown))
    wanted = grown[-1] * np.arange(1, 6) / 5
    return tuple(round(float(x), 4) for x in np.interp(wanted, grown, (0.0, *GRID)))


def measure(name: str, severities: tuple[float, ...], seeds: range = SEEDS, size: int = 128) -> np.ndarray:
    """Mean distance of the pictures at `severities` of shift `name` from the plain ones, (len(severities),)."""
    from oodbench.pool import standard
    from oodbench.shift import SHIFTS
    from oodbench.sim.world import World
    from oodbench.task import TASKS

    world, shift = World("standard"), SHIFTS.get(name)
    found = np.zeros((len(seeds), len(severities)))
    tasks = [task for task in map(TASKS.get, standard().names("tasks")) if shift.applies(task) and task.concept is None]
    for row, seed in enumerate(seeds):
        task = tasks[seed % len(tasks)]
        plain = task.sample(seed, "spacing")
        world.reset(plain)
        cameras = [camera.name for camera in plain.cameras]
        before = [world.see(camera, size) for camera in cameras]
        for column, severity in enumerate(severities):
            scene = shift(plain, severity, task=task, split="dev")
            sensors = scene.sensors.but(corruptions=[c.but(since=0) for c in scene.sensors.corruptions])
            world.reset(scene.but(sensors=sensors))
            pictures = zip(cameras, before, strict=True)
            found[row, column] = np.mean([distance(world.see(camera, size), was) for camera, was in pictures])
    return found.mean(axis=0)


def main(wanted: list[str]) -> None:
    """Measure the shifts called `wanted`, all of them when it is empty, and rewrite the table."""
    from rich.progress import track

    from oodbench.shift import SHIFTS

    path = data_dir("assets") / FILE
    names = [n for n in SHIFTS.names() if n.startswith("visual.") and n not in UNSPACED]
    table = {name: row for name, row in _table().items() if name in names and wanted and name not in wanted}
    for name in track([name for name in names if name not in table], "visual shifts"):
        _measuring.add(name)
        try:
            table[name] = even_levels(measure(name, tuple(5 * x for x in GRID)))
        finally:
            _measuring.discard(name)
    lines = ["# Measured by `python -m oodbench.spacing`: where levels 1..5 lie between 0 and the largest parameter."]
    lines += [f'"{name}" = {list(table[name])}' for name in sorted(table)]
    part = path.with_suffix(".part")  # what was measured before stays until the new table is there
    part.write_text("\n".join(lines) + "\n")
    part.replace(path)
    _table.cache_clear()


# Those whose levels are counts or weights that a paper names, or bands of textures (surfaces.py), or made of others.
UNSPACED = (
    "visual.table-texture",
    "visual.background",
    "visual.clutter",
    "visual.object-overlay",
    "visual.image-overlay",
    "visual.sensor-onset",
    "visual.light-switch",
    "visual.camera-knock",
    "visual.theme-switch",
)

if __name__ == "__main__":
    from oodbench import spacing  # the module that shifts ask, so that it knows what is being measured

    spacing.main(sys.argv[1:])
