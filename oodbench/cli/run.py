"""`oodbench run`: a policy on a suite."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def run(
    suite: Annotated[str | None, typer.Argument(help="a suite, or the path of its TOML file")] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="name, module:attr, file.py:attr or scheme://host:port, with ?key=value behind it"),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="a run folder to repeat, episode by episode, with --policy")
    ] = None,
    own: Annotated[
        bool, typer.Option("--own", help="the run is mine: task files that it names by their paths may be read")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="run folder; the same one again goes on with it")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="at most so many episodes a shifted cell")] = None,
    task: Annotated[list[str] | None, typer.Option(help="only these tasks (patterns)")] = None,
    shift: Annotated[list[str] | None, typer.Option(help="only these shifts (patterns), or specs like a@3+b@2")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="processes (default: one a core; 0: in this one)")] = None,
    envs: Annotated[int, typer.Option(min=1, help="episodes that a worker plays at once, in batches")] = 1,
    real_time: Annotated[bool, typer.Option(help="the world does not wait for the policy")] = False,
    traces: Annotated[bool, typer.Option(help="keep what `oodbench verify` needs (1 to 9 KB an episode)")] = True,
    seed_offset: Annotated[int, typer.Option(min=0, help="added to every seed: other scenes, same cells")] = 0,
    fresh: Annotated[
        str,
        typer.Option(help="a salt: scenes that nobody has seen, same cells; shows what was tuned to the public ones"),
    ] = "",
    video: Annotated[int, typer.Option(min=0, help="episodes a cell to film")] = 0,
    episode_timeout: Annotated[float, typer.Option(min=1.0, help="seconds an episode may take")] = 300.0,
    retry_errors: Annotated[bool, typer.Option(help="play episodes again that ended in an error")] = False,
    quiet: Annotated[bool, typer.Option(help="show no progress")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the result for scripts")] = False,
) -> None:
    """Evaluate a policy on a suite, into a run folder.

    Examples: oodbench run quick --policy my_policy.py:MyPolicy?checkpoint=model.pt --video 1
    oodbench run --from runs/quick-expert --policy expert
    """
    from rich.console import Console

    from oodbench.errors import SpecError
    from oodbench.run.info import read_info
    from oodbench.run.progress import ProgressDisplay, Tally
    from oodbench.run.runner import Quiet, evaluate, evaluate_plan
    from oodbench.run.verify import repeat_of

    if from_ is None and (suite is None or policy is None):
        raise SpecError("say what to play: a suite and --policy, or --from RUN")
    if from_ is not None and (suite or limit or task or shift or seed_offset or fresh):
        raise SpecError("--from repeats the episodes of a run; no suite and no choice of episodes beside it")
    console = Console(stderr=as_json)
    silent = quiet or as_json
    how = {
        "out": out, "workers": workers, "envs": envs, "real_time": real_time, "traces": traces,
        "timeout": episode_timeout, "retry_errors": retry_errors,
    }  # fmt: skip
    try:
        if from_ is not None:
            if policy is None:
                raise SpecError(
                    f"--from {from_}: say which policy is to play: --policy URI; nothing that a run folder names is "
                    f"loaded (this one says it was {read_info(from_).policy.uri!r})"
                )
            content, plan = repeat_of(from_, paths=own)
            listener = Quiet() if silent else ProgressDisplay(console, f"{policy}, as {from_}")
            folder = evaluate_plan(policy, content, plan, listener=listener, **how)  # type: ignore[arg-type]
        else:
            assert suite is not None
            assert policy is not None
            listener = Quiet() if silent else ProgressDisplay(console, f"{policy} on {suite}")
            chosen = {
                "limit": limit,
                "tasks": task or (),
                "shifts": shift or (),
                "seed_offset": seed_offset,
                "fresh": fresh,
            }
            folder = evaluate(policy, suite, video=video, listener=listener, **chosen, **how)  # type: ignore[arg-type]
    except KeyboardInterrupt:
        print("\nstopped; what was played is kept. The same command with the same --out goes on.", file=sys.stderr)
        sys.exit(130)
    if as_json:
        tally = Tally(folder.records())
        axes = {axis: {"successes": tally.wins[axis], "episodes": n} for axis, n in tally.scored.items()}
        typer.echo(json.dumps({"run": str(folder.path), "errors": tally.errors, "axes": axes}))
        return
    if not quiet:
        from oodbench.report import summary, terminal

        console.print(terminal.axis_table(summary.load([folder.path])))
        console.print(f"next: oodbench report {folder.path}", highlight=False, soft_wrap=True)
