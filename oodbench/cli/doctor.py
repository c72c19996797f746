"""`oodbench doctor`: what this machine has, and the exact fix for what it lacks."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print for scripts")] = False,
) -> None:
    """Check versions, the robot's files, GL and ffmpeg; exit code 0 when everything is ready.

    Example: oodbench doctor
    """
    from oodbench import doctor as checks

    results = checks.run()
    if as_json:
        typer.echo(json.dumps([check.__dict__ for check in results], indent=1))
    else:
        for check in results:
            typer.echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if not check.ok:
                typer.echo(f"      fix: {check.fix}")
    if not all(check.ok for check in results):
        sys.exit(2)
