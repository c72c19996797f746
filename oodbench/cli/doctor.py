"""`oodbench doctor`: what this machine has, and the exact fix for what it lacks."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print for scripts")] = False,
) -> None:
    """Check versions, the robot's files, the bits of a golden episode, GL and ffmpeg; exit code 0 when all is ready.

    Example: oodbench doctor
    """
    from oodbench import doctor as checks

    results = checks.run()
    if as_json:
        typer.echo(json.dumps([check.__dict__ for check in results], indent=1))
    else:
        for check in results:
            verdict = "warn" if check.warning else "ok  " if check.ok else "FAIL"
            typer.echo(f"{verdict}  {check.name}: {check.found}")
            if check.warning or not check.ok:
                typer.echo(f"      fix: {check.fix}")
    if not all(check.ok for check in results):
        sys.exit(2)
