"""`oodbench demos`: demonstrations of the expert, for training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from oodbench.demos.check import TaskCheck

demos = typer.Typer(help="Demonstrations of the expert in training scenes.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="folder of demonstrations")]
Workers = Annotated[int, typer.Option(min=0, help="processes (0: in this one)")]


@demos.command("record")
def record(
    folder: Folder,
    task: Annotated[list[str], typer.Option(help="tasks")],
    episodes: Annotated[int, typer.Option(min=1, help="training scenes of each task")] = 1000,
    noise: Annotated[float, typer.Option(min=0, max=1, help="added to what is executed, away from things")] = 0.25,
    noise_near: Annotated[float, typer.Option(min=0, max=1, help="the same, near things")] = 0.08,
    kick: Annotated[float, typer.Option(min=0, max=1, help="probability, at each step, of a kick aside")] = 0.05,
    light: Annotated[float, typer.Option(min=0, max=0.9, help="how much the light varies (share)")] = 0.25,
    chunk: Annotated[int, typer.Option(min=1, help="actions that each state is labelled with")] = 8,
    workers: Workers = 2,
) -> None:
    """Record the expert, with noise on its actions and clean labels. The same command goes on where it was.

    Example: oodbench demos record runs/demos --task put-on --task stack --episodes 500
    """
    from rich.console import Console

    from oodbench.demos.record import record_all
    from oodbench.demos.store import BYTES_AN_EPISODE, DemoPlan
    from oodbench.task import TASKS

    console = Console(stderr=True)
    plan = DemoPlan(
        tasks=tuple(task), episodes=episodes, noise=noise, noise_near=noise_near, kick=kick, light=light, chunk=chunk
    )
    total = len(plan.tasks) * episodes
    for name in plan.tasks:
        TASKS.get(name)
    size = total * BYTES_AN_EPISODE / 1e6
    console.print(f"{total} episodes, about {size:.0f} MB, into {folder}", highlight=False, soft_wrap=True)
    try:
        store = record_all(folder, plan, workers)
    except KeyboardInterrupt:
        console.print("\nstopped; what was recorded is kept. The same command goes on.")
        raise typer.Exit(130) from None
    _describe(store)


@demos.command("info")
def info(folder: Folder) -> None:
    """Say what a folder holds.

    Example: oodbench demos info runs/demos
    """
    from oodbench.demos.store import DemoStore

    store = DemoStore(folder)
    print(", ".join(store.plan.tasks))
    _describe(store)


@demos.command("render")
def render(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="folder for the frames")],
    size: Annotated[int, typer.Option(min=32, help="pixels of the third-person pictures")] = 128,
    wrist_size: Annotated[int, typer.Option(min=16, help="and of the wrist pictures; a divisor of the former")] = 64,
    stride: Annotated[int, typer.Option(min=1, help="every how many control steps")] = 2,
    chunk: Annotated[int, typer.Option(min=1, help="actions a frame comes with")] = 8,
    workers: Workers = 2,
) -> None:
    """Render frames for training: pictures, state, instruction and action chunk. Goes on where it was.

    Example: oodbench demos render runs/demos --out runs/demos-frames
    """
    from oodbench.demos.frames import FramePlan, render_all
    from oodbench.demos.store import DemoStore
    from oodbench.errors import SpecError

    if size % wrist_size:
        raise SpecError(f"--wrist-size {wrist_size} does not divide --size {size}")
    store = DemoStore(folder)
    _, good, steps = store.counts()
    each = 3 * (size**2 + wrist_size**2)
    print(f"{good} episodes, about {steps / stride:.0f} frames, {steps / stride * each / 1e9:.1f} GB, into {out}")
    render_all(store, out, FramePlan(size, wrist_size, stride, chunk), workers)


@demos.command("export")
def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="folder of the LeRobot dataset; must not exist")],
    size: Annotated[int, typer.Option(min=64, help="pixels of the videos")] = 256,
    limit: Annotated[int | None, typer.Option(min=1, help="at most so many episodes")] = None,
    workers: Workers = 2,
) -> None:
    """Write a LeRobot dataset (v3.0: Parquet, MP4, meta) that lerobot's own training scripts read.

    Example: oodbench demos export runs/demos --out runs/demos-lerobot
    """
    from oodbench.demos.lerobot import export as write
    from oodbench.demos.store import DemoStore

    write(DemoStore(folder), out, size, limit, workers)
    print(f"{out}: LeRobotDataset('oodbench/demos', root='{out}')")


@demos.command("check")
def check(
    task: Annotated[list[str] | None, typer.Argument(help="tasks; all that are shipped when none is given")] = None,
    episodes: Annotated[int, typer.Option(min=1, help="training scenes of each task")] = 100,
    out: Annotated[Path | None, typer.Option(help="JSON file to write what was found to")] = None,
    workers: Workers = 2,
) -> None:
    """Check that the expert can be learned from: it succeeds as a function of the state, and its labels are smooth.

    Every scene is played clean and under the noise and kicks of demonstrations, by an expert made anew at every step.
    Exit code 1 when a task settles in fewer than 95 % of episodes under noise, or when the label changes by more than
    0.25 of the action range in a component, outside gripper changes, in more than 1 % of frames.

    Example: oodbench demos check put-on stack --episodes 100 --out runs/expert.json
    """
    import json

    from rich.console import Console

    from oodbench.demos import check as checks
    from oodbench.task import TASKS

    try:
        found = checks.check(task or TASKS.shipped_names(), episodes, workers)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    Console().print(_table(found))
    for row in found:
        for complaint in row.complaints:
            print(f"{row.task}: {complaint}")
    if out:
        bounds = {"settled": checks.SETTLED, "smooth": checks.SMOOTH, "jump": checks.JUMP}
        rows = [row.as_dict() for row in found]
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"bounds": bounds, "tasks": rows}, indent=1) + "\n", encoding="utf-8")
    raise typer.Exit(any(row.complaints for row in found))


def _table(found: list[TaskCheck]) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("task")
    table.add_column("played")
    for name in ("settled", "95 %", "steps", "smooth", "calm", "worst"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in found:
        for name, played, tally in ((row.task, "clean", row.clean), ("", "noisy", row.noisy)):
            low, high = (100 * bound for bound in tally.interval)
            table.add_row(
                name,
                played,
                f"{tally.settled} of {tally.episodes}",
                f"{low:.0f}-{high:.0f}",
                "-" if tally.steps is None else f"{tally.steps:.1f}",
                f"{100 * tally.smooth:.1f} %",
                f"{100 * tally.calm:.1f} %",
                f"{tally.worst:.2f}",
                "" if name else "fails" if row.complaints else "passes",
            )
    return table


def _describe(store: object) -> None:
    from oodbench.demos.store import DemoStore

    assert isinstance(store, DemoStore)
    tried, good, steps = store.counts()
    size = store.file.stat().st_size / 1e6 if store.file.exists() else 0.0
    print(
        f"{good} demonstrations of {tried} episodes ({good / max(tried, 1):.0%}), {steps} control steps, {size:.1f} MB"
    )
    print(f"sha256 {store.sha256}")
