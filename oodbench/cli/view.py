"""`oodbench view`: contact sheets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL.Image import Image


def view(
    shift: Annotated[
        str, typer.Argument(help="a shift, several with commas, an axis, or 'objects', 'textures', 'tasks', 'banner'")
    ],
    task: Annotated[list[str] | None, typer.Option("--task", help="only these tasks")] = None,
    severities: Annotated[str, typer.Option(help="columns")] = "0,1,3,5",
    seed: Annotated[int, typer.Option(help="the scene")] = 0,
    size: Annotated[int, typer.Option(help="pixels of one picture")] = 256,
    camera: Annotated[str, typer.Option(help="image or wrist_image")] = "image",
    out: Annotated[Path | None, typer.Option(help="PNG to write (default: <shift>.png)")] = None,
) -> None:
    """Draw a contact sheet: a row a task, or a shift of an axis; a column a severity. Or all objects, textures,
    tasks; or a banner of tasks and shifts.

    Example: oodbench view visual.lighting --severities 0,1,2,3,4,5 --out lighting.png
    """
    from oodbench.errors import SpecError
    from oodbench.report import sheets
    from oodbench.shift import AXES, SHIFTS

    if shift in ("objects", "textures", "tasks", "banner"):
        draw: dict[str, Callable[[], Image]] = {
            "objects": sheets.objects, "textures": sheets.textures, "tasks": lambda: sheets.tasks(task or None),
            "banner": sheets.banner,
        }  # fmt: skip
        sheet = draw[shift]()
    else:
        try:
            levels = [float(part) for part in severities.split(",")]
        except ValueError:
            raise SpecError(f"severities {severities!r}: must be numbers with commas, e.g. 0,1,3,5") from None
        if shift in AXES or "," in shift:
            names = shift.split(",") if "," in shift else [s.name for s in SHIFTS if s.axis == shift]
            sheet = sheets.shifts(names, levels, seed=seed, size=size)
        else:
            sheet = sheets.shift(shift, task or None, levels, seed=seed, size=size, camera=camera)
    path = out or Path(f"{shift}.png")
    sheet.save(path, quality=88)
    typer.echo(str(path))
