"""`oodbench run`: a policy on a suite."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    suite: Annotated[str, typer.Argument(help="a suite, or the path of its TOML file")],
    policy: Annotated[
        str, typer.Option(help="name, module:attr, file.py:attr or scheme://host:port, with ?key=value behind it")
    ],
    out: Annotated[Path | None, typer.Option(help="run folder; the same one again goes on with it")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="at most so many episodes a cell")] = None,
    task: Annotated[list[str] | None, typer.Option(help="only these tasks (patterns)")] = None,
    shift: Annotated[list[str] | None, typer.Option(help="only these shifts (patterns), or specs like a@3+b@2")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="processes (default: one a core; 0: in this one)")] = None,
    envs: Annotated[int, typer.Option(min=1, help="episodes that a worker plays at once, in batches")] = 1,
    real_time: Annotated[bool, typer.Option(help="the world does not wait for the policy")] = False,
    seed_offset: Annotated[int, typer.Option(min=0, help="added to every seed: other scenes, same cells")] = 0,
    video: Annotated[int, typer.Option(min=0, help="episodes a cell to film")] = 0,
    episode_timeout: Annotated[float, typer.Option(min=1.0, help="seconds an episode may take")] = 300.0,
    retry_errors: Annotated[bool, typer.Option(help="play episodes again that ended in an error")] = False,
    quiet: Annotated[bool, typer.Option(help="show no progress")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result for scripts")] = False,
) -> None:
    """Evaluate a policy on a suite, into a run folder.

    Example: oodbench run quick --policy my_policy.py:MyPolicy?checkpoint=model.pt --video 1
    """
    from rich.console import Console

    from oodbench.run.progress import ProgressDisplay, Tally
    from oodbench.run.runner import Quiet, evaluate

    console = Console(stderr=as_json)
    silent = quiet or as_json
    listener = Quiet() if silent else ProgressDisplay(console, f"{policy} on {suite}")
    try:
        folder = evaluate(
            policy,
            suite,
            out=out,
            workers=workers,
            envs=envs,
            real_time=real_time,
            limit=limit,
            tasks=task or (),
            shifts=shift or (),
            seed_offset=seed_offset,
            video=video,
            timeout=episode_timeout,
            retry_errors=retry_errors,
            listener=listener,
        )
    except KeyboardInterrupt:
        print("\nstopped; what was played is kept. The same command with the same --out goes on.", file=sys.stderr)
        sys.exit(130)
    records = folder.records()
    if as_json:
        tally = Tally(records)
        axes = {axis: {"successes": tally.wins[axis], "episodes": n} for axis, n in tally.scored.items()}
        typer.echo(json.dumps({"run": str(folder.path), "errors": tally.errors, "axes": axes}))
        return
    if not quiet:
        from oodbench.report.terminal import axis_table

        console.print(axis_table({policy: records}))
        console.print(f"next: oodbench report {folder.path}", highlight=False, soft_wrap=True)
