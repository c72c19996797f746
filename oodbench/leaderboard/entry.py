"""An entry: leaderboard/entries/<policy>/<suite>/, made of a run by `oodbench submit`.

run.json        what was run, with what (as in the run folder)
episodes.jsonl.zst  every episode
traces/         the actions of a sample that the submitter does not choose, to be played again
videos/         a few typical episodes, filmed from those actions
entry.toml      what its authors say of it, and the hashes of the other files
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import zstandard
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oodbench.errors import SpecError
from oodbench.outputs import replacing
from oodbench.redact import redacted
from oodbench.report.summary import RunSummary
from oodbench.run import columns, records, trace
from oodbench.run.columns import Episodes, Film
from oodbench.run.info import RunInfo, SuiteInfo, read_info
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.run.trace import Tape, Trace, TraceWriter
from oodbench.run.video import Film as Camera
from oodbench.seeding import generator
from oodbench.shift import ShiftSpec
from oodbench.suite import Episode, Suite

EPISODES, RUN, INFO = "episodes.jsonl.zst", "run.json", "entry.toml"
SAMPLE = 24  # episodes whose actions are kept
FILMS = 4
SIZE = 160  # pixels of each picture of a film
NOT_KEPT = {"instruction", "sim_seconds", "policy_seconds", "slowest_answer", "attempts", "error", "video"}
TEMPLATE = """\
# What the authors say of the policy. Fill it in; `oodbench submit` adds the hashes.
name = "{name}"                  # on the leaderboard; lower case, digits and hyphens
authors = ["..."]
link = ""                        # paper or code
row = "checkpoint"               # "control" is for policies that do not compete
method = ""                      # what its checkpoints of other training seeds share; "" for a single one
training_seed = 0
training_data = "..."
parameters = 0                   # of the model
cameras = ["image"]              # that it used
licence = "..."                  # of the weights

[exposure]                       # what it saw in training, by shift or pattern: "unseen", "seen" or "unknown"
"*" = "unknown"
"""


class EntryInfo(BaseModel):
    """entry.toml. hashes: sha256 of the other files."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    authors: tuple[str, ...] = Field(min_length=1)
    link: str = Field("", pattern=r"^(https?://\S+)?$")
    row: Literal["checkpoint", "control"] = "checkpoint"
    method: str = ""
    training_seed: int = 0
    training_data: str
    parameters: int = Field(ge=0)
    cameras: tuple[str, ...] = ()
    licence: str
    exposure: dict[str, Literal["unseen", "seen", "unknown"]]
    hashes: dict[str, str] = {}

    def exposed(self, shift: str) -> str:
        """What is declared of a shift: by its own name, or by the longest pattern that matches it."""
        matching = [p for p in self.exposure if fnmatchcase(shift, p)]
        return self.exposure[max(matching, key=len)] if matching else "undeclared"


@dataclass(frozen=True)
class Entry:
    """An entry as it lies in its folder."""

    path: Path
    about: EntryInfo
    run: RunSummary

    @cached_property
    def suite(self) -> Suite:
        return suite_of(self.run.info)


def suite_of(info: RunInfo) -> Suite:
    """What was played. Most entries are of the same few suites. Raises RunFolderError."""
    return _suite_of(info.suite.model_dump_json(exclude_unset=True))


@lru_cache(maxsize=256)
def _suite_of(content: str) -> Suite:
    return SuiteInfo.model_validate_json(content).to_play()


def read(path: Path) -> Entry:
    """Raises OodbenchError: something is missing, or is not what it should be."""
    about = read_about(path / INFO)
    info = read_info(path)
    episodes = columns.read(path / EPISODES)
    if not len(episodes):
        raise SpecError(f"{path}: holds no episodes")
    return Entry(path, about, RunSummary(path, info, with_films(episodes, path), about.name))


def read_about(path: Path) -> EntryInfo:
    """Raises SpecError, naming what is wrong."""
    try:
        return EntryInfo.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise SpecError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    except ValueError as error:
        raise SpecError(f"{path}: {error}") from None


def entries(root: Path) -> list[Path]:
    """The folders of all entries below `root`."""
    return sorted(path.parent for path in root.glob(f"*/*/{INFO}"))


def submit(run: Path, about: EntryInfo, root: Path, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Make an entry of a run that was played to its end, below `root`; one that is there is replaced.

    tell: hears what is being done. Raises OodbenchError: the run is not finished, has errors, or no traces.
    """
    info = read_info(run)
    kept = records.read(run / "episodes.jsonl")
    planned = info.plan.episodes or 0
    if len(kept) < planned:
        raise SpecError(f"{run}: {len(kept)} of {planned} episodes were played; repeat its command to play the rest")
    broken = [record for record in kept if record.error]
    if broken:
        raise SpecError(
            f"{run}: {len(broken)} episodes ended in errors, the first with: {broken[0].error}; play them again with "
            "--retry-errors"
        )
    traces = trace.read(run)
    if not traces:
        raise SpecError(f"{run}: was played with --no-traces; an entry is replayed from its actions")
    suite = suite_of(info)
    folder = root / about.name / (suite.name + (f"-fresh-{suite.fresh}" if suite.fresh else ""))
    with replacing(folder, "leaderboard entry", INFO) as part:
        lines = b"".join(_compact(record) for record in sorted(kept, key=lambda r: r.key))
        (part / EPISODES).write_bytes(zstandard.ZstdCompressor(level=19).compress(lines))
        (part / RUN).write_text(json.dumps(_portable(info.model_dump(mode="json")), indent=1) + "\n", encoding="utf-8")
        _write_traces(part, kept, traces, sampled([r.key for r in kept], sha256(part / EPISODES)))
        tell("filming typical episodes")
        _film(part / "videos", suite, kept, traces)
        hashes = {path.relative_to(part).as_posix(): sha256(path) for path in sorted(part.rglob("*")) if path.is_file()}
        (part / INFO).write_text(_toml(about.model_copy(update={"hashes": hashes})), encoding="utf-8")
    return folder


def sampled(keys: Iterable[EpisodeKey], digest: str) -> list[EpisodeKey]:
    """The episodes whose actions an entry holds: drawn by the hash of all its outcomes, so that nobody can choose."""
    order = sorted(keys)
    chosen = generator("leaderboard", digest).choice(len(order), min(SAMPLE, len(order)), replace=False)
    return [order[i] for i in sorted(chosen.tolist())]


def _compact(record: EpisodeRecord) -> bytes:
    return record.model_dump_json(exclude=NOT_KEPT, exclude_defaults=True).encode() + b"\n"


def _portable(info: Mapping[str, Any]) -> dict[str, Any]:
    """run.json without the paths of the machine that it was made on, and without secrets."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return redacted(re.sub(r"(^|[=\s])(?:/[^/\s?]+)+/([^/\s]+)", r"\1\2", value))
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, dict):
            return {clean(key): clean(item) for key, item in value.items()}
        return value

    return clean(dict(info))


def _write_traces(
    folder: Path, kept: Sequence[EpisodeRecord], traces: Mapping[EpisodeKey, Trace], keys: Iterable[EpisodeKey]
) -> None:
    by_key = {record.key: record for record in kept}
    writer = TraceWriter(folder, "sample")
    for key in keys:
        if key not in traces:
            raise SpecError(
                f"{'/'.join(map(str, key))}: the run has no trace of it; an entry is replayed from its actions"
            )
        recorded = traces[key]
        writer.write(by_key[key], Tape(list(recorded.actions), recorded.states, list(recorded.positions)))
    writer.close()


def typical(kept: Sequence[EpisodeRecord]) -> list[EpisodeRecord]:
    """A few episodes to look at: an in-distribution one and one of each axis, of the outcome that is most common
    there, failures first where they are as common, and of the middle length."""
    found = []
    axes = [axis for axis in ("id", "semantic", "visual", "execution") if any(r.axis == axis for r in kept)]
    turn = ["success", "failure"]
    for place, axis in enumerate(axes):
        mine = [r for r in kept if r.axis == axis]
        wanted = turn[place % 2] == "success"
        group = [r for r in mine if bool(r.success) == wanted] or mine
        if not group[0].success:
            common = max({r.failure for r in group}, key=lambda f: (sum(r.failure == f for r in group), str(f)))
            group = [r for r in group if r.failure == common]
        found.append(sorted(group, key=lambda r: (r.steps, r.key))[len(group) // 2])
    return found[:FILMS]


def _film(folder: Path, suite: Suite, kept: Sequence[EpisodeRecord], traces: Mapping[EpisodeKey, Trace]) -> None:
    from oodbench.sim.world import World

    world = World("high")
    for record in typical(kept):
        recorded = traces.get(record.key)
        if recorded is None:
            continue
        scene = Episode(record.task, ShiftSpec.parse(record.shift, record.severity), record.seed).scene(suite)
        camera = Camera(folder / f"{film_name(record.key)}.mp4", SIZE)
        world.reset(scene)
        camera.shoot(world)
        for action in recorded.actions:
            world.step(action)
            camera.shoot(world)
        camera.shoot(world, last=True)
        camera.close(success=bool(record.success))


def film_name(key: EpisodeKey) -> str:
    task, shift, severity, seed = key
    return f"{task}--{shift}--{severity:g}--{seed}"


def with_films(episodes: Episodes, path: Path) -> Episodes:
    """The episodes, knowing which of them were filmed."""
    names = {film.stem: film for film in sorted((path / "videos").glob("*.mp4"))}
    if not names:
        return episodes
    rows = {film_name(episodes.key(row)): row for row in range(len(episodes))}
    films = [
        Film(rows[name], PurePosixPath("videos", film.name).as_posix(), _words(path, episodes, rows[name]))
        for name, film in names.items()
        if name in rows
    ]
    return replace(episodes, films=tuple(films))


def _words(path: Path, episodes: Episodes, row: int) -> str:
    """What the policy was told."""
    suite = suite_of(read_info(path))
    task, shift, severity, seed = episodes.key(row)
    return Episode(task, ShiftSpec.parse(shift, severity), seed).scene(suite).instruction.text


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _toml(about: EntryInfo) -> str:
    """Strings, whole numbers, lists of strings and tables of strings are all that an entry holds."""
    content = about.model_dump(mode="json")
    tables = {key: content.pop(key) for key in ("exposure", "hashes")}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in content.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{json.dumps(key)} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"
