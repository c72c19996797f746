"""The leaderboard as a static site: one folder that works from file://, asks nothing of the network, and is readable
without JavaScript."""

from __future__ import annotations

import json
import math
import shlex
import shutil
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError
from oodbench.leaderboard.entry import Entry
from oodbench.leaderboard.validate import Checked
from oodbench.outputs import replacing
from oodbench.report import html, paper, summary
from oodbench.report.overview import KINDS, Row, Standing, headline, ordered, row_of, row_of_method, standing
from oodbench.report.summary import RunSummary, suite_name
from oodbench.run.records import AXES
from oodbench.stats.clustered import ClusteredMean
from oodbench.stats.rates import Interval
from oodbench.suite import Suite

FEWEST_SEEDS = 2  # checkpoints of a method that make a row of it
COPIED = ("style.css", "board.js")


@dataclass(frozen=True)
class Board:
    """The table of one suite. fresh: entries on other scenes of the same cells, by name."""

    suite: Suite
    entries: tuple[Entry, ...]
    rows: tuple[Row, ...]
    order: Standing | None
    fresh: dict[str, Entry]

    @property
    def name(self) -> str:
        return self.suite.name

    @property
    def axes(self) -> list[str]:
        """Those that the main score is made of, and in-distribution beside it."""
        return [axis for axis in AXES if any(axis in row.axes for row in self.rows)] if self.shifted else []

    @property
    def shifted(self) -> bool:
        return any(entry.run.ood.value is not None for entry in self.entries)


def boards(checked: Sequence[Checked]) -> list[Board]:
    """The tables that the entries make, those with the most entries first. Entries that were refused are left out."""
    public: dict[str, list[Checked]] = defaultdict(list)
    fresh: dict[str, dict[str, Entry]] = defaultdict(dict)
    for check in checked:
        if check.entry is None or check.refused:
            continue
        suite = check.entry.suite
        if suite.fresh:
            fresh[suite.name][check.entry.about.name] = check.entry
        else:
            public[suite.name].append(check)
    found = [_board(of, fresh[name]) for name, of in public.items()]
    return sorted(found, key=lambda board: (-len(board.entries), board.name))


def _board(checked: Sequence[Checked], fresh: dict[str, Entry]) -> Board:
    kept = [(check, check.entry) for check in checked if check.entry]
    whole = [entry.run for check, entry in kept if check.complete]
    order = standing(whole)
    rows = []
    for check, entry in kept:
        other = fresh.get(entry.about.name)
        row = row_of(
            entry.run, entry.about.row, seeds=1, href=f"policies/{entry.about.name}.html",
            verified=f"{check.replayed} episodes were played again from their actions, all as recorded"
            if check.replayed else "",
            fresh=_difference(other.run, entry.run) if other else None,
        )  # fmt: skip
        if not check.complete:
            row = replace(row, partial=True, unranked=_incomplete(check.missing, entry.run.tasks))
        elif order:
            ranked = order.ranks.get(row.name)
            row = replace(row, rank=ranked, letters=order.letters[row.name], unranked="" if ranked else "upper bound")
        rows.append(row)
    methods: dict[str, list[RunSummary]] = defaultdict(list)
    for check, entry in kept:
        if entry.about.method and check.complete:
            methods[entry.about.method].append(entry.run)
    rows += [row_of_method(name, runs) for name, runs in methods.items() if len(runs) >= FEWEST_SEEDS]
    return Board(kept[0][1].suite, tuple(entry for _, entry in kept), tuple(ordered(rows)), order, fresh)


def _incomplete(missing: Sequence[str], played: Sequence[str]) -> str:
    """Why a row is not ranked."""
    of_them = [cell for cell in missing if cell.split("/")[0] in played]
    return f"incomplete: {len(of_them)} cells missing" if of_them else f"only {', '.join(played)}"


def _difference(fresh: RunSummary, public: RunSummary) -> ClusteredMean | None:
    """Success on fresh scenes minus on public ones: other scenes, so the two are independent."""
    a, b = fresh.score(headline(fresh)), public.score(headline(public))
    if a.value is None or b.value is None:
        return None
    value, around = a.value - b.value, None
    if a.interval and b.interval:  # Newcombe 1998, Statistics in Medicine 17, 873-890, method 10
        low = math.sqrt((a.value - a.interval.low) ** 2 + (b.interval.high - b.value) ** 2)
        high = math.sqrt((a.interval.high - a.value) ** 2 + (b.value - b.interval.low) ** 2)
        around = Interval(value - low, value + high)
    return ClusteredMean(value, around, a.scenes + b.scenes)


def build(
    checked: Sequence[Checked], out: Path, *, pictures: bool = True, tell: Callable[[str, int, int], None] | None = None
) -> Path:
    """Write the site into `out`, replacing what is there, and return its index.

    pictures: render the contact sheets of the suites. tell: hears of the progress: what, how many are done, of how
    many. Raises OodbenchError when the disk will not take it, or when there is no entry to show.
    """
    tell = tell or (lambda what, done, of: None)
    found = boards(checked)
    if not found:
        raise OodbenchError("no entry is valid: there is nothing to show")
    with replacing(out, "leaderboard site") as part:
        for folder in ("policies", "suites", "data"):
            (part / folder).mkdir()
        templates = Path(html.__file__).parent / "templates"
        for name in COPIED:
            shutil.copy(templates / name, part / name)
        _index(found, part)
        _reading(part)
        for board in found:
            _suite(board, part, pictures=pictures)
        by_name: dict[str, list[tuple[Board, Entry]]] = defaultdict(list)
        for board in found:
            for entry in board.entries:
                by_name[entry.about.name].append((board, entry))
        for done, (name, of) in enumerate(sorted(by_name.items()), start=1):
            _policy(name, of, part)
            tell("pages", done, len(by_name))
    return out / "index.html"


def _write(path: Path, template: str, *, up: str, **values: Any) -> None:
    path.write_text(html.environment().get_template(template).render(up=up, **values), encoding="utf-8")


def _index(found: Sequence[Board], out: Path) -> None:
    data = {board.name: _values(board) for board in found}
    groups = {board.name: _groups(board) for board in found}
    _write(
        out / "index.html", "board.html.j2", up="", title="oodbench leaderboard", boards=found, groups=groups,
        kinds=KINDS, data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )  # fmt: skip


def _groups(board: Board) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the table can be sorted by beside all shifts: (heading, [(key, words)])."""
    shifts = [
        name for name in dict.fromkeys(n for row in board.rows for n in row.shifts) if not name.startswith("control")
    ]
    axes = [("axes", [(f"axis:{axis}", html.TITLES[axis]) for axis in board.axes])]
    return axes + ([("shifts", [(f"shift:{name}", name) for name in shifts])] if shifts else [])


def _values(board: Board) -> dict[str, dict[str, list[float | int | None]]]:
    """By policy and group: value, low, high, n."""

    def numbers(score: summary.Score) -> list[float | int | None]:
        around = (None, None) if score.interval is None else (score.interval.low, score.interval.high)
        return [*(None if v is None else round(v, 5) for v in (score.value, *around)), score.n]

    return {
        row.name: {
            "all": numbers(row.score),
            **{f"axis:{axis}": numbers(score) for axis, score in row.axes.items()},
            **{f"shift:{name}": numbers(score) for name, score in row.shifts.items()},
        }
        for row in board.rows
    }


def _suite(board: Board, out: Path, *, pictures: bool) -> None:
    runs = [entry.run for entry in board.entries]
    sheet = ""
    if pictures:
        from oodbench.report import sheets

        sheet = f"{board.name}.jpg"
        sheets.suite(board.suite).save(out / "suites" / sheet, quality=82)
    (out / "data" / f"{board.name}.json").write_text(json.dumps(_portable_json(runs), indent=1), encoding="utf-8")
    (out / "data" / f"{board.name}.csv").write_text(paper.long_csv(runs), encoding="utf-8")
    cells = [(cell.setting, cell.tasks, cell.shifts, cell.severities, cell.episodes) for cell in board.suite.cells]
    _write(
        out / "suites" / f"{board.name}.html", "suite.html.j2", up="../", title=suite_name(runs[0].info), board=board,
        suite=board.suite, cells=cells, episodes=len(board.suite.plan()), sheet=sheet, methods=paper.methods(runs),
        bibtex=paper.bibtex(runs),
    )  # fmt: skip
    if board.order:
        _write(
            out / "suites" / f"{board.name}-pairs.html", "pairs.html.j2", up="../",
            title=f"{suite_name(runs[0].info)}: every pair", board=board, matrix=_matrix(board.order),
        )  # fmt: skip


def _portable_json(runs: Sequence[RunSummary]) -> list[dict[str, Any]]:
    found = summary.as_json(runs)
    for run in found:
        del run["run"]
    return found


def _matrix(order: Standing) -> list[tuple[str, list[tuple[float, float, str] | None]]]:
    """Rows, best first: (name, [(difference to the column's policy, adjusted p, "up", "down" or "")])."""
    ranking = order.ranking
    place = np.argsort(-ranking.mean, kind="stable")
    found = []
    for i in place:
        cells: list[tuple[float, float, str] | None] = []
        for j in place:
            sign = "up" if ranking.better[i, j] else "down" if ranking.better[j, i] else ""
            cells.append(None if i == j else (float(ranking.difference[i, j]), float(ranking.p[i, j]), sign))
        found.append((ranking.names[i], cells))
    return found


def _policy(name: str, of: Sequence[tuple[Board, Entry]], out: Path) -> None:
    about = of[0][1].about
    sections = []
    for board, entry in of:
        run = entry.run
        shown = []
        for path, film in sorted(html.films(run), key=lambda found: AXES.index(_axis(found[1].shift))):
            target = out / "videos" / name / board.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
            shown.append(replace(film, source=f"../videos/{name}/{board.name}/{path.name}"))
        row = next(row for row in board.rows if row.name == name)
        sections.append({
            "board": board, "run": run, "row": replace(row, href=""), "verdict": summary.verdict(run), "films": shown,
            "repeat": _repeat(entry), "exposure": _exposure(entry), "provenance": html.provenance(run),
            **html.parts([run]),
        })  # fmt: skip
    _write(out / "policies" / f"{name}.html", "policy.html.j2", up="../", title=name, about=about, sections=sections)


def _axis(shift: str) -> str:
    return "id" if shift == "none" else shift.split(".")[0]


def _repeat(entry: Entry) -> list[str]:
    """The commands that play the entry again, and that check its recorded actions."""
    info = entry.run.info
    words = [
        "oodbench",
        "run",
        entry.suite.name,
        "--policy",
        info.policy.uri,
        "--out",
        f"runs/{entry.about.name}",
    ]
    words += ["--fresh", entry.suite.fresh] if entry.suite.fresh else []
    command = info.command
    for flag in ("--task", "--shift"):
        words += [part for i, word in enumerate(command[:-1]) if word == flag for part in (flag, command[i + 1])]
    folder = f"leaderboard/entries/{entry.about.name}/{entry.path.name}"
    return [shlex.join(words), f"oodbench leaderboard validate {folder} --replays 24"]


def _exposure(entry: Entry) -> list[tuple[str, str]]:
    """(what was declared, of which shifts), for the page."""
    by_word: dict[str, list[str]] = defaultdict(list)
    for name, shift in entry.run.shifts.items():
        if shift.axis != "control":
            by_word[entry.about.exposed(name)].append(name)
    return [(word, ", ".join(names)) for word, names in by_word.items()]


def _reading(out: Path) -> None:
    _write(out / "reading.html", "reading.html.j2", up="", title="How to read the leaderboard")
