"""`oodbench real`: does the simulation rank policies as the real robot does?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated

import typer


def real(
    scores: Annotated[
        Path, typer.Argument(help="CSV with columns run (a folder) or simulated (0 to 1), and real (0 to 1)")
    ],
    axis: Annotated[str, typer.Option(help="of the runs: ood, id, semantic, visual or execution")] = "ood",
    as_json: Annotated[bool, typer.Option("--json", help="print the result for scripts")] = False,
) -> None:
    """Compare simulated with real success rates: mean maximum rank violation (SimplerEnv) and Pearson's r.

    Example: oodbench real scores.csv, with lines such as runs/core-2/aligned,0.62 under the header run,real
    """
    from oodbench.errors import SpecError
    from oodbench.stats.real import agreement

    try:
        rows = list(csv.DictReader(scores.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{scores}: cannot be read ({error})") from None
    simulated, measured = [], []
    for number, row in enumerate(rows, start=2):
        where = f"{scores}:{number}"
        measured.append(_share(row.get("real"), where, "real"))
        if row.get("run"):
            simulated.append(_success(Path(row["run"]), axis, where))
        else:
            simulated.append(_share(row.get("simulated"), where, "run or simulated"))
    try:
        found = agreement(simulated, measured)
    except ValueError as error:
        raise SpecError(f"{scores}: {error}") from None
    if as_json:
        content = {"policies": found.policies, "mmrv": found.mmrv, "pearson": found.pearson}
        for name, interval in (("mmrv", found.mmrv_interval), ("pearson", found.pearson_interval)):
            content[f"{name}95"] = interval and [interval.low, interval.high]  # type: ignore[assignment]
        typer.echo(json.dumps(content))
        return
    for name, value, interval, best in (
        ("mean maximum rank violation", found.mmrv, found.mmrv_interval, 0),
        ("Pearson's r", found.pearson, found.pearson_interval, 1),
    ):
        said = "not defined (one of the two does not vary)" if value is None else f"{value:.3f}"
        around = f" (95 % interval {interval.low:.3f} to {interval.high:.3f})" if interval else ""
        typer.echo(f"{name} of {found.policies} policies: {said}{around}; {best} is best")


def _share(text: str | None, where: str, column: str) -> float:
    from oodbench.errors import SpecError

    try:
        value = float(text or "")
    except ValueError:
        raise SpecError(f"{where}: {column} is {text!r}; it must be a number from 0 to 1") from None
    if not 0 <= value <= 1:
        raise SpecError(f"{where}: {column} is {value:g}; it must be a share from 0 to 1, not a percentage")
    return value


def _success(run: Path, axis: str, where: str) -> float:
    from oodbench.errors import SpecError, UnknownNameError
    from oodbench.report.summary import load

    summary = load([run])[0]
    rates = {name: rate.value for name, rate in {**summary.axes, "ood": summary.ood}.items()}
    if axis not in rates:
        raise UnknownNameError("axis", axis, rates, f"(in {run})")
    value = rates[axis]
    if value is None:
        raise SpecError(f"{where}: {run} has no scored episodes of {axis}")
    return value
