"""The run folder: run.json (what was run, with what), plan.jsonl (what is to be played), episodes.jsonl, videos/."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from oodbench.errors import RunFolderError
from oodbench.policies.loading import LoadedPolicy
from oodbench.run import provenance, records
from oodbench.run.records import EpisodeKey, EpisodeRecord
from oodbench.suite import Episode, Suite

if TYPE_CHECKING:
    from oodbench.run.pool import Facts

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 1
COMPARED = {  # what a resumed run must share with its beginning: keys into run.json, and words for it
    ("plan", "sha256"): "plan",
    ("suite", "sha256"): "suite",
    ("policy", "uri"): "policy",
    ("policy", "files"): "policy files",
    ("real_time",): "setting of --real-time",
    ("versions", "mujoco"): "MuJoCo version",
    ("versions", "oodbench"): "oodbench version",
    ("assets_sha256",): "tasks and assets",
}


class RunFolder:
    """One run on disk. Open it with `begin`, which locks it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.info: dict[str, Any] = {}
        self._file: IO[str] | None = None

    @property
    def episodes_path(self) -> Path:
        return self.path / "episodes.jsonl"

    @property
    def videos_path(self) -> Path:
        return self.path / "videos"

    @contextlib.contextmanager
    def begin(
        self, suite: Suite, policy: LoadedPolicy, plan: Sequence[Episode], real_time: bool = False
    ) -> Iterator[RunFolder]:
        """Create the folder, or take up the run that is in it, for as long as the context lasts.

        Raises RunFolderError: it belongs to another plan, policy or version (and what differs), another process is
        using it, or it cannot be written.
        """
        wanted = describe(suite, policy, plan) | {"real_time": real_time}
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = (self.path / ".lock").open("a+")
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written ({error.strerror})") from error
        with lock:
            self._lock(lock)
            self._adopt(wanted, plan)
            self._cut_torn_line()
            with self.episodes_path.open("a", encoding="utf-8") as self._file:
                yield self
            self._file = None

    def write(self, record: EpisodeRecord) -> None:
        """Append a record. Raises RunFolderError when the disk will not take it; what was written stays good."""
        assert self._file is not None
        try:
            records.append(self._file, record)
        except OSError as error:
            raise RunFolderError(
                f"{self.episodes_path}: cannot be written ({error.strerror}); the episodes before this one are kept, "
                "repeat the command to go on once there is room"
            ) from error

    def hear(self, facts: Facts) -> None:
        """Note what a worker found when it began."""
        policy = self.info["policy"] | {"privileged": facts.spec.privileged, "spec": facts.spec.model_dump(mode="json")}
        if facts.metadata:
            policy["metadata"] = facts.metadata
        self.update(gl=facts.gl, policy=policy)

    def update(self, **fields: Any) -> None:
        """Change fields of run.json, atomically."""
        self.info.update(fields)
        part = self.path / ".run.json.part"
        try:
            part.write_text(json.dumps(self.info, indent=1) + "\n", encoding="utf-8")
            part.replace(self.path / "run.json")
        except OSError as error:
            raise RunFolderError(f"{self.path / 'run.json'}: cannot be written ({error.strerror})") from error

    def records(self) -> list[EpisodeRecord]:
        return records.read(self.episodes_path)

    def done(self, *, retry_errors: bool = False) -> set[EpisodeKey]:
        """Keys of the episodes that need not be played again."""
        return {record.key for record in self.records() if not (retry_errors and record.error)}

    def _lock(self, lock: IO[str]) -> None:
        if fcntl is None:
            raise RunFolderError(f"{self.path}: runs need Linux or macOS, for their locks; on Windows use WSL")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise RunFolderError(
                f"{self.path}: another process (pid {holder}) is writing to it; give another --out"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()

    def _adopt(self, wanted: dict[str, Any], plan: Sequence[Episode]) -> None:
        existing = self.path / "run.json"
        if existing.exists() and self.records():
            self.info = read_info(self.path)
            self._refuse_other(wanted)
        elif not existing.exists() and self.episodes_path.exists():
            raise RunFolderError(f"{self.path}: holds episodes but no run.json; give another --out")
        else:
            try:
                (self.path / "plan.jsonl").write_text(plan_text(plan), encoding="utf-8")
            except OSError as error:
                raise RunFolderError(f"{self.path}: cannot be written ({error.strerror})") from error
            self.info = wanted
        self.update(status="running")

    def _refuse_other(self, wanted: dict[str, Any]) -> None:
        for keys, words in COMPARED.items():
            old, new = dig(self.info, keys), dig(wanted, keys)
            if old == new:
                continue
            if words == "plan":
                old, new = (f"{_plan_words(info)}" for info in (self.info, wanted))
                if old == new:
                    old, new = f"{old}, other episodes", new
            raise RunFolderError(
                f"{self.path}: holds a run with another {words} ({short(old)}; now {short(new)}); give another --out"
            )

    def _cut_torn_line(self) -> None:
        """Drop what a killed process left of its last line."""
        if not self.episodes_path.exists():
            return
        with self.episodes_path.open("r+b") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)


def describe(suite: Suite, policy: LoadedPolicy, plan: Sequence[Episode]) -> dict[str, Any]:
    """The content of run.json before the first episode."""
    return {
        "format": FORMAT,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "status": "running",
        "command": ["oodbench", *sys.argv[1:]],
        "policy": {"uri": policy.uri, "name": policy.name, "files": policy.files},
        "suite": {
            "name": suite.name,
            "version": suite.version,
            "sha256": suite.sha256,
            "split": suite.split,
            "fresh": suite.fresh,
            "content": suite.model_dump(mode="json"),
        },
        "protocol": suite.protocol.model_dump(),
        "plan": {"episodes": len(plan), "sha256": hashlib.sha256(plan_text(plan).encode()).hexdigest()},
        "versions": provenance.versions(),
        "assets_sha256": provenance.assets_sha256(),
        "hardware": provenance.hardware(),
        "git": provenance.git(),
        "gl": {},
        "wall_seconds": 0.0,
    }


def plan_text(plan: Sequence[Episode]) -> str:
    """The content of plan.jsonl: one episode a line, in order."""
    lines = (
        {"task": e.task, "shift": e.shift.name, "spec": str(e.shift), "severity": e.shift.severity, "seed": e.seed}
        for e in plan
    )
    return "".join(json.dumps(line) + "\n" for line in lines)


def read_info(path: Path) -> dict[str, Any]:
    """The run.json of a run folder. Raises RunFolderError."""
    file = path / "run.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(f"{path}: holds no run.json; give the folder that `oodbench run` printed") from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{file}: cannot be read ({error})") from error


def dig(info: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """What stands in run.json under these keys; None where nothing does."""
    value: Any = info
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _plan_words(info: dict[str, Any]) -> str:
    suite = info.get("suite", {})
    return f"{suite.get('name')} v{suite.get('version')}, {info.get('plan', {}).get('episodes')} episodes"


def short(value: Any, most: int = 60) -> str:
    """As text of at most so many characters, for a message."""
    text = str(value)
    return text if len(text) <= most else text[: most - 3] + "..."
