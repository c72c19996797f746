"""`oodbench inspect`: one real observation exactly as a policy receives it, and what its actions mean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(
    policy: Annotated[str, typer.Argument(help="as for `run`")],
    task: Annotated[str, typer.Option(help="of the scene")] = "put-on",
    shift: Annotated[str, typer.Option(help="e.g. visual.camera-pose@3")] = "none",
    seed: Annotated[int, typer.Option(help="of the scene")] = 0,
    out: Annotated[Path, typer.Option(help="the pictures, as the policy gets them")] = Path("inspect.png"),
) -> None:
    """Show what a policy declares, what it is given, and what its answer does.

    Example: oodbench inspect "openpi://localhost:8000?preset=libero"
    """
    from rich.console import Console

    from oodbench.policies.inspection import inspect_policy, tables

    found = inspect_policy(policy, task, shift, seed)
    console = Console()
    for table in tables(found):
        console.print(table)
    if found.pictures:
        found.sheet().save(out)
        console.print(f"{out}: {', '.join(found.pictures)}", highlight=False, soft_wrap=True)
    for remark in found.remarks():
        console.print(f"note: {remark}", highlight=False, soft_wrap=True)
