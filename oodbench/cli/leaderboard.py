"""`oodbench submit` and `oodbench leaderboard`: entries and the pages that they make."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from oodbench.leaderboard.validate import Checked

ROOT = Path("leaderboard")
app = typer.Typer(help="Check the leaderboard's entries, and build its pages.", no_args_is_help=True)


def submit(
    run: Annotated[Path, typer.Argument(help="a run folder, of a run that was played to its end")],
    info: Annotated[Path | None, typer.Option(help="what to say of the policy; without it a form is written")] = None,
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
) -> None:
    """Make a leaderboard entry of a run: its episodes, what it was made with, the actions of a sample, a few films.

    Example: oodbench submit runs/core-1/mine --info mine.toml
    """
    from rich.console import Console

    from oodbench.errors import SpecError
    from oodbench.leaderboard import entry
    from oodbench.leaderboard.validate import validate
    from oodbench.run.info import read_info

    console = Console()
    if info is None:
        form = run / entry.INFO
        name = "".join(c if c.isalnum() else "-" for c in read_info(run).policy.name.lower()).strip("-")
        if not form.exists():
            form.write_text(entry.TEMPLATE.format(name=name or "my-policy"), encoding="utf-8")
        raise SpecError(f"fill in {form}, then: oodbench submit {run} --info {form}")
    with console.status("making the entry") as status:
        made = entry.submit(run, entry.read_about(info), root, lambda words: status.update(words))
    (found,) = validate([made])
    for reason in found.refused:
        console.print(f"refused: {reason}", style="bold red", highlight=False)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    rank = "complete" if found.complete else f"unranked: {len(found.missing)} cells of the suite were not played"
    console.print(f"{made}: {size / 2**20:.1f} MiB, {rank}; commit it and open a pull request", highlight=False)
    sys.exit(1 if found.refused else 0)


@app.command("validate")
def validate_(
    entries: Annotated[list[Path] | None, typer.Argument(help="entries (default: all)")] = None,
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
    replays: Annotated[int, typer.Option(min=0, help="episodes of each entry to play again from their actions")] = 6,
) -> None:
    """Check entries: hashes, schema, completeness, protocol, plausibility, and a replay of a sample.

    Exit codes: 0 all stand, 1 some are refused (and why), 2 usage.

    Example: oodbench leaderboard validate leaderboard/entries/mine/core-1 --replays 24
    """
    sys.exit(1 if any(check.refused for check in _checked(entries, root, replays)) else 0)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="the folder to write")] = ROOT / "site",
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
    replays: Annotated[int, typer.Option(min=0, help="episodes of each entry to play again from their actions")] = 6,
    pictures: Annotated[bool, typer.Option(help="render the contact sheets of the suites")] = True,
) -> None:
    """Check all entries and make the static site of those that stand.

    Exit codes: 0 built, 1 built without some entries that were refused, 2 usage.

    Example: oodbench leaderboard build
    """
    from rich.console import Console

    from oodbench.leaderboard import site
    from oodbench.progress import Meter

    checked = _checked(None, root, replays)
    meters: list[Meter] = []
    with contextlib.ExitStack() as stack:

        def tell(what: str, done: int, of: int) -> None:
            if not meters:
                meters.append(stack.enter_context(Meter(what, of)))
            meters[0].advance(1)

        index = site.build(checked, out, pictures=pictures, tell=tell)
    Console().print(str(index.resolve()), highlight=False, soft_wrap=True)
    sys.exit(1 if any(check.refused for check in checked) else 0)


def _checked(paths: list[Path] | None, root: Path, replays: int) -> list[Checked]:
    from rich.console import Console

    from oodbench.errors import SpecError
    from oodbench.leaderboard import entry
    from oodbench.leaderboard.validate import validate
    from oodbench.progress import Meter

    chosen = paths or entry.entries(root)
    if not chosen:
        raise SpecError(f"{root}: holds no entries; `oodbench submit` makes one")
    for path in chosen:
        if not (path / entry.INFO).is_file():
            raise SpecError(f"{path}: is no entry (it has no {entry.INFO})")
    console, found = Console(), []
    with Meter("checked", len(chosen)) as meter:
        for check in validate(chosen, replays):
            found.append(check)
            meter.advance(1)
    for check in found:
        name = "/".join(check.path.parts[-2:])
        for reason in check.refused:
            console.print(f"{name}: refused: {reason}", style="red", highlight=False, soft_wrap=True)
        if not check.refused:
            missing = f", unranked: {len(check.missing)} cells missing" if check.missing else ""
            console.print(f"{name}: stands, {check.replayed} episodes replayed{missing}", highlight=False)
    return found
