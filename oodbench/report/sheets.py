"""Contact sheets: what tasks, shifts, objects and textures look like, as labelled pictures."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from oodbench import catalogue
from oodbench.scene import Event, Move, Object, Push, Restage, Robot, Say, Scene
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.sim import textures as pictures
from oodbench.sim.world import World
from oodbench.suite import SUITES, Suite
from oodbench.task import TASKS, Task

MARGIN = 6
BANNER = 8  # pictures in a row of the banner
INK, PAPER = (30, 32, 36), (250, 250, 248)


def shift(
    name: str, task_names: Sequence[str] | None, severities: Sequence[float], *, seed: int, size: int, camera: str
) -> Image.Image:
    """A row a task, a column a severity of one shift; the instruction below each picture."""
    world, spec = World("high"), SHIFTS.get(name)
    chosen = [TASKS.get(task) for task in task_names] if task_names else [t for t in TASKS if spec.applies(t)]
    return _grid([_row(world, task, name, severities, seed, size, camera) for task in chosen], size)


def _row(
    world: World, task: Task, name: str, severities: Sequence[float], seed: int, size: int, camera: str
) -> list[tuple[Image.Image, str]]:
    plain, row = task.sample(seed), []
    for level in severities:
        scene = ShiftSpec.parse(name, level).apply(plain, task=task)
        world.reset(scene)
        _wait(world, scene)
        row.append((_picture(world, camera, size), f"{task.name}, {name} @ {level:g}\n{_facts(scene, plain)}"))
    return row


def _wait(world: World, scene: Scene) -> None:
    """Let pass what is to happen in mid-episode, so that the picture shows it."""
    moments = [event.step for event in scene.events if not isinstance(event, Say)]
    moments += [corruption.since for corruption in scene.sensors.corruptions if corruption.since]
    while moments and world.steps <= max(moments) + 3:
        world.step(np.zeros(7))


def shifts(names: Sequence[str], severities: Sequence[float], *, seed: int, size: int) -> Image.Image:
    """A row a shift, each in another task, a column a severity."""
    world = World("high")
    families = [task for task in TASKS if task.concept is None]
    rows = []
    for turn, name in enumerate(names):
        able = [task for task in families if SHIFTS.get(name).applies(task)]
        rows.append(_row(world, able[turn % len(able)], name, severities, seed, size, "image"))
    return _grid(rows, size)


def tasks(names: Sequence[str] | None = None, size: int = 256) -> Image.Image:
    """Four in-distribution scenes of every task, or of those that are named."""
    world = World("high")
    rows = []
    for task in [TASKS.get(name) for name in names] if names else TASKS:
        row = []
        for seed in range(4):
            world.reset(task.sample(seed))
            row.append((_picture(world, "image", size), f"{task.name}, seed {seed}\n{world.scene.instruction.text}"))
        rows.append(row)
    return _grid(rows, size)


def suite(chosen: Suite, size: int = 144) -> Image.Image:
    """What a suite shows: its shifts at their severities, each in another task; or its tasks, where it has none."""
    plan = chosen.plan(limit=1)
    names = list(dict.fromkeys(e.shift.name for e in plan if e.shift.axis in ("semantic", "visual", "execution")))
    if not names:
        return tasks(sorted({e.task for e in plan}), size)
    levels = sorted({e.shift.severity for e in plan} | {0.0})
    return shifts(names, levels[:1] + levels[-3:] if len(levels) > 4 else levels, seed=1, size=size)


def banner(size: int = 168) -> Image.Image:
    """The benchmark at a glance: a row of tasks, and a row an axis of the shifts of core-2 at their worst."""
    world, families = World("high"), [task for task in TASKS if task.concept is None]
    row = []
    for task in families[:BANNER]:
        world.reset(task.sample(1))
        row.append((_picture(world, "image", size), f"{task.name}\n{world.scene.instruction.text}"))
    rows = [row]
    names = list(dict.fromkeys(e.shift.name for e in SUITES.get("core-2").plan(limit=1)))
    for axis in ("semantic", "visual", "execution"):
        row = []
        for turn, name in enumerate([n for n in names if n.startswith(f"{axis}.")][:BANNER]):
            able = [task for task in families if SHIFTS.get(name).applies(task)]
            task = able[(turn + 3) % len(able)]
            scene = ShiftSpec.parse(name, 5.0).apply(task.sample(2), task=task)
            world.reset(scene)
            _wait(world, scene)
            said = f"\n{scene.instruction.text}" if axis == "semantic" else ""
            row.append((_picture(world, "image", size), f"{name}{said}"))
        rows.append(row)
    return _grid(rows, size)


def objects(size: int = 160, columns: int = 8) -> Image.Image:
    """Every object, alone on a table, with its name, split and novelty."""
    world = World("high")
    stage = TASKS.get("put-on").sample(0)
    cells = []
    order = {"train": 0, "dev": 1, "test": 2}
    for asset in sorted(catalogue.OBJECTS, key=lambda a: (a.kind, order[a.split], a.novelty, a.name)):
        item = Object(id="it", asset=asset.name, position=(0.0, 0.0, 0.0), yaw=2.6 if asset.kind == "cabinet" else 0.3)
        far = 0.12 + 3.2 * max(asset.radius, asset.height / 2)
        target = (0.0, 0.0, asset.height / 2)
        camera = stage.cameras[0].but(position=(0.75 * far, 0.3 * far, target[2] + 0.75 * far), target=target, fovy=32)
        goal = stage.goal.but(manipulated=(), success=(), stages=())
        world.reset(stage.but(objects=(item,), cameras=(camera, *stage.cameras[1:]), goal=goal, robot=_aside(stage)))
        novelty = f" {asset.novelty}" if asset.split != "train" else ""
        cells.append((_picture(world, "image", size), f"{asset.label}\n{asset.kind}, {asset.split}{novelty}"))
    return _grid([cells[i : i + columns] for i in range(0, len(cells), columns)], size)


def textures(size: int = 160, columns: int = 8) -> Image.Image:
    """Every texture, one tile of it, those of a surface and split in the order of their novelty."""
    cells = []
    order = {"train": 0, "dev": 1, "test": 2}
    for asset in sorted(catalogue.TEXTURES, key=lambda t: (t.surface, order[t.split], *t.novelty.values(), t.name)):
        tile = Image.fromarray(pictures.render(asset, 512)).resize((size, size), Image.Resampling.LANCZOS)
        novelty = " ".join(f"{distance:.0f}" for distance in asset.novelty.values())
        cells.append((tile, f"{asset.label}\n{'/'.join(asset.surface)}, {asset.split} {novelty}"))
    return _grid([cells[i : i + columns] for i in range(0, len(cells), columns)], size)


def _aside(scene: Scene) -> Robot:
    """The robot turned away, so that it does not stand in the picture."""
    return scene.robot.but(qpos=(math.pi * 0.8, -0.5, 0.0, -2.6, 0.0, 2.9, 0.78))


def _picture(world: World, camera: str, size: int) -> Image.Image:
    """What the policy would see, antialiased."""
    return Image.fromarray(world.see(camera, 2 * size)).resize((size, size), Image.Resampling.LANCZOS)


def _facts(scene: Scene, plain: Scene) -> str:
    """What a picture does not show: the instruction, and what happens later."""
    notes = [scene.instruction.text or "(no words)"]
    notes += [f"[step {e.step}: {_happening(e)}]" for e in scene.events]
    for part in ("dynamics", "actuation", "timing"):
        before = getattr(plain, part)
        notes += [f"[{name} {_short(value)}]" for name, value in getattr(scene, part) if value != getattr(before, name)]
    for name in ("state_noise", "delay", "loss"):
        value = getattr(scene.sensors, name)
        notes += [f"[observations: {name} {_short(value)}]"] if value else []
    return "\n".join(notes)


def _happening(event: Event) -> str:
    match event:
        case Say():
            return event.text
        case Move():
            return f"{event.object} moves"
        case Push():
            return f"{event.object} is pushed"
        case Restage():
            return "light, view or surfaces change"
    return event.kind


def _short(value: object) -> str:
    values = value if isinstance(value, tuple) else (value,)
    return " ".join(f"{v:.3g}" for v in values)


def _grid(rows: list[list[tuple[Image.Image, str]]], size: int) -> Image.Image:
    font = ImageFont.load_default(size=11)
    per_line = max(12, size // 6)
    texts = [[_wrap(label, per_line) for _, label in row] for row in rows]
    heights = [size + 14 * max(text.count("\n") + 1 for text in row) + 2 * MARGIN for row in texts]
    width = max(len(row) for row in rows) * (size + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, sum(heights) + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    y = MARGIN
    for row, labels, height in zip(rows, texts, heights, strict=True):
        for column, ((image, _), label) in enumerate(zip(row, labels, strict=True)):
            x = MARGIN + column * (size + MARGIN)
            sheet.paste(image, (x, y))
            draw.multiline_text((x, y + size + 3), label, fill=INK, font=font, spacing=2)
        y += height
    return sheet


def _wrap(text: str, width: int) -> str:
    return "\n".join(line for part in text.split("\n") for line in (textwrap.wrap(part, width) or [""]))
