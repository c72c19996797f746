"""run.json, typed: what was run, with what. A run folder may be a stranger's, so that nothing here is trusted.

Fields that this version does not know are left out, so that a folder of a newer one can still be read.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from oodbench.catalogue import Split
from oodbench.errors import OodbenchError, RunFolderError
from oodbench.pool import POOLS, STANDARD
from oodbench.run import files
from oodbench.shift import SHIFTS, ShiftSpec
from oodbench.suite import Episode, Protocol, Suite
from oodbench.task import TASKS

FORMAT: Literal[1] = 1
NAME, TEXT = 300, 20_000  # characters of a name, and of anything else
MANY = 1000  # entries of a list or a table
NODES, DEPTH = 200_000, 20  # of free-form content (a policy's statistics, what a server says of itself)
PLAN = 200_000  # episodes that a stranger's suite may plan; full-2 has 12,600
LOOPS = 5_000_000  # steps that planning a suite may take (seeds x tasks x blocks)


def _plain(text: str) -> str:
    """Without control characters: what a stranger wrote is printed on terminals."""
    if any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in text):
        raise ValueError("control characters")
    return text


def _bounded(value: Any) -> Any:
    """JSON of a bearable size: plain strings, finite numbers, not too many, not too deep."""
    if isinstance(value, BaseModel):  # made here
        return value
    waiting, count = [(value, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if count > NODES or depth > DEPTH:
            raise ValueError(f"more than {NODES} things, or more than {DEPTH} deep")
        if isinstance(item, str):
            if len(item) > TEXT:
                raise ValueError(f"a text of more than {TEXT} characters")
            _plain(item)
        elif isinstance(item, dict):
            waiting += [(part, depth + 1) for pair in item.items() for part in pair]
        elif isinstance(item, list | tuple):
            waiting += [(part, depth + 1) for part in item]
        elif isinstance(item, float) and not math.isfinite(item):
            raise ValueError("a number that is not finite")
        elif isinstance(item, int) and abs(item) >= 2**63:
            raise ValueError("a number of more than 64 bits")
        elif not isinstance(item, bool | int | float | None):
            raise ValueError(f"{type(item).__name__} is not JSON")
    return value


Name = Annotated[str, Field(max_length=NAME), AfterValidator(_plain)]
Text = Annotated[str, Field(max_length=TEXT), AfterValidator(_plain)]
Sha256 = Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]*$")]
Content = Annotated[dict[str, Any], BeforeValidator(_bounded)]
Size = Annotated[int, Field(ge=0, le=10**9)]


class _Info(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class PolicyInfo(_Info):
    """The policy of a run. uri: without secrets; information for a reader, and nothing that may be loaded.

    files: what it was loaded from, path -> SHA-256. spec: what it declares. metadata: what its server says of itself.
    """

    uri: Text
    name: Name = ""
    files: Annotated[dict[Text, Sha256], Field(max_length=MANY)] = {}
    privileged: bool = False
    spec: Content | None = None
    metadata: Content | None = None


class BlockInfo(_Info):
    """A block of cells as the run's suite has it, patterns and all."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    setting: Name | None = None
    tasks: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ("*",)
    shifts: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()
    severities: Annotated[tuple[float, ...], Field(max_length=MANY)] = ()
    controls: Annotated[tuple[Name, ...], Field(max_length=MANY)] = ()


class SuiteContent(_Info):
    """The suite's file as it was when the run began. `SuiteInfo.to_play` makes a Suite of it."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    summary: Text = ""
    pool: Name = STANDARD
    cells: Annotated[tuple[BlockInfo, ...], Field(max_length=MANY)] = ()


class SuiteInfo(_Info):
    name: Name
    version: int = 1
    sha256: Sha256
    split: Split = "test"
    fresh: Name = ""
    content: Annotated[SuiteContent, BeforeValidator(_bounded)] = SuiteContent()

    def to_play(self, *, paths: bool = False) -> Suite:
        """The suite, checked, to sample its scenes.

        Args:
            paths: Whether it may name tasks by the paths of files, which are then read; only for one's own runs.

        Raises:
            RunFolderError: It is no suite, names things that are not installed or lie in files, or its plan is too
                large to be made for a stranger.
        """
        content = self.content.model_dump(mode="json", exclude_unset=True)
        try:
            _known("pool", [self.content.pool], POOLS.names(), paths=paths)
            for block in self.content.cells:
                _known("task", block.tasks, TASKS.names(), paths=paths)
                named = (n for shift in (*block.shifts, *block.controls) for n in _parts(shift))
                _known("shift", named, [*SHIFTS.names(), "none"])
            _affordable(self.content.cells, content.get("scenes", 0))
            return Suite.model_validate(content)
        except ValidationError as error:
            raise RunFolderError(f"run.json: not a suite: {_first(error)}") from None
        except OodbenchError as error:
            raise RunFolderError(f"run.json: suite {self.name!r}: {error}") from None

    @property
    def title(self) -> str:
        """Name, version and salt, for people."""
        return f"{self.name} v{self.version}" + (f", fresh seeds {self.fresh}" if self.fresh else "")


class PlanInfo(_Info):
    episodes: Size | None = None
    sha256: Sha256 = ""


class GitInfo(_Info):
    commit: Name = ""
    dirty: bool = False


class HardwareInfo(_Info):
    cpu: Name = "?"
    cores: Size | None = None
    memory_gib: float = 0.0
    platform: Name = "?"


class RunInfo(_Info):
    """The content of run.json.

    plan: how many episodes were to be played, and a hash that tells one plan from another. gl: what draws the pictures.
    workers, envs: None before the first one was started.
    """

    format: Literal[1] = FORMAT
    created: Name = ""
    status: Name = "running"
    command: Annotated[tuple[Text, ...], Field(max_length=MANY)] = ()
    policy: PolicyInfo
    suite: SuiteInfo
    protocol: Protocol = Protocol()
    plan: PlanInfo = PlanInfo()
    versions: Annotated[dict[Name, Name], Field(max_length=MANY)] = {}
    hardware: HardwareInfo = HardwareInfo()
    git: GitInfo | None = None
    gl: Annotated[dict[Name, Text], Field(max_length=MANY)] = {}
    real_time: bool = False
    workers: Size | None = None
    envs: Size | None = None
    wall_seconds: Annotated[float, Field(ge=0.0)] = 0.0

    def text(self) -> str:
        """As run.json."""
        return self.model_dump_json(indent=1) + "\n"

    def suite_to_play(self, *, paths: bool = False) -> Suite:
        """As `SuiteInfo.to_play`."""
        return self.suite.to_play(paths=paths)


def read_info(path: Path) -> RunInfo:
    """The run.json of a run folder. Raises RunFolderError, naming what is wrong."""
    try:
        return RunInfo.model_validate_json(files.read_bytes(path, "run.json", files.INFO_BYTES))
    except FileNotFoundError:
        raise RunFolderError(f"{path}: holds no run.json; give the folder that `oodbench run` printed") from None
    except ValidationError as error:
        raise RunFolderError(f"{path / 'run.json'}: cannot be read: {_first(error)}") from None


def made(content: dict[str, Any]) -> RunInfo:
    """The run.json of a run that begins. Raises RunFolderError when something in it is too long to be read again."""
    try:
        return RunInfo.model_validate(content)
    except ValidationError as error:
        raise RunFolderError(f"run.json cannot be written: {_first(error)}") from None


def value_at(info: RunInfo, name: str) -> Any:
    """What run.json says under a dotted name ("versions.mujoco"); None where it says nothing."""
    value: Any = info
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else getattr(value, key, None)
    return value


def episode_to_play(task: str, shift: str, severity: float | None, seed: int, *, paths: bool = False) -> Episode:
    """An episode as a record or a plan names it.

    Args:
        task: Its task's name.
        shift: Its shift's name, or a composition of several.
        severity: Of the shifts that name none.
        seed: Of its scene.
        paths: Whether the task may be the path of a file; only for one's own runs.

    Raises:
        OodbenchError: No such task or shift is installed, or the numbers are none that an episode can have.
    """
    _known("task", [task], TASKS.names(), paths=paths)
    _known("shift", _parts(shift), [*SHIFTS.names(), "none"])
    if not 0 <= seed < 2**53:
        raise RunFolderError(f"seed {seed}: must be from 0 to 2^53")
    return Episode(task, ShiftSpec.parse(shift, severity), seed)


def bearable(metadata: dict[str, Any]) -> dict[str, Any]:
    """What a policy's server says of itself, or a note where it says too much to be kept."""
    try:
        return _bounded(metadata)
    except ValueError as error:
        return {"left out": str(error)}


def _parts(shift: str) -> list[str]:
    return [part.strip().partition("@")[0] for part in shift.split("+")]


def _known(kind: str, names: Iterable[str], installed: list[str], *, paths: bool = False) -> None:
    """Raises RunFolderError when a name is a path, or neither installed nor a pattern."""
    for name in names:
        if paths and name.endswith(".toml"):
            continue
        if len(name) > NAME or "/" in name or "\\" in name or name.endswith(".toml"):
            raise RunFolderError(
                f"it names the {kind} {name[:60]!r} by a path, and files that a run names are not read; if the run is "
                "yours, say --own"
            )
        if name not in installed and not any(sign in name for sign in "*?["):
            raise RunFolderError(f"no {kind} {name[:60]!r} is installed here")


def _affordable(blocks: Iterable[BlockInfo], scenes: object) -> None:
    """Raises RunFolderError when planning the blocks, with so many scenes a task, would take too long or too much."""
    blocks = list(blocks)
    total, most, tasks = 0, _number("scenes", scenes), len(TASKS.names())
    for block in blocks:
        episodes = _number("episodes", (block.model_extra or {}).get("episodes") or 0)
        most = max(most, episodes)
        shifts = sum(len(SHIFTS.names()) if any(sign in s for sign in "*?[") else 1 for s in block.shifts)
        named = sum(tasks if any(sign in t for sign in "*?[") else 1 for t in block.tasks)
        cells = named * shifts * max(1, len(block.severities)) * (1 + len(block.controls))
        total += cells * (most if "none" in block.shifts else max(episodes, 1))
    if total > PLAN or most > PLAN or most * tasks * len(blocks) > LOOPS:
        raise RunFolderError(f"its plan is too large ({total} episodes before those that make no sense are left out)")


def _number(name: str, value: object) -> int:
    if not isinstance(value, int):
        raise RunFolderError(f"{name} is {str(value)[:20]!r}, not a number")
    return value


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where[:100]}: {first['msg'][:200]}" if where else first["msg"][:200]
