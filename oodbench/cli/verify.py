"""`oodbench verify`: is a run what it says it is?"""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated

import typer


def verify(
    run: Annotated[Path, typer.Argument(help="a run folder, anybody's")],
    sample: Annotated[int, typer.Option(min=1, help="episodes to play again")] = 20,
    all_: Annotated[bool, typer.Option("--all", help="all of them")] = False,
    policy: Annotated[
        str | None, typer.Option(help="also ask this policy; nothing that the folder names is loaded")
    ] = None,
    aa: Annotated[bool, typer.Option("--aa", help="ask the policy twice: how often it differs from itself")] = False,
    own: Annotated[
        bool, typer.Option("--own", help="the run is mine: task files that it names by their paths may be read")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print the report for scripts")] = False,
) -> None:
    """Play episodes of a run again from their recorded actions, and say of each whether it is the same bits, the same
    episode within 5 mm, or another episode.

    Exit codes: 0 all are the same bits or the same episode, 1 something differs (it is named), 2 usage.

    Examples: oodbench verify runs/core-2/expert --sample 50
    oodbench verify runs/core-2/mine --policy mine.py:MyPolicy --aa
    """
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from oodbench.progress import Meter
    from oodbench.run.verify import TOLERANCE
    from oodbench.run.verify import verify as play_again

    console = Console()
    meters: list[Meter] = []
    with contextlib.ExitStack() as stack:

        def tell(done: int, of: int) -> None:
            if as_json:
                return
            if not meters:
                meters.append(stack.enter_context(Meter("verified", of)))
            meters[0].advance(1)

        count = None if all_ else sample
        report = play_again(run, count, policy=policy, aa=aa, paths=own, tell=tell)
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
        sys.exit(0 if report.passed else 1)
    for note in report.notes:
        console.print(f"{note.where}: {note.what}", highlight=False, soft_wrap=True, markup=False)
    within = [(name, replay) for name, replay in report.verdicts.items() if replay.verdict == "same episode"]
    for title, rows in (
        ("what differs", [(finding.where, finding.what) for finding in report.findings]),
        ("the same episodes, in other bits", [(name, replay.differences[0]) for name, replay in within]),
    ):
        if rows:
            table = Table("where", "what", title=title, title_justify="left")
            for where, what in rows:
                table.add_row(escape(where), escape(what))
            console.print(table)
    counts = ", ".join(f"{n} {verdict}" for verdict, n in report.counts.items() if n) or "none"
    verdict = (
        f"{len(report.findings)} things differ" if report.findings
        else "everything is as recorded" if report.passed
        else "nothing could be played again: the episodes have no traces"
    )  # fmt: skip
    console.print(
        f"{report.checked} episodes: {report.from_actions} played from their recorded actions ({counts}; tolerance "
        f"{1000 * TOLERANCE:g} mm), {report.from_policy} by the policy; {verdict}",
        highlight=False,
        soft_wrap=True,
    )
    if report.floor is not None:
        share = report.floor / max(report.checked, 1)
        console.print(f"the policy differs from itself in {report.floor} of {report.checked} ({100 * share:.1f} %)")
    sys.exit(0 if report.passed else 1)
