"""`oodbench audit`: the fairness proofs of a suite."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer


def audit(
    suite: Annotated[str, typer.Option(help="a suite, or the path of its TOML file")] = "full-2",
    limit: Annotated[int | None, typer.Option(min=1, help="at most so many episodes a shifted cell")] = None,
    run: Annotated[Path | None, typer.Option(help="folder of the expert's run (default: runs/audit-<suite>)")] = None,
    out: Annotated[Path | None, typer.Option(help="Markdown file to write the table to")] = None,
    quiet: Annotated[bool, typer.Option(help="show no progress")] = False,
) -> None:
    """Prove that every cell can be solved, is visible, touches only what it declares, and asks for what it scores.

    Exit code 1 when a row fails. Example: oodbench audit --suite full-2 --out docs/audit.md
    """
    from rich.console import Console
    from rich.markdown import Markdown
    from rich.progress import track

    from oodbench import audit as audits
    from oodbench.run.progress import ProgressDisplay
    from oodbench.run.runner import Quiet

    console = Console()
    listener = Quiet() if quiet else ProgressDisplay(Console(stderr=True), f"expert on {suite}")
    folder = run or Path("runs") / f"audit-{Path(suite).stem}"
    watch = partial(track, description="scenes", console=Console(stderr=True), disable=quiet)
    found = audits.audit(
        suite, folder, limit=limit, listener=listener, watch=lambda findings, total: watch(findings, total=total)
    )
    text = audits.markdown(found)
    if out:
        out.write_text(text, encoding="utf-8")
    console.print(Markdown(text))
    rows = [*found.by_severity, *found.by_task]
    failed = [row.name for row in rows if not row.passes]
    print(f"{len(rows) - len(failed)} of {len(rows)} rows pass" + (f"; failed: {', '.join(failed)}" if failed else ""))
    sys.exit(1 if failed else 0)
