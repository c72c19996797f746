"""`oodbench baseline` and `oodbench check`: the release gate."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def baseline(
    policy: Annotated[str, typer.Argument(help="as for `run`")],
    out: Annotated[Path, typer.Option(help="the file to commit")] = Path("baseline.json"),
    suite: Annotated[str, typer.Option(help="whose cells are played")] = "core-2",
    task: Annotated[list[str] | None, typer.Option(help="only these tasks (patterns)")] = None,
    shift: Annotated[list[str] | None, typer.Option(help="only these shifts (patterns)")] = None,
    margin: Annotated[float, typer.Option(help="the drop of mean success that must not be passed, in points")] = 10.0,
    alpha: Annotated[float, typer.Option(help="chance of failing a candidate that is as good")] = 0.05,
    beta: Annotated[float, typer.Option(help="chance of passing one that is worse by the margin")] = 0.1,
    episodes: Annotated[int | None, typer.Option(min=1, help="at most (default: enough for the margin)")] = None,
    every_shift: Annotated[
        bool, typer.Option("--every-shift", help="play all episodes, to find under which shifts success dropped")
    ] = False,
    workers: Annotated[int | None, typer.Option(min=0, help="processes (default: one a core)")] = None,
    envs: Annotated[int, typer.Option(min=1, help="episodes that a worker plays at once")] = 1,
    quiet: Annotated[bool, typer.Option(help="show no progress")] = False,
) -> None:
    """Plan a release gate and play its baseline, into one file to commit.

    Example: oodbench baseline my_policy.py:MyPolicy?checkpoint=v1.pt --margin 5 --out baseline.json
    """
    from rich.console import Console

    from oodbench.gate.decide import make_baseline, plan_for
    from oodbench.run.progress import ProgressDisplay
    from oodbench.run.runner import Quiet

    console = Console()
    plan = plan_for(
        suite, margin / 100, alpha=alpha, beta=beta, episodes=episodes, tasks=task or (), shifts=shift or (),
        every_shift=every_shift,
    )  # fmt: skip
    listener = Quiet() if quiet else ProgressDisplay(console, f"{policy} on the gate's plan of {suite}")
    found = make_baseline(policy, plan, out, workers=workers, envs=envs, listener=listener)
    console.print(
        f"{out}: success {100 * found.rate:.1f} % in {plan.episodes} episodes; commit it, then: "
        f"oodbench check CANDIDATE --baseline {out}",
        highlight=False,
        soft_wrap=True,
    )


def check(
    policy: Annotated[str, typer.Argument(help="the candidate, as for `run`")],
    baseline: Annotated[Path, typer.Option(help="a file of `oodbench baseline`")] = Path("baseline.json"),
    out: Annotated[Path | None, typer.Option(help="run folder; the same one again goes on with it")] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="write every number to this file")] = None,
    junit: Annotated[Path | None, typer.Option(help="write JUnit XML, a test case a shift and severity")] = None,
    summary: Annotated[Path | None, typer.Option(help="append Markdown (default: GITHUB_STEP_SUMMARY, if set)")] = None,
    workers: Annotated[int | None, typer.Option(min=0, help="processes (default: one a core)")] = None,
    envs: Annotated[int, typer.Option(min=1, help="episodes that a worker plays at once")] = 1,
    episode_timeout: Annotated[float, typer.Option(min=1.0, help="seconds an episode may take")] = 300.0,
    quiet: Annotated[bool, typer.Option(help="show no progress")] = False,
) -> None:
    """Check a candidate against a committed baseline, and stop as soon as the evidence is in.

    Exit codes: 0 pass, 1 regression, 2 usage or not comparable, 3 inconclusive, 4 infrastructure.

    Example: oodbench check my_policy.py:MyPolicy?checkpoint=v2.pt --baseline baseline.json --junit gate.xml
    """
    from rich.console import Console

    from oodbench.gate import decide as gate
    from oodbench.gate import outputs
    from oodbench.gate.baseline import Baseline
    from oodbench.policies.loading import load_policy
    from oodbench.run.progress import ProgressDisplay
    from oodbench.run.runner import Quiet, default_out

    console = Console()
    known = Baseline.read(baseline)
    folder = out or default_out(known.comparable(), f"gate-{load_policy(policy).name}")
    listener = Quiet() if quiet else ProgressDisplay(console, f"{policy} against {baseline}")
    try:
        verdict = gate.check(
            policy, known, run=folder, workers=workers, envs=envs, timeout=episode_timeout, listener=listener
        )
    except gate.InfrastructureError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(outputs.INFRASTRUCTURE)
    console.print(outputs.table(verdict))
    console.print(outputs.sentence(verdict), highlight=False, soft_wrap=True)
    if json_:
        outputs.write(json_, json.dumps(outputs.as_json(verdict), indent=1) + "\n")
    if junit:
        outputs.write(junit, outputs.junit(verdict))
    page = summary or outputs.on_github()
    if page:
        outputs.write(page, outputs.summary(verdict), append=True)
    if outputs.on_github():
        for line in outputs.workflow_commands(verdict):
            typer.echo(line)
    sys.exit(outputs.EXIT[verdict.decision])
