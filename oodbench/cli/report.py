"""`oodbench report`: run folders as tables and pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="run folders, of one suite")],
    out: Annotated[
        Path | None, typer.Option(help="the file to write (default: report.html in the run's folder)")
    ] = None,
    format: Annotated[
        Literal["html", "markdown", "json", "terminal"],
        typer.Option(help="html also prints the tables; the others print to the terminal unless --out is given"),
    ] = "html",
) -> None:
    """Sum up one or several runs: success with Wilson intervals, severity curves, failures, videos.

    Example: oodbench report runs/demo/expert runs/demo/random --out report.html
    """
    from rich.console import Console

    from oodbench.errors import RunFolderError
    from oodbench.report import html, markdown, summary, terminal
    from oodbench.report.tables import extra_tables

    console = Console()
    loaded = summary.load(runs)
    if format in ("html", "terminal"):
        console.print(terminal.axis_table({run.label: run.records for run in loaded}))
        if len(loaded) == 1 or console.width > 120:
            console.print(terminal.shift_table(loaded))
        for title, _, lines in extra_tables(loaded):
            console.print(terminal.text_table(title, lines))
    if format == "terminal":
        return
    target = out or (runs[0] if len(runs) == 1 else Path()) / "report.html"
    if format == "html":
        text = html.render(loaded, target)
    else:
        text = markdown.render(loaded) if format == "markdown" else json.dumps(summary.as_json(loaded), indent=1) + "\n"
        if out is None:
            typer.echo(text, nl=False)
            return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written ({error.strerror})") from error
    typer.echo(str(target.resolve() if format == "html" else target))
