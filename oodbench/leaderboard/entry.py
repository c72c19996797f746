"""An entry: leaderboard/entries/<policy>/<suite>/, made of a run by `oodbench submit`.

run.json            what was run, with what (as in the run folder)
episodes.jsonl.zst  every episode
traces.sha256       the hash and the size of every episode's trace, in the order of the episodes
traces.bin          the traces: all of them, or, of an entry that was admitted, those that were drawn
entry.toml          what its authors say of it, and the hashes of the other files

What lies there may be anybody's: nothing is parsed or unpacked before it was found to be a regular file of a bearable
size whose hash entry.toml names, and nothing else may lie there.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from oodbench.errors import OodbenchError, SpecError
from oodbench.report.summary import RunSummary
from oodbench.run import columns, files
from oodbench.run.info import read_info
from oodbench.run.records import EpisodeKey
from oodbench.suite import SUITES, Suite

EPISODES, RUN, INFO = "episodes.jsonl.zst", "run.json", "entry.toml"
TRACE_HASHES, TRACES = "traces.sha256", "traces.bin"
LIMITS = {  # bytes of each file that an entry may hold; it may hold no other
    INFO: 64 * 2**10,
    RUN: files.INFO_BYTES,
    EPISODES: 32 * 2**20,
    TRACE_HASHES: 16 * 2**20,
    TRACES: 1024 * 2**20,
}
DOTS = 200  # in a line of entry.toml: reading a key of many parts takes a time that grows with their square
HASHED = (RUN, EPISODES, TRACE_HASHES)  # traces.bin is checked trace by trace, by the hashes in traces.sha256
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def _line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


def _text(most: int) -> object:
    return Annotated[str, Field(max_length=most), AfterValidator(_line)]


class EntryInfo(BaseModel):
    """entry.toml: what the authors say of a policy, none of which can be checked, and the hashes of the other files.

    name: on the board. team: whose `method` it is; checkpoints of one team, with the same authors, that name the same
    method and different training seeds make a row of their own. hashes: SHA-256 of the files in `HASHED`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=60)
    team: str = Field("", pattern=r"^([a-z0-9][a-z0-9.-]*)?$", max_length=60)
    authors: tuple[_text(100), ...] = Field(min_length=1, max_length=50)  # type: ignore[valid-type]
    link: str = Field("", pattern=r"^(https?://[!-~]+)?$", max_length=300)
    row: Literal["checkpoint", "control"] = "checkpoint"
    method: str = Field("", pattern=r"^([a-z0-9][a-z0-9.-]*)?$", max_length=60)
    training_seed: int = Field(0, ge=0, lt=2**31)
    training_data: _text(2000)  # type: ignore[valid-type]
    parameters: int = Field(ge=0, lt=10**15)
    cameras: tuple[_text(60), ...] = Field((), max_length=16)  # type: ignore[valid-type]
    licence: _text(200)  # type: ignore[valid-type]
    exposure: dict[_text(60), Literal["unseen", "seen", "unknown"]] = Field(max_length=300)  # type: ignore[valid-type]
    hashes: dict[_text(60), Sha256] = Field({}, max_length=len(HASHED))  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _teams_have_methods(self) -> EntryInfo:
        if self.method and not self.team:
            raise ValueError("a method needs the team whose it is")
        return self

    def exposed(self, shift: str) -> str:
        """What is declared of a shift: by its own name, or by the longest pattern that matches it."""
        matching = [p for p in self.exposure if fnmatchcase(shift, p)]
        return self.exposure[max(matching, key=len)] if matching else "undeclared"


@dataclass(frozen=True)
class Entry:
    """An entry as it lies in its folder. suite: the public one that it is of. digest: of entry.toml, which has the
    hashes of the rest, so that it stands for everything in the entry."""

    path: Path
    about: EntryInfo
    run: RunSummary
    suite: Suite
    digest: str

    @property
    def key(self) -> str:
        """What the list of admitted entries has it under."""
        return key_of(self.path)


def key_of(path: Path) -> str:
    """Of an entry's folder: <policy>/<suite>."""
    return "/".join(path.absolute().parts[-2:])


def name_of(key: EpisodeKey) -> str:
    """Of an episode: task/shift/severity/seed."""
    task, shift, severity, seed = key
    return f"{task}/{shift}/{severity:g}/{seed}"


def entries(root: Path) -> list[Path]:
    """The folders of all entries below `root`."""
    return sorted(path for path in root.glob("*/*") if os.path.lexists(path / INFO))


def read(path: Path) -> Entry:
    """An entry, its hashes compared before anything of it is parsed.

    Raises:
        OodbenchError: Something is missing, is too much, was changed, or is not what it should be.
    """
    _look(path)
    content = files.read_bytes(path, INFO, LIMITS[INFO])
    about = _about(content, path / INFO)
    for name in HASHED:
        if name not in about.hashes:
            raise SpecError(f"{INFO} has no hash of {name}")
        if sha256(path, name) != about.hashes[name]:
            raise SpecError(f"{name} was changed after the entry was made (its hash does not fit)")
    info = read_info(path)
    if info.suite.name not in SUITES.names():
        raise SpecError(unknown_suite(info.suite.name))
    suite = SUITES.get(info.suite.name).model_copy(update={"fresh": info.suite.fresh})
    episodes = columns.read(path / EPISODES)
    if not len(episodes):
        raise SpecError(f"{path}: holds no episodes")
    return Entry(path, about, RunSummary(path, info, episodes, about.name), suite, hashlib.sha256(content).hexdigest())


def unknown_suite(name: str) -> str:
    from oodbench.errors import nearest

    near = nearest(name, SUITES.names())
    return f"no suite is named {name[:60]!r}" + (f"; did it mean {near!r}?" if near else "")


def read_about(path: Path) -> EntryInfo:
    """What the file of an entry's authors says. Raises OodbenchError, naming what is wrong."""
    try:
        return _about(files.read_bytes(path.parent, path.name, LIMITS[INFO]), path)
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file") from None


def _about(content: bytes, path: Path) -> EntryInfo:
    if max(line.count(b".") for line in content.split(b"\n")) > DOTS:
        raise SpecError(f"{path}: has a line of more than {DOTS} dots")
    try:
        return EntryInfo.model_validate(tomllib.loads(content.decode()))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))[:100]
        raise SpecError(f"{path}: {where}: {first['msg'][:200]}") from None
    except RecursionError:
        raise SpecError(f"{path}: nests too deep") from None
    except ValueError as error:  # not TOML, not UTF-8, a number of too many digits
        raise SpecError(f"{path}: {str(error)[:200]}") from None


def _look(path: Path) -> None:
    """Raises SpecError when the folder holds anything but the regular files that an entry has, of bearable sizes."""
    try:
        if not all(stat.S_ISDIR(folder.lstat().st_mode) for folder in (path, path.parent)):
            raise SpecError(f"{path}: is not a folder, or lies behind a link")
        there = {found.name: found.stat(follow_symlinks=False) for found in os.scandir(path)}
    except OSError as error:
        raise SpecError(f"{path}: cannot be read ({error.strerror})") from None
    for name, found in sorted(there.items()):
        if name not in LIMITS:
            raise SpecError(f"{name[:100]!r} is none of the files that an entry holds ({', '.join(LIMITS)})")
        if not stat.S_ISREG(found.st_mode):
            raise SpecError(f"{name} is not a regular file")
        if found.st_size > LIMITS[name]:
            raise SpecError(f"{name} has {found.st_size} bytes; an entry's has at most {LIMITS[name]}")
    for name in LIMITS:
        if name not in there:
            raise SpecError(f"{name} is missing")


def sha256(folder: Path, name: str) -> str:
    """Of a file of an entry. Raises RunFolderError when it is too large or no regular file."""
    digest = hashlib.sha256()
    with files.opened(folder, name, LIMITS[name]) as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def toml(about: EntryInfo) -> str:
    """As entry.toml. Strings, whole numbers, lists of strings and tables of strings are all that an entry holds."""
    content = about.model_dump(mode="json")
    tables = {key: content.pop(key) for key in ("exposure", "hashes")}
    return tables_toml({"": content, **tables})


def tables_toml(tables: Mapping[str, Mapping[str, object]]) -> str:
    """TOML of tables of strings, numbers and lists of strings; the table named "" comes first and has no heading."""
    return "\n".join(line for name, table in tables.items() for line in _table(name, table)).lstrip("\n") + "\n"


def _table(name: str, table: Mapping[str, object]) -> Iterator[str]:
    if name:
        yield f"\n[{name}]"
    for key, value in table.items():
        yield f"{key if key.isidentifier() else _quoted(key)} = {_quoted(value)}"


def _quoted(value: object) -> str:
    """JSON's strings are TOML's but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def failed(error: Exception) -> str:
    """Words for an entry that could not be checked, for whatever reason."""
    return str(error) if isinstance(error, OodbenchError) else f"could not be checked: {type(error).__name__}"
