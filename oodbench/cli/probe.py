"""`oodbench probe`: what policies know, look at and listen to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def probe(
    policy: Annotated[list[str], typer.Argument(help="policies as for `run`; NAME=URI names them")],
    out: Annotated[Path, typer.Option(help="folder for probe.json and the figures")] = Path("runs/probe"),
    reference: Annotated[str | None, typer.Option(help="name of the one that CKA is read against")] = None,
    scenes: Annotated[int, typer.Option(min=20, help="scenes of each concept split")] = 192,
    workers: Annotated[int, typer.Option(min=0, help="processes that render")] = 2,
) -> None:
    """Look into policies, side by side: CKA, linear probes, attention against masks, swapped instructions, t-SNE.

    Example: oodbench probe default=baselines/policy.py:load?checkpoint=cpu/default-0 \\
    align=baselines/policy.py:load?checkpoint=cpu/align-0
    """
    from rich.console import Console

    from oodbench.diagnostics import figures
    from oodbench.diagnostics import probe as diagnostics
    from oodbench.diagnostics.tables import tables

    named = [_named(text) for text in policy]
    looked, probes = diagnostics.look_into(named, lambda size: diagnostics.load_probes(out, scenes, size, workers))
    result = diagnostics.measure(looked, probes, reference)
    diagnostics.write(result, out / "probe.json")
    drawn = figures.draw(result, looked, probes, out)
    console = Console()
    for table in tables(result):
        console.print(table)
    console.print(f"{out / 'probe.json'}, {', '.join(path.name for path in drawn)}", highlight=False, soft_wrap=True)


def _named(text: str) -> tuple[str, str]:
    """(name, URI) of "name=URI", or of a URI, which is its own name."""
    head, equals, tail = text.partition("=")
    if equals and not any(c in head for c in ":/?"):
        return head, tail
    return text, text
