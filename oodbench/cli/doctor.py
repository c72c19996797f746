"""`oodbench doctor`: what this machine has, and the exact fix for what it lacks."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print for scripts")] = False,
    fix: Annotated[bool, typer.Option(help="prepare the robot's meshes now if they are not")] = False,
) -> None:
    """Check GL, versions, the asset cache and the bits of a golden episode; exit code 0 when everything is ready.

    Example: oodbench doctor --fix
    """
    from oodbench import doctor as checks

    results = checks.run(fix=fix)
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
