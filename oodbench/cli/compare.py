"""`oodbench compare`: two runs, episode by episode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer


def compare(
    a: Annotated[Path, typer.Argument(help="a run folder")],
    b: Annotated[Path, typer.Argument(help="another of the same suite")],
    format: Annotated[Literal["terminal", "markdown", "json"], typer.Option(help="what is printed")] = "terminal",
    videos: Annotated[int, typer.Option(min=0, help="scenes in which they disagree that are filmed, by both")] = 0,
    out: Annotated[Path, typer.Option(help="folder for the films")] = Path("runs/compare"),
) -> None:
    """Compare two runs in the same scenes: by axis and shift, and how the one fails where the other does not.

    Example: oodbench compare runs/core-2/aligned runs/core-2/default --videos 3
    """
    from rich.console import Console

    from oodbench.report import compare as report

    found = report.compare(a, b)
    if format == "json":
        typer.echo(json.dumps(report.as_json(found), indent=1))
    elif format == "markdown":
        typer.echo(report.markdown(found), nl=False)
    else:
        console = Console()
        for table in report.tables(found):
            console.print(table)
        for sentence in found.sentences():
            console.print(sentence, highlight=False)
        if found.unpaired:
            console.print(f"{found.unpaired} episodes were played, or ended without an error, in only one of the two.")
        whole = next((row.detectable for row in found.rows if row.kind == "all"), None)
        if whole is not None:
            console.print(f"All shifts together find a difference of {100 * whole:.1f} points with a power of 80 %.")
        console.print("- of few scenes: no interval; p of shifts: adjusted by Holm's method", style="dim")
    if not videos:
        return
    from oodbench.run.replay import replay_episode

    for name in found.disagreements[:videos]:
        for folder, letter in ((a, "a"), (b, "b")):
            path = out / f"{name.replace('/', '--')}--{letter}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            _, record, _ = replay_episode(folder, name, None, path)
            typer.echo(f"{path}: {'success' if record.success else record.failure}", err=format != "terminal")
