"""`oodbench verify`: is a run what it says it is?"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer


def verify(
    run: Annotated[Path, typer.Argument(help="a run folder")],
    sample: Annotated[int, typer.Option(min=1, help="episodes to play again")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="all of them")] = False,
    policy: Annotated[bool, typer.Option(help="ask the policy too, not only play the recorded actions")] = True,
    aa: Annotated[bool, typer.Option("--aa", help="ask the policy twice: how often it differs from itself")] = False,
) -> None:
    """Play episodes of a run again, from their recorded actions and from the policy, and compare every hash.

    Exit codes: 0 the same, 1 something differs (it is named), 2 usage.

    Example: oodbench verify runs/core-1/expert --sample 50
    """
    from rich.console import Console
    from rich.table import Table

    from oodbench.progress import Meter
    from oodbench.run.verify import verify as play_again

    console = Console()
    meters: list[Meter] = []
    with contextlib.ExitStack() as stack:

        def tell(done: int, of: int) -> None:
            if not meters:
                meters.append(stack.enter_context(Meter("verified", of)))
            meters[0].advance(1)

        report = play_again(run, None if all_ else sample, with_policy=policy, aa=aa, tell=tell)
    if report.findings:
        table = Table(title="what differs", title_justify="left")
        table.add_column("where")
        table.add_column("what")
        for finding in report.findings:
            table.add_row(finding.where, finding.what)
        console.print(table)
    verdict = f"{len(report.findings)} things differ" if report.findings else "everything is as recorded"
    console.print(
        f"{report.checked} episodes: {report.from_actions} played from their recorded actions, {report.from_policy} by "
        f"the policy; {verdict}",
        highlight=False,
        soft_wrap=True,
    )
    if report.floor is not None:
        share = report.floor / max(report.checked, 1)
        console.print(f"the policy differs from itself in {report.floor} of {report.checked} ({100 * share:.1f} %)")
    sys.exit(1 if report.findings else 0)
