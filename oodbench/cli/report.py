"""`oodbench report`: run folders as tables and pages."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(help="run folders, of one suite")],
    out: Annotated[
        Path | None, typer.Option(help="the file to write (default: report.html in the run's folder)")
    ] = None,
    format: Annotated[
        Literal["html", "markdown", "latex", "csv", "json", "bibtex", "pdf", "svg", "terminal"],
        typer.Option(
            help="html also prints the tables; pdf and svg are the severity curves; the others print to the terminal "
            "unless --out is given"
        ),
    ] = "html",
) -> None:
    """Sum up one or several runs: success with intervals, ranks, severity curves, failures, videos; as a page, or for
    a paper: a LaTeX table with a methods paragraph, long CSV, citations, figures.

    Examples: oodbench report runs/demo/expert runs/demo/random --out report.html;
    oodbench report runs/core-2/* --format latex --out table.tex
    """
    from rich.console import Console

    from oodbench.errors import RunFolderError
    from oodbench.report import html, markdown, paper, summary, terminal
    from oodbench.report.tables import extra_tables

    console = Console()
    loaded = summary.load(runs)
    if format in ("html", "terminal"):
        console.print(terminal.axis_table(loaded))
        if len(loaded) == 1 or console.width > 120:
            console.print(terminal.shift_table(loaded))
        for title, _, lines in extra_tables(loaded):
            console.print(terminal.text_table(title, lines))
    if format == "terminal":
        return
    target = out or (runs[0] if len(runs) == 1 else Path()) / f"report.{format}"
    if format == "html":
        text: str | bytes = html.render(loaded, target)
    elif format in ("pdf", "svg"):
        from oodbench.report import figures

        try:
            text = figures.severity_curves(loaded, format)
        except ValueError as error:
            raise RunFolderError(str(error)) from None
    else:
        text = {
            "markdown": markdown.render,
            "latex": paper.latex,
            "csv": paper.long_csv,
            "bibtex": paper.bibtex,
            "json": lambda loaded: json.dumps(summary.as_json(loaded), indent=1) + "\n",
        }[format](loaded)
        if out is None:
            typer.echo(text, nl=False)
            return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}-{os.getpid()}.part")
        with part.open("xb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        part.replace(target)  # never through a link that a stranger's folder has there
    except OSError as error:
        raise RunFolderError(f"{target}: cannot be written ({error.strerror})") from error
    typer.echo(str(target.resolve() if format == "html" else target))
