"""Two runs of one suite, episode by episode."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.table import Table

from oodbench.errors import RunFolderError
from oodbench.report.summary import FAILURES, RunSummary, axis_order, load, percent
from oodbench.run.columns import Episodes, episode_codes
from oodbench.run.folder import short
from oodbench.run.info import value_at
from oodbench.stats.blocks import by_scene, gap_weights, shares
from oodbench.stats.clustered import ClusteredMean, clustered_mean, sign_flip
from oodbench.stats.discordant import mcnemar
from oodbench.stats.multiple import holm
from oodbench.stats.paired import PairedDifference, difference, pair
from oodbench.stats.rates import normal_quantile

MUST_AGREE = {  # fields of RunInfo, and words for them
    "suite.sha256": "suite",
    "protocol": "protocol",
    "real_time": "setting of --real-time",
    "versions.mujoco": "MuJoCo version",
}
POWER, ALPHA = 0.8, 0.05  # of the detectable difference that is shown
OUTCOMES = ("success", *reversed(FAILURES))  # from best to worst, by how far an episode got


@dataclass(frozen=True)
class Row:
    """A group of cells: all shifted ones, an axis, or a shift; or "gap", in-distribution minus shifted success.

    a, b: the mean over tasks, of the pairs, so that `found` is their difference. p: adjusted
    over the shifts by Holm's method where `what` is a shift. detectable: the difference that so many scenes would have
    shown with a power of 80 %; None without an interval.
    """

    what: str
    kind: str
    a: float
    b: float
    found: PairedDifference
    p: float
    detectable: float | None


@dataclass(frozen=True)
class Comparison:
    """a, b: the runs. pairs: episodes that both played to an end; unpaired: those that only one of them did."""

    a: RunSummary
    b: RunSummary
    pairs: tuple[Episodes, Episodes]
    unpaired: int
    rows: tuple[Row, ...]
    outcomes: dict[tuple[str, str], int]  # (of a, of b) -> episodes

    @property
    def disagreements(self) -> list[str]:
        """Episodes in which just one of the two succeeded: task/shift/severity/seed."""
        one, other = self.pairs
        return [one.name(int(row)) for row in np.flatnonzero(one.success != other.success)]

    def sentences(self) -> list[str]:
        """What the two do differently, in words; only what the numbers support."""
        said = []
        whole = next((row for row in self.rows if row.kind == "all"), None)
        if whole:
            i = whole.found.interval
            around = f", 95 % interval {_points(i.low)} to {_points(i.high)}" if i else ""
            told = "they are told apart" if whole.p <= ALPHA else "they are not told apart"
            said.append(
                f"Under shift a minus b is {_points(whole.found.value)} points of success{around}; at 5 % {told} "
                f"(p {whole.p:.3g})."
            )
        for winner, loser, mine in (("a", "b", 1), ("b", "a", 0)):
            ends: Counter[str] = Counter()
            for outcome, episodes in self.outcomes.items():
                if outcome[1 - mine] == "success" and outcome[mine] != "success":
                    ends[outcome[mine]] += episodes
            if ends:
                how, count = ends.most_common(1)[0]
                said.append(
                    f"Where only {winner} succeeds ({ends.total()} episodes), {loser} mostly ends as: {how} ({count})."
                )
        further = self._further()
        return [*said, further] if further else said

    def _further(self) -> str:
        """Who gets further in the episodes that both fail."""
        place = {name: i for i, name in enumerate(OUTCOMES)}
        gained = [
            (place.get(other, 0) - place.get(one, 0), n)
            for (one, other), n in self.outcomes.items()
            if one != "success" and other != "success"
        ]
        a, b = sum(n for step, n in gained if step > 0), sum(n for step, n in gained if step < 0)
        if not a + b:
            return ""
        p = mcnemar(a, b)
        if p > ALPHA:
            return ""
        best, n = ("a", a) if a > b else ("b", b)
        return f"Where both fail and not in the same way ({a + b} episodes), {best} gets further in {n} (p {p:.2g})."


def compare(a: Path, b: Path) -> Comparison:
    """Compare two run folders. Raises RunFolderError, saying what differs, when they cannot be paired."""
    first, second = (load([path])[0] for path in (a, b))
    for name, words in MUST_AGREE.items():
        old, new = value_at(first.info, name), value_at(second.info, name)
        if old != new:
            raise RunFolderError(
                f"{a} and {b} cannot be paired: they were played with another {words} "
                f"({short(old, 40)} and {short(new, 40)})"
            )
    if first.label == second.label:
        first, second = (replace(run, label=f"{run.label} ({run.path.name})") for run in (first, second))
    pairs = pair(first.episodes, second.episodes)
    if not len(pairs[0]):
        raise RunFolderError(f"{a} and {b} cannot be paired: they have no finished episode in common")
    unpaired = len(np.union1d(*episode_codes(first.episodes, second.episodes))) - len(pairs[0])
    return Comparison(first, second, pairs, unpaired, tuple(_rows(*pairs)), _outcomes(*pairs))


def _rows(one: Episodes, other: Episodes) -> list[Row]:
    shifted = one.shifted
    groups = [("all shifts", "all", shifted)] if shifted.any() else []
    groups += [(axis, "axis", one.axis.is_(axis)) for axis in sorted(one.axis.present(), key=axis_order)]
    names = one[shifted].shift.present()
    masks = {name: one.shift.is_(name) for name in names}
    order = sorted(names, key=lambda name: (one.axis.codes[np.argmax(masks[name])], name))
    groups += [(name, "shift", masks[name]) for name in order]
    found = [(what, kind, mask, difference(one[mask], other[mask])) for what, kind, mask in groups]
    gap = _gap(one, other)
    kept = [(what, kind, mask, d) for what, kind, mask, d in found if d is not None]
    adjusted = iter(holm([d.p for _, kind, _, d in kept if kind == "shift"]))
    rows = [
        Row(
            what,
            kind,
            _mean(one, mask),
            _mean(other, mask),
            d,
            next(adjusted) if kind == "shift" else d.p,
            _detectable(d),
        )
        for what, kind, mask, d in kept
    ]
    return [*rows[:1], *([gap] if gap else []), *rows[1:]]


def _mean(episodes: Episodes, mask: np.ndarray) -> float:
    found = clustered_mean(by_scene(episodes.scene_codes[mask], episodes.cell_codes[mask], episodes.success[mask]))
    assert found is not None
    return found.value


def _gap(one: Episodes, other: Episodes) -> Row | None:
    """The difference of the two in-distribution - shifted gaps, in the scenes that have both."""
    weights = gap_weights(one.scene_codes, one.axis.is_("id"), one.shifted)
    rows = weights != 0
    scene, cell = one.scene_codes[rows], one.cell_codes[rows]

    def gap(success: np.ndarray) -> ClusteredMean | None:
        return clustered_mean(by_scene(scene, cell, success[rows], weights[rows]))

    apart = one.success.astype(np.int64) - other.success
    mean, a, b = (gap(success) for success in (apart, one.success, other.success))
    if mean is None or a is None or b is None:
        return None
    flipped = sign_flip(shares(scene, apart[rows], weights[rows]))
    pairs = len(one) - int(one.axis.is_("control").sum())
    found = PairedDifference(mean.value, mean.interval, flipped, mean.scenes, pairs, 0, 0)
    return Row("gap", "gap", a.value, b.value, found, found.p, _detectable(found))


def _detectable(found: PairedDifference) -> float | None:
    """(z_(1 - alpha/2) + z_power) standard errors."""
    if found.interval is None:
        return None
    error = (found.interval.high - found.interval.low) / 2 / normal_quantile(1 - ALPHA / 2)
    return (normal_quantile(1 - ALPHA / 2) + normal_quantile(POWER)) * error


def _outcomes(one: Episodes, other: Episodes) -> dict[tuple[str, str], int]:
    ends = []
    for episodes in (one, other):
        code = episodes.failure.coded(OUTCOMES)
        ends.append(np.where(episodes.success == 1, 0, np.where(code < 0, OUTCOMES.index("timeout"), code)))
    both, counts = np.unique(np.stack(ends), axis=1, return_counts=True)
    return {(OUTCOMES[a], OUTCOMES[b]): int(n) for (a, b), n in zip(both.T.tolist(), counts, strict=True)}


def tables(found: Comparison) -> list[Table]:
    """The differences, and how the episodes of each ended. They fit into 80 columns."""
    table = Table(title=f"a: {found.a.label}\nb: {found.b.label}", title_justify="left", box=SIMPLE, pad_edge=False)
    table.add_column("success (%)", overflow="fold")
    for header in ("a", "b", "a - b", "95 %", "p", "only a/b", "pairs"):
        table.add_column(header, justify="right", no_wrap=True)
    for row in found.rows:
        d = row.found
        around = f"{_points(d.interval.low)} {_points(d.interval.high)}" if d.interval else "-"
        rates = [f"{100 * rate:.0f}" for rate in (row.a, row.b)]
        cells = [
            *rates,
            _points(d.value),
            around,
            f"{row.p:.2g}",
            f"{d.only_a}/{d.only_b}" if row.kind != "gap" else "",
            str(d.pairs),
        ]
        table.add_row(row.what, *cells, style="bold" if row.p <= ALPHA else "", end_section=row.kind == "all")
    ended = Table(title="how they ended", title_justify="left", box=SIMPLE, pad_edge=False)
    for header in ("", "a", "b"):
        ended.add_column(header, justify="right" if header else "left")
    for name in OUTCOMES:
        counts = [sum(n for key, n in found.outcomes.items() if key[which] == name) for which in (0, 1)]
        if any(counts):
            ended.add_row(name, *map(str, counts))
    return [table, ended]


def as_json(found: Comparison) -> dict[str, Any]:
    """Every number, for scripts."""
    rows = [
        {
            "what": row.what,
            "kind": row.kind,
            "a": row.a,
            "b": row.b,
            **asdict(row.found),
            "p": row.p,
            "detectable": row.detectable,
        }
        for row in found.rows
    ]
    return {
        "a": found.a.label,
        "b": found.b.label,
        "pairs": len(found.pairs[0]),
        "unpaired": found.unpaired,
        "rows": rows,
        "outcomes": [{"a": one, "b": other, "episodes": n} for (one, other), n in sorted(found.outcomes.items())],
        "sentences": found.sentences(),
    }


def markdown(found: Comparison) -> str:
    """The differences as a Markdown table, with the sentences above it."""
    lines = [f"a: {found.a.label}, b: {found.b.label}\n", *(f"{sentence}\n" for sentence in found.sentences())]
    lines.append("| | a | b | difference | 95 % interval | p | detectable | only a | only b | pairs |")
    lines.append("| --- " + "| ---: " * 9 + "|")
    for row in found.rows:
        d = row.found
        around = f"{_points(d.interval.low)} to {_points(d.interval.high)}" if d.interval else "-"
        name = f"`{row.what}`" if row.kind == "shift" else f"**{row.what}**"
        able = "-" if row.detectable is None else f"{100 * row.detectable:.1f}"
        only = "| | |" if row.kind == "gap" else f"| {d.only_a} | {d.only_b} |"
        lines.append(
            f"| {name} | {percent(row.a)} | {percent(row.b)} | {_points(d.value)} | {around} | {row.p:.3g} | {able} "
            f"{only} {d.pairs} |"
        )
    note = (
        "Points of success, paired by episode; intervals and p by scene, p of shifts adjusted (Holm). Detectable: the "
        "difference that so many scenes find with a power of 80 %."
    )
    return "\n".join([*lines, "", note, ""])


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
