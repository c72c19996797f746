"""Ten thousand mutated run folders and entries, through everything that reads a stranger's.

    python -m tests.leaderboard.fuzz --count 10000 --seed 0

Each case takes a small genuine run folder or entry, spoils it in one or several ways (tests/leaderboard/mutations.py),
and hands it to verify, report, compare and submit, or to validate, build and report. Allowed is that it is taken for
good, or an OodbenchError. Not allowed is any other exception, more than a few seconds, more than 1 GiB of memory, that
any file outside the output is touched, that what lies elsewhere gets into the output, or that a module of the case is
imported.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oodbench.errors import OodbenchError
from oodbench.leaderboard import admission, site
from oodbench.leaderboard.admission import Admissions
from oodbench.leaderboard.entry import read_about
from oodbench.leaderboard.submit import submit
from oodbench.leaderboard.validate import Checker
from oodbench.report import compare, html, summary
from oodbench.run import verify as verifying
from oodbench.sim.world import World

from .mutations import SECRET, Mutator

SECONDS = 10.0  # for one command on one case; a real one takes some 0.1
GIB = 2**30
PLAYED = {"tasks": ["press-button"], "shifts": ["visual.noise"]}
EVIL = (
    "open({path!r}, 'w').close()\nclass Evil:\n    def reset(self, episode): pass\n    def act(self, o): return None\n"
)


class Hang(BaseException):
    """No command should take this long."""


@dataclass
class Found:
    """What was seen. ends: of each command, how often it took the case for good, and how often it refused it."""

    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    ends: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Ground:
    """A folder to work in. runs: of genuine run folders, by name. board: a genuine `entries` folder.

    outside/ is watched, and holds what should neither be read nor imported; case/ is made anew for every case; out/ is
    what the commands may write.
    """

    def __init__(self, root: Path, runs: dict[str, Path], board: Path) -> None:
        self.root, self.board = root, board
        self.outside, self.case, self.out = root / "outside", root / "case", root / "out"
        self.runs = {name: root / "runs" / name for name in runs}
        for name, run in runs.items():
            shutil.copytree(run, self.runs[name])
        self.outside.mkdir(parents=True)
        (self.outside / "secret.mp4").write_bytes(SECRET * 4)
        (self.outside / "evil.py").write_text(EVIL.format(path=str(self.outside / "imported")))
        self.mutator = Mutator(self.outside)
        self.checker = Checker(admission.read(board))
        self.worlds = functools.cache(World)
        self.label, self.other = runs
        for name in runs:
            check = self.checker.check(board / name / "smoke", replays=1)
            assert check.refused == [], "unspoilt it has to stand"

    def steps(self, kind: str) -> Iterator[tuple[str, Callable[[], object]]]:
        """The commands for a case, each with its name."""
        if kind == "run":
            run = self.case / "run"
            yield "verify", lambda: self._verify(run)
            yield "report", lambda: self._report(run)
            yield "compare", lambda: compare.as_json(compare.compare(run, self.runs[self.other]))
            yield "submit", lambda: submit(run, read_about(run / "about.toml"), self.out / "entries")
            return
        folder = self.case / "entries" / self.label / "smoke"
        checker = Checker(Admissions(self.checker.admitted.path, dict(self.checker.admitted.of)), "salt")
        checker._worlds = self.checker._worlds
        yield "validate", lambda: self._validate(checker, folder)
        yield "build", lambda: site.build([self.checked], self.out / "site", pictures=False, everything=True)
        yield "report", lambda: self._report(folder)

    def _verify(self, run: Path) -> None:
        before, verifying.World = verifying.World, self.worlds  # type: ignore[misc,assignment]
        try:
            verifying.verify(run, 1)
        finally:
            verifying.World = before  # type: ignore[misc]

    def _report(self, run: Path) -> None:
        loaded = summary.load([run])
        self.out.mkdir(exist_ok=True)
        (self.out / "report.html").write_text(html.render(loaded, self.out / "report.html"), encoding="utf-8")

    def _validate(self, checker: Checker, folder: Path) -> None:
        self.checked = checker.check(folder, replays=1)
        if self.checked.refused:
            unexpected = [reason for reason in self.checked.refused if reason.startswith("could not be checked")]
            if unexpected:
                raise AssertionError(unexpected[0])
            raise OodbenchError(self.checked.refused[0])

    def prepare(self, rng: random.Random) -> str:
        """Make a case; its kind."""
        kind = rng.choice(("run", "entry"))
        for folder in (self.case, self.out):
            shutil.rmtree(folder, ignore_errors=True)
        if kind == "run":
            shutil.copytree(self.runs[self.label], self.case / "run")
            shutil.copyfile(self.board / self.label / "smoke" / "entry.toml", self.case / "run" / "about.toml")
            self.mutator.spoil(self.case / "run", rng)
        else:
            name = rng.choice((self.label, self.label, self.other))
            folder = self.case / "entries" / self.label / "smoke"
            shutil.copytree(self.board / name / "smoke", folder)
            self.mutator.spoil(folder, rng, signed=rng.random() < 0.7)
        return kind

    def snapshot(self) -> dict[str, tuple[int, ...]]:
        """Of everything but the output: mode, size, time of the last change."""
        found = {}
        for folder, names, files in os.walk(self.root):
            if Path(folder) == self.root and "out" in names:
                names.remove("out")
            for name in (*names, *files):
                path = os.path.join(folder, name)
                it = os.lstat(path)
                found[path] = (it.st_mode, it.st_size, it.st_mtime_ns if name in files else 0, it.st_ino)
        return found

    def leaks(self) -> Iterator[str]:
        """Files of the output that hold what lies outside."""
        signs = (SECRET, base64.b64encode(SECRET * 4)[:32])
        for folder, _, files in os.walk(self.out):
            for name in files:
                path = Path(folder, name)
                if path.is_symlink() or any(sign in path.read_bytes() for sign in signs):
                    yield str(path.relative_to(self.out))


def fuzz(
    ground: Ground,
    count: int,
    seed: int = 0,
    first: int = 0,
    tell: Callable[[int, Found], None] = lambda i, found: None,
) -> Found:
    """Try `count` cases; each depends on the seed and its number only."""
    found, began = Found(), time.monotonic()
    for number in range(first, first + count):
        rng = random.Random(f"{seed}-{number}")
        kind = ground.prepare(rng)
        before, modules = ground.snapshot(), set(sys.modules)
        for name, step in ground.steps(kind):
            started = time.monotonic()
            try:
                with _limited(SECONDS):
                    step()
                found.ends[f"{name}: taken"] += 1
            except OodbenchError:
                found.ends[f"{name}: refused"] += 1
            except (Exception, Hang) as error:
                last = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{Path(last.filename).name}:{last.lineno}"
                what = (
                    f"case {number} ({kind}: {ground.mutator.did}): {name}: {type(error).__name__}: {error} ({where})"
                )
                found.problems.append(what[:600])
            found.slowest = max(found.slowest, time.monotonic() - started)
        found.cases += 1
        said = f"case {number} ({kind}: {ground.mutator.did})"
        after = ground.snapshot()
        changed = sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))
        found.problems += [f"{said}: touched {path}" for path in changed[:3]]
        found.problems += [f"{said}: {name} holds what lies elsewhere" for name in ground.leaks()]
        mine = [
            m for m in set(sys.modules) - modules if str(ground.root) in str(getattr(sys.modules[m], "__file__", ""))
        ]
        found.problems += [f"{said}: imported {module}" for module in mine]
        found.seconds = time.monotonic() - began
        if tell:
            tell(number, found)
    return found


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def genuine(root: Path) -> Ground:
    """A ground with runs that are played now, and entries of them, of which the second is admitted."""
    from oodbench.leaderboard.admit import admit
    from oodbench.run.runner import evaluate

    from .conftest import about

    runs = {name: evaluate(name, "smoke", out=root / "played" / name, workers=0, **PLAYED).path  # type: ignore[arg-type]
            for name in ("random", "no-op")}  # fmt: skip
    board = root / "board" / "entries"
    made = [submit(run, about(name), board) for name, run in runs.items()]
    checker = Checker(admission.read(board))
    admit(made[1], checker, drawn=2, films=0)
    (root / "ground").mkdir()
    return Ground(root / "ground", runs, board)


def peak() -> int:
    """Bytes of memory that this process ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first case, to repeat one")
    parser.add_argument("--keep", action="store_true", help="leave the last case in its folder")
    chosen = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="oodbench-fuzz-"))
    try:
        ground = genuine(root)
        fuzz(ground, 3, seed=-1)  # warm
        start = peak()
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + GIB, size + GIB))

        def tell(number: int, found: Found) -> None:
            if found.cases % 500 == 0:
                rate = found.cases / found.seconds
                print(f"{found.cases} cases, {rate:.1f} a second, {len(found.problems)} problems", flush=True)

        found = fuzz(ground, chosen.count, chosen.seed, chosen.first, tell)
        if peak() > GIB:
            found.problems.append(f"{peak() / GIB:.2f} GiB of memory")
    finally:
        if chosen.keep:
            print(root)
        else:
            shutil.rmtree(root, ignore_errors=True)
    for problem in found.problems[:100]:
        print(problem)
    for end, n in sorted(found.ends.items()):
        print(f"{end}: {n}")
    print(
        f"{found.cases} cases in {found.seconds:.0f} s ({found.cases / found.seconds:.1f} a second), "
        f"the slowest command {found.slowest:.2f} s, memory {start / 2**20:.0f} MiB before and at most "
        f"{peak() / 2**20:.0f} MiB; {len(found.problems)} problems"
    )
    return bool(found.problems)


if __name__ == "__main__":
    sys.exit(main())
