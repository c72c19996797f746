"""Making an entry of a run, as its authors do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import zstandard

from oodbench.errors import SpecError
from oodbench.leaderboard import pack
from oodbench.leaderboard.entry import EPISODES, HASHED, INFO, LIMITS, RUN, EntryInfo, name_of, sha256, toml
from oodbench.outputs import replacing
from oodbench.redact import redacted_values
from oodbench.run import records, trace
from oodbench.run.info import RunInfo, read_info
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.run.trace import Trace
from oodbench.suite import SUITES

NOT_KEPT = {"instruction", "sim_seconds", "policy_seconds", "slowest_answer", "attempts", "error", "video"}
TEMPLATE = """\
# What the authors say of the policy. Fill it in; `oodbench submit` adds the hashes.
name = "{name}"                  # on the leaderboard; lower case, digits, dots and hyphens
team = ""                        # whose it is, spelt likewise; needed where there is a method
authors = ["..."]
link = ""                        # paper or code
row = "checkpoint"               # "control" is for policies that do not compete
method = ""                      # what the team's checkpoints of other training seeds share; "" for a single one
training_seed = 0
training_data = "..."
parameters = 0                   # of the model
cameras = ["image"]              # that it used
licence = "..."                  # of the weights

[exposure]                       # what it saw in training, by shift or pattern: "unseen", "seen" or "unknown"
"*" = "unknown"
"""


def submit(run: Path, about: EntryInfo, root: Path, tell: Callable[[str], None] = lambda words: None) -> Path:
    """Make an entry of a run that was played to its end; one that is there is replaced.

    Args:
        run: The run's folder.
        about: What its authors say of the policy.
        root: The folder of the board's entries.
        tell: Hears what is being done.

    Returns:
        The entry's folder, below `root`.

    Raises:
        OodbenchError: The run is not finished, has errors, or no traces; or the disk will not take the entry.
    """
    info = read_info(run)
    kept = sorted(records.read(run / "episodes.jsonl"), key=lambda record: record.key)
    planned = info.plan.episodes or 0
    if not kept or len(kept) < planned:
        raise SpecError(f"{run}: {len(kept)} of {planned} episodes were played; repeat its command to play the rest")
    broken = [record for record in kept if record.error]
    if broken:
        raise SpecError(
            f"{run}: {len(broken)} episodes ended in errors, the first with: {broken[0].error}; play them again with "
            "--retry-errors"
        )
    if info.suite.name not in SUITES.names():
        raise SpecError(f"{run}: is of the suite {info.suite.name!r}; the board is of those that oodbench ships")
    tell("reading its traces")
    traces = trace.read(run)
    if not traces:
        raise SpecError(f"{run}: was played with --no-traces; an entry is replayed from its actions")
    with replacing(root / about.name / folder_name(info), "leaderboard entry", INFO) as part:
        tell("packing its traces")
        lines = b"".join(compact(record) for record in kept)
        (part / EPISODES).write_bytes(zstandard.ZstdCompressor(level=19).compress(lines))
        (part / RUN).write_text(portable(info).text(), encoding="utf-8")
        pack.write(part, _in_order(kept, traces))
        for name, most in LIMITS.items():
            if name != INFO and (part / name).stat().st_size > most:
                raise SpecError(f"{run}: {name} has more than the {most} bytes that an entry may have of it")
        hashes = {name: sha256(part, name) for name in HASHED}
        (part / INFO).write_text(toml(about.model_copy(update={"hashes": hashes})), encoding="utf-8")
    return root / about.name / folder_name(info)


def folder_name(info: RunInfo) -> str:
    """Of an entry: its suite, and the salt of its scenes where they are fresh ones. Raises SpecError."""
    name = info.suite.name + (f"-fresh-{info.suite.fresh}" if info.suite.fresh else "")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}", name):
        raise SpecError(
            f"{name[:60]!r}: a salt of letters, digits, dots and hyphens makes the name of an entry's folder"
        )
    return name


def _in_order(kept: Sequence[EpisodeRecord], traces: Mapping[EpisodeKey, Trace]) -> Iterator[tuple[EpisodeKey, Trace]]:
    for record in kept:
        if record.key not in traces:
            raise SpecError(f"{name_of(record.key)}: the run has no trace of it; an entry is replayed from its actions")
        yield record.key, traces[record.key]


def compact(record: EpisodeRecord) -> bytes:
    """A line of an entry's episodes."""
    return record.model_dump_json(exclude=NOT_KEPT, exclude_defaults=True).encode() + b"\n"


def portable(info: RunInfo) -> RunInfo:
    """run.json without the paths of the machine that it was made on, and without secrets."""

    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return re.sub(r"(^|[=\s])(?:/[^/\s?]+)+/([^/\s]+)", r"\1\2", value)
        if isinstance(value, list):
            return [clean(item) for item in value]
        if isinstance(value, dict):
            return {clean(key): clean(item) for key, item in value.items()}
        return value

    return RunInfo.model_validate(clean(redacted_values(info.model_dump(mode="json"))))
