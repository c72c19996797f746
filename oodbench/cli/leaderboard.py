"""`oodbench submit` and `oodbench leaderboard`: entries and the pages that they make."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from oodbench.leaderboard.validate import Checked

ROOT = Path("leaderboard")
app = typer.Typer(help="Check the leaderboard's entries, and build its pages.", no_args_is_help=True)


def submit(
    run: Annotated[Path, typer.Argument(help="a run folder, of a run that was played to its end")],
    info: Annotated[Path | None, typer.Option(help="what to say of the policy; without it a form is written")] = None,
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
) -> None:
    """Make a leaderboard entry of a run: its episodes, what it was made with, and the actions of every episode.

    Example: oodbench submit runs/core-2/mine --info mine.toml
    """
    from rich.console import Console

    from oodbench.errors import SpecError
    from oodbench.leaderboard import entry
    from oodbench.leaderboard import submit as making
    from oodbench.leaderboard.validate import validate
    from oodbench.run.info import read_info

    console = Console()
    if info is None:
        form = run / entry.INFO
        name = "".join(c if c.isalnum() else "-" for c in read_info(run).policy.name.lower()).strip("-")
        with contextlib.suppress(FileExistsError), form.open("x", encoding="utf-8") as file:  # never through a link
            file.write(making.TEMPLATE.format(name=name or "my-policy"))
        raise SpecError(f"fill in {form}, then: oodbench submit {run} --info {form}")
    with console.status("making the entry") as status:
        made = making.submit(run, entry.read_about(info), root, lambda words: status.update(words))
    (found,) = validate([made])
    _say(console, found)
    size = sum(path.stat().st_size for path in made.rglob("*") if path.is_file())
    rank = "complete" if found.complete else f"unranked: {len(found.missing)} cells of the suite were not played"
    console.print(f"{made}: {size / 2**20:.1f} MiB, {rank}; commit it and open a pull request", highlight=False)
    sys.exit(1 if found.refused else 0)


@app.command("validate")
def validate_(
    entries: Annotated[list[Path] | None, typer.Argument(help="entries (default: all)")] = None,
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
    replays: Annotated[int, typer.Option(min=0, help="episodes of each entry to play again from their actions")] = 6,
    salt: Annotated[str, typer.Option(help="draw the episodes of an entry that is not admitted as it was drawn")] = "",
) -> None:
    """Check entries: hashes, schema, completeness, protocol, plausibility, every scene, and a replay of some episodes.

    They are drawn anew each time, but for entries that are admitted. Exit codes: 0 all stand, 1 some are refused (and
    why), 2 usage.

    Example: oodbench leaderboard validate leaderboard/entries/mine/core-2 --replays 24
    """
    sys.exit(1 if any(check.refused for check in _checked(entries, root, replays, salt)) else 0)


@app.command()
def admit(
    entries: Annotated[list[Path], typer.Argument(help="entries that were handed in")],
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
    salt: Annotated[str, typer.Option(help="from a public source (default: from the system's randomness)")] = "",
    drawn: Annotated[int, typer.Option(min=1, help="episodes of each entry to play again")] = 48,
    films: Annotated[int, typer.Option(min=0, help="of these, to film")] = 4,
    thin: Annotated[bool, typer.Option(help="drop the actions of all other episodes")] = True,
    joins: Annotated[bool, typer.Option("--joins", help="it is by the same team as the method it names")] = False,
) -> None:
    """For the board's maintainers: draw episodes of an entry by a new salt, play them again, and admit it if it stands.

    Run it on what was handed in, after it can no longer be changed. Exit codes: 0 admitted, 1 some were refused (and
    why), 2 usage.

    Example: oodbench leaderboard admit leaderboard/entries/mine/core-2
    """
    from rich.console import Console

    from oodbench.leaderboard import admission, entry
    from oodbench.leaderboard.admit import admit
    from oodbench.leaderboard.validate import Checker

    console, refused = Console(), False
    checker = Checker(admission.read(root))
    for path in entries:
        with console.status(f"{path}") as status:
            say = lambda words, path=path: status.update(f"{path}: {words}")  # noqa: E731
            check = admit(
                path, checker, others=entry.entries(root), salt=salt, drawn=drawn, films=films, thin=thin, joins=joins,
                tell=say,
            )  # fmt: skip
        refused = refused or bool(check.refused)
        _say(console, check)
        if check.admission:
            console.print(f"admitted by the salt {check.admission.salt}", highlight=False, soft_wrap=True)
    sys.exit(1 if refused else 0)


@app.command()
def build(
    out: Annotated[Path, typer.Option(help="the folder to write")] = ROOT / "site",
    root: Annotated[Path, typer.Option(help="where the leaderboard's entries lie")] = ROOT / "entries",
    replays: Annotated[int, typer.Option(min=0, help="episodes of each entry to play again from their actions")] = 6,
    pictures: Annotated[bool, typer.Option(help="render the contact sheets of the suites")] = True,
    everything: Annotated[bool, typer.Option("--all", help="also those that are not admitted, unranked")] = False,
) -> None:
    """Check all entries and make the static site of those that stand and are admitted.

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

        index = site.build(checked, out, pictures=pictures, everything=everything, tell=tell)
    Console().print(str(index.resolve()), highlight=False, soft_wrap=True)
    sys.exit(1 if any(check.refused for check in checked) else 0)


def _checked(paths: list[Path] | None, root: Path, replays: int, salt: str = "") -> list[Checked]:
    from rich.console import Console

    from oodbench.errors import SpecError
    from oodbench.leaderboard import admission, entry
    from oodbench.leaderboard.validate import validate
    from oodbench.progress import Meter

    chosen = paths or entry.entries(root)
    if not chosen:
        raise SpecError(f"{root}: holds no entries; `oodbench submit` makes one")
    for path in paths or ():
        if not os.path.lexists(path / entry.INFO):
            raise SpecError(f"{path}: is no entry (it has no {entry.INFO})")
    found = []
    with Meter("checked", len(chosen)) as meter:
        for check in validate(chosen, replays, admission.read(root), salt):
            found.append(check)
            meter.advance(1)
    for check in sorted(found, key=lambda check: check.path):
        _say(Console(), check)
    return found


def _say(console: Console, check: Checked) -> None:
    """One line an entry, or one a reason why it is refused."""
    from rich.markup import escape

    name = "/".join(check.path.absolute().parts[-2:])
    drawn = f" (drawn by --salt {check.salt})" if check.salt and not check.admission else ""
    for reason in check.refused:
        console.print(escape(f"{name}: refused: {reason}{drawn}"), style="red", highlight=False, soft_wrap=True)
    if not check.refused:
        missing = f", unranked: {len(check.missing)} cells missing" if check.missing else ""
        admitted = "" if check.admission else ", not admitted"
        console.print(
            escape(f"{name}: stands, {check.replayed} episodes replayed{drawn}{missing}{admitted}"),
            highlight=False, soft_wrap=True,
        )  # fmt: skip
