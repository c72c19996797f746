"""The leaderboard as a static site: one folder that works from file://, asks nothing of the network, and is readable
without JavaScript."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shlex
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oodbench.errors import OodbenchError
from oodbench.leaderboard.admit import film_name
from oodbench.leaderboard.entry import Entry
from oodbench.leaderboard.validate import Checked, scene_of
from oodbench.outputs import replacing
from oodbench.report import html, paper, precision, summary
from oodbench.report.overview import KINDS, Row, Standing, headline, ordered, row_of, row_of_method, standing
from oodbench.report.summary import RunSummary, suite_name
from oodbench.run import files
from oodbench.run.records import AXES
from oodbench.stats.clustered import ClusteredMean
from oodbench.stats.rates import Interval
from oodbench.suite import Suite

FEWEST_SEEDS = 2  # checkpoints of a method that make a row of it
COPIED = ("style.css", "board.js")
CONTROLS = (
    "expert",
    "expert-noisy",
    "expert-slow",
    "expert-blind",
    "replay",
    "random",
    "no-op",
)  # ours, by their names


@dataclass(frozen=True)
class Board:
    """The table of one suite. fresh: entries on other scenes of the same cells, by name. checks: what was found of the
    entries, by name."""

    suite: Suite
    entries: tuple[Entry, ...]
    rows: tuple[Row, ...]
    order: Standing | None
    fresh: dict[str, Entry]
    checks: dict[str, Checked]

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


def boards(checked: Sequence[Checked], *, everything: bool = False) -> list[Board]:
    """The tables that the entries make, those with the most entries first.

    Entries that were refused are left out, and so are those that are not admitted, unless `everything` is wanted: then
    they are shown, but not ranked.
    """
    public: dict[str, list[Checked]] = defaultdict(list)
    fresh: dict[str, dict[str, Entry]] = defaultdict(dict)
    for check in sorted(checked, key=lambda check: check.path):
        if check.entry is None or check.refused or not (check.admission or everything):
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
    whole = [entry.run for check, entry in kept if check.complete and check.admission]
    order = standing(whole)
    rows = []
    for check, entry in kept:
        other = fresh.get(entry.about.name)
        row = row_of(
            entry.run, entry.about.row, seeds=1, href=f"policies/{entry.about.name}.html", verified=_verified(check),
            fresh=_difference(other.run, entry.run) if other else None,
        )  # fmt: skip
        if not check.admission:
            row = replace(row, unranked="not admitted")
        elif not check.complete:
            row = replace(row, partial=True, unranked=_incomplete(check.missing, entry.run.tasks))
        elif order:
            ranked = order.ranks.get(row.name)
            row = replace(row, rank=ranked, letters=order.letters[row.name], unranked="" if ranked else "upper bound")
        rows.append(row)
    methods: dict[tuple[str, ...], list[RunSummary]] = defaultdict(list)
    for check, entry in kept:
        about = entry.about
        if about.method and check.complete and check.admission:
            methods[about.team, about.method, *about.authors].append(entry.run)
    rows += [
        row_of_method(f"{team}/{method}", runs)
        for (team, method, *_), runs in methods.items()
        if len(runs) >= FEWEST_SEEDS
    ]
    return Board(
        kept[0][1].suite, tuple(entry for _, entry in kept), tuple(ordered(rows)), order, fresh,
        {entry.about.name: check for check, entry in kept},
    )  # fmt: skip


def _verified(check: Checked) -> str:
    """What was played again, in words."""
    if check.admission is None:
        return ""
    tries = f"; {check.admission.refused} earlier tries were refused" if check.admission.refused else ""
    return (
        f"{check.admission.drawn} episodes, drawn after it was handed in, were played again from their actions on "
        f"{check.admission.date}, all as recorded{tries}"
    )


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
    checked: Sequence[Checked],
    out: Path,
    *,
    pictures: bool = True,
    everything: bool = False,
    tell: Callable[[str, int, int], None] | None = None,
) -> Path:
    """Write the site.

    Args:
        checked: The entries, and what was found of them.
        out: The folder to write; a site that is there is replaced.
        pictures: Whether to render the contact sheets of the suites.
        everything: Whether to show entries that are not admitted as well, which are not ranked.
        tell: Hears of the progress: what, how many are done, of how many.

    Returns:
        The site's index.

    Raises:
        OodbenchError: The disk will not take it, `out` holds something else, or there is no entry to show.
    """
    tell = tell or (lambda what, done, of: None)
    found = boards(checked, everything=everything)
    if not found:
        raise OodbenchError("no entry stands and is admitted: there is nothing to show")
    waiting = sorted(check.entry.key for check in checked if check.entry and not (check.refused or check.admission))
    with replacing(out, "leaderboard site") as part:
        for folder in ("policies", "suites", "data"):
            (part / folder).mkdir()
        templates = Path(html.__file__).parent / "templates"
        for name in COPIED:
            shutil.copy(templates / name, part / name)
        _index(found, part, waiting)
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


def _index(found: Sequence[Board], out: Path, waiting: Sequence[str]) -> None:
    data = {board.name: _values(board) for board in found}
    groups = {board.name: _groups(board) for board in found}
    _write(
        out / "index.html", "board.html.j2", up="", title="oodbench leaderboard", boards=found, groups=groups,
        waiting=waiting, kinds=KINDS, data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
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
        sheet = f"{board.name}.jpg"
        from oodbench.report import sheets  # which renders

        sheets.suite(board.suite).save(out / "suites" / sheet, quality=82)
    (out / "data" / f"{board.name}.json").write_text(json.dumps(_portable_json(runs), indent=1), encoding="utf-8")
    (out / "data" / f"{board.name}.csv").write_text(paper.long_csv(runs), encoding="utf-8")
    cells = [
        (cell.setting, cell.tasks, cell.shifts, cell.severities, cell.episodes or board.suite.scene_count)
        for cell in board.suite.cells
    ]
    _write(
        out / "suites" / f"{board.name}.html", "suite.html.j2", up="../", title=suite_name(runs[0].info), board=board,
        suite=board.suite, cells=cells, episodes=len(board.suite.plan()), sheet=sheet, methods=paper.methods(runs),
        bibtex=paper.bibtex(runs), design=precision.design(board.suite),
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
        shown = [
            replace(film, source=_copied(path, out / "videos" / name / board.name, out / "policies"))
            for path, film in sorted(_films(board.checks[name], entry), key=lambda f: AXES.index(_axis(f[1].shift)))
        ]
        row = next(row for row in board.rows if row.name == name)
        sections.append({
            "board": board, "run": run, "row": replace(row, href=""), "verdict": summary.verdict(run), "films": shown,
            "repeat": _repeat(entry), "exposure": _exposure(entry),
            "provenance": _provenance(board.checks[name], run),
            **html.parts([run]),
        })  # fmt: skip
    _write(out / "policies" / f"{name}.html", "policy.html.j2", up="../", title=name, about=about, sections=sections)


def _provenance(check: Checked, run: RunSummary) -> list[tuple[str, str]]:
    """What the entry says of how it was made, but for the command, which nobody should paste; and its admission."""
    said = [(what, value) for what, value in html.provenance(run) if what != "command"]
    entry, admission = check.entry, check.admission
    if entry is None or admission is None:
        return said
    salt = f"{admission.salt}, for the digest {entry.digest}: {admission.drawn} episodes"
    return [*said, ("admitted", admission.date), ("drawn by", salt)]


def _films(check: Checked, entry: Entry) -> Iterator[tuple[Path, html.Shown]]:
    """The films that the board made of an entry when it was admitted, those that are still as they were."""
    if check.admission is None or check.films is None:
        return
    e = entry.run.episodes
    rows = {film_name(e.key(row)): row for row in range(len(e))}
    for name, sha256 in check.admission.films.items():
        path, row = files.film_path(check.films, name), rows.get(name.removesuffix(".mp4"))
        if path is None or row is None or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            continue
        task, shift, severity, _ = e.key(row)
        words = scene_of(entry.suite, e.key(row)).instruction.text
        won = bool(e.success[row] == 1)
        yield path, html.Shown(entry.run, task, shift, severity, won, e.failure.at(row) or "timeout", words, "")


def _copied(path: Path, folder: Path, page: Path) -> str:
    """Copy a film into the site; its address from a page in the folder `page`."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, folder / path.name, follow_symlinks=False)
    return Path(os.path.relpath(folder / path.name, page)).as_posix()


def _axis(shift: str) -> str:
    return "id" if shift == "none" else shift.split(".")[0]


def _repeat(entry: Entry) -> list[str]:
    """Commands to be copied: to play what the entry played, and to check its recorded actions.

    What is pasted into a shell comes from names that were checked. A policy is only named when it is one of oodbench's
    own; any other URI would load what a stranger wrote.
    """
    uri, suite = entry.run.info.policy.uri, entry.suite
    words = ["oodbench", "run", suite.name, "--policy", uri if uri in CONTROLS else "YOUR_POLICY"]
    words += ["--fresh", suite.fresh] if suite.fresh else []
    if entry.run.tasks and set(entry.run.tasks) < {episode.task for episode in suite.plan()}:
        words += [word for task in entry.run.tasks for word in ("--task", task)]
    words += ["--out", f"runs/{entry.about.name}"]
    return [shlex.join(words), shlex.join(["oodbench", "leaderboard", "validate", f"leaderboard/entries/{entry.key}"])]


def _exposure(entry: Entry) -> list[tuple[str, str]]:
    """(what was declared, of which shifts), for the page."""
    by_word: dict[str, list[str]] = defaultdict(list)
    for name, shift in entry.run.shifts.items():
        if shift.axis != "control":
            by_word[entry.about.exposed(name)].append(name)
    return [(word, ", ".join(names)) for word, names in by_word.items()]


def _reading(out: Path) -> None:
    _write(out / "reading.html", "reading.html.j2", up="", title="How to read the leaderboard")
