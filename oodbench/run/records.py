"""One line of episodes.jsonl, and reading and appending such lines so that a torn write loses nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from oodbench.errors import RunFolderError
from oodbench.redact import redacted
from oodbench.run import files

Axis = Literal["id", "semantic", "visual", "execution", "combined", "control"]
AXES: tuple[Axis, ...] = ("id", "semantic", "visual", "execution", "combined", "control")
PLAIN: tuple[Axis, ...] = ("id", "control")  # what is no shift that a policy should withstand
COMPRESSED = ".zst"
EpisodeKey = tuple[str, str, float, int]


class EpisodeRecord(BaseModel):
    """What became of one episode.

    success is the reading that the suite's protocol names: `final` (the goal held at the last step), `ever` (at any
    step, also while the object was held) or `settled` (it held with the object released and at rest). All are null
    when the episode ended in an error: an error is not a failure.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str
    shift: str  # "none" for in-distribution
    severity: float
    seed: int
    axis: Axis
    scene_sha256: str | None = None
    instruction: str | None = None
    success: bool | None = None
    final: bool | None = None
    ever: bool | None = None
    settled: bool | None = None
    stages: dict[str, int | None] = {}  # control steps played when a stage was first reached; null: never
    choice: str | None = None  # of a goal with options: the one that held at the end
    habit: bool | None = None  # whether what the goal calls the habit held at the end
    failure: str | None = None  # why not, from the stages: "wrong-object", "dropped", ...; null on success
    steps: int = 0
    outcome_sha256: str | None = None  # of the final simulator state and all executed actions
    sim_seconds: float = 0.0
    policy_seconds: float = 0.0
    slowest_answer: float = 0.0  # seconds of the longest single answer of the policy
    waited: int | None = None  # of --real-time runs: control steps that passed while the policy thought
    attempts: int = 1
    error: str | None = None
    video: str | None = None  # relative to the run folder

    @property
    def key(self) -> EpisodeKey:
        """What makes an episode one of a kind within a run."""
        return (self.task, self.shift, self.severity, self.seed)


def append(file: IO[str], record: EpisodeRecord) -> None:
    """Write one line and push it to the operating system, so that killing this process loses nothing written.

    An error's text loses the secrets that a policy's URI may have.
    """
    if record.error:
        record = record.model_copy(update={"error": redacted(record.error)})
    file.write(record.model_dump_json() + "\n")
    file.flush()


def read(path: Path) -> list[EpisodeRecord]:
    """The records of an episodes.jsonl, the last one of each key, in the order in which they were first written.

    A torn last line (the process was killed while writing) is left out. Raises RunFolderError for any other bad line.
    """
    records: dict[EpisodeKey, EpisodeRecord] = {}
    for record in every(path):
        records[record.key] = record
    return list(records.values())


def every(path: Path) -> Iterator[EpisodeRecord]:
    """As `read`, all lines of the file, which may be compressed (.zst)."""
    before = 0  # lines of the blocks that were read
    try:
        for block, last in files.blocks(path.parent, path.name):
            lines = block.split(b"\n")
            for at, line in enumerate(lines):
                if not line.strip():
                    continue
                try:
                    record = EpisodeRecord.model_validate_json(line)
                except ValidationError as error:
                    if last and at == len(lines) - 1:  # no newline after it: the write was cut short
                        break
                    first = error.errors(include_url=False, include_input=False)[0]
                    said = ".".join(map(str, first["loc"]))[:100] or first["msg"]
                    raise RunFolderError(f"{path}:{before + at + 1}: not an episode record ({said})") from None
                if not (record.task + record.shift + (record.failure or "") + (record.choice or "")).isprintable():
                    raise RunFolderError(f"{path}:{before + at + 1}: a name with control characters")
                yield record
            before += len(lines) - 1
    except FileNotFoundError:
        return
