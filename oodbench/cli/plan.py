"""`oodbench plan`: how many episodes a question takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def plan(
    rate: Annotated[float, typer.Option(min=0.0, max=1.0, help="success of the baseline")] = 0.8,
    margin: Annotated[float, typer.Option(help="the drop that is to be found, in points")] = 5.0,
    correlation: Annotated[
        float, typer.Option(min=-1.0, max=1.0, help="of the two policies' outcomes in a scene")
    ] = 0.4,
    power: Annotated[float, typer.Option(min=0.5, max=0.999, help="the chance of finding it")] = 0.9,
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="the chance of a false alarm")] = 0.05,
    episodes: Annotated[int | None, typer.Option(min=5, help="instead: what so many pairs can find")] = None,
    measured: Annotated[
        list[Path] | None, typer.Option(help="two run folders (give it twice) to take rate and correlation from")
    ] = None,
) -> None:
    """Plan a comparison of two policies in the same scenes (exact one-sided McNemar test).

    Examples: oodbench plan --rate 0.8 --margin 5; oodbench plan --rate 0.8 --episodes 200
    """
    from rich.console import Console
    from rich.table import Table

    from oodbench.errors import SpecError
    from oodbench.stats.power import detectable_drop, mcnemar_power, pairs_needed

    console = Console()
    if measured:
        if len(measured) != 2:
            raise SpecError("--measured: give two run folders")
        rate, correlation, n = _measure(*measured)
        console.print(f"measured on {n} pairs: success {rate:.3f}, correlation {correlation:.2f}", highlight=False)
    try:
        if episodes is not None:
            drop = detectable_drop(episodes, rate, correlation, power, alpha)
            found = "no drop at all" if drop is None else f"a drop of {100 * drop:.1f} points"
            console.print(f"{episodes} pairs find {found} with a power of {power:g} (alpha {alpha:g})", highlight=False)
            return
        table = Table(
            title=f"pairs that find a drop from {rate:g} (power {power:g}, alpha {alpha:g})", title_justify="left"
        )
        for header in ("drop (points)", "correlation", "pairs", "of which half find it with"):
            table.add_column(header, justify="right")
        for points in sorted({margin / 2, margin, 2 * margin}):
            for rho in sorted({0.0, correlation}):
                try:
                    n = pairs_needed(rate, points / 100, rho, power, alpha)
                except ValueError as error:
                    table.add_row(f"{points:g}", f"{rho:g}", "-", str(error))
                    continue
                half = mcnemar_power(n // 2, rate, points / 100, rho, alpha)
                table.add_row(f"{points:g}", f"{rho:g}", str(n), f"{half:.2f}")
        console.print(table)
    except ValueError as error:
        raise SpecError(str(error)) from None


def _measure(a: Path, b: Path) -> tuple[float, float, int]:
    """(success of a, correlation with b, pairs) of two runs."""
    from oodbench.report.compare import compare
    from oodbench.stats.real import pearson

    one, other = (episodes.success.astype(float) for episodes in compare(a, b).pairs)
    together = float(pearson(one[None], other[None])[0]) if one.std() > 0 and other.std() > 0 else 0.0
    return float(one.mean()), together, len(one)
