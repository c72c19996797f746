"""The demonstration store: a folder with what was recorded, without pictures.

demos.json says what was asked for and with which versions; episodes.jsonl holds one line an episode: its scene, the
hash of what happened, and the actions. Pictures are rendered from it when they are wanted (frames.py), at any size and
on any machine, and the hash shows that the same thing happened again. A thousand episodes take some 16 megabytes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oodbench import closure
from oodbench.errors import RunFolderError, nearest
from oodbench.observation import STATE_SIZE
from oodbench.run import provenance
from oodbench.scene import Scene

FORMAT = 2
NAMESPACE = "demo"  # of the random streams; no suite uses it
BYTES_AN_EPISODE = 16_000  # about; for estimates


class DemoPlan(BaseModel):
    """What to record.

    episodes: seeds 0 .. episodes - 1 of each task; those in which the expert fails are left out. noise, noise_near:
    standard deviation of what is added to the executed translations (share of the action range), away from things and
    within a few centimetres of them; labels stay clean (DART, arXiv 1703.09327). kick: probability of a kick at each
    control step: two steps that take the hand some centimetres aside, so that ways back are demonstrated too. light:
    how much the lights vary, as a share of their brightness. chunk: how many actions each state is labelled with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tasks: tuple[str, ...]
    episodes: int = Field(1000, gt=0)
    noise: float = Field(0.25, ge=0.0, le=1.0)
    noise_near: float = Field(0.08, ge=0.0, le=1.0)
    kick: float = Field(0.05, ge=0.0, le=1.0)
    light: float = Field(0.25, ge=0.0, lt=1.0)
    chunk: int = Field(8, gt=0)


@dataclass(frozen=True)
class Demo:
    """One demonstration of n control steps.

    executed: (n, 7) float32, what the robot did. chunks: (n, k, 7) float32, what the expert would have done from each
    of the same states on, undisturbed (see demos.labels.label). states: (n, 8) float32, the `state` of an observation,
    before each action.
    """

    task: str
    seed: int
    success: bool
    closure_sha256: str
    outcome_sha256: str
    scene: Scene | None = None  # None, and no steps, where the expert failed
    executed: np.ndarray = field(default_factory=lambda: np.zeros((0, 7), np.float32))
    chunks: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 7), np.float32))
    states: np.ndarray = field(default_factory=lambda: np.zeros((0, STATE_SIZE), np.float32))

    def __len__(self) -> int:
        return len(self.executed)

    @property
    def labels(self) -> np.ndarray:
        """(n, 7) float32: what the expert wanted to do next, in each state."""
        return self.chunks[:, 0]

    def to_line(self) -> str:
        """One line of JSON."""
        columns = (self.executed, self.chunks.reshape(len(self), self.chunks.shape[1] * 7), self.states)
        table = np.concatenate(columns, axis=1).astype("<f4")
        fields = {
            "task": self.task,
            "seed": self.seed,
            "success": self.success,
            "closure_sha256": self.closure_sha256,
            "outcome_sha256": self.outcome_sha256,
            "steps": len(self),
            "chunk": self.chunks.shape[1],
            "scene": json.loads(self.scene.canonical_json()) if self.scene else None,
            "table": base64.b64encode(zlib.compress(table.tobytes(), 9)).decode(),
        }
        return json.dumps(fields, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: str | bytes) -> Demo:
        """Raises ValueError when the line does not hold a demonstration."""
        fields = json.loads(line)
        raw = zlib.decompress(base64.b64decode(fields["table"]))
        steps, chunk = fields["steps"], fields["chunk"]
        table = np.frombuffer(raw, "<f4").reshape(steps, 7 + 7 * chunk + STATE_SIZE)
        executed, chunks, states = np.split(table, (7, 7 + 7 * chunk), axis=1)
        scene = Scene.model_validate(fields["scene"]) if fields["scene"] else None
        if scene is not None and closure.sha256(scene) != fields["closure_sha256"]:
            raise ValueError("its scene, or an asset that the scene shows, is not what it was when it was recorded")
        known = {name: fields[name] for name in ("task", "seed", "success", "closure_sha256", "outcome_sha256")}
        return cls(**known, scene=scene, executed=executed, chunks=chunks.reshape(steps, chunk, 7), states=states)


class DemoStore:
    """A folder of demonstrations. Raises RunFolderError for whatever cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path / "episodes.jsonl"

    @property
    def info(self) -> dict[str, Any]:
        try:
            return json.loads((self.path / "demos.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            beside = [p.parent.name for p in self.path.parent.glob("*/demos.json")]
            near = nearest(self.path.name, beside)
            advice = f"did you mean {self.path.parent / near}?" if near else "record some with `oodbench demos record`"
            raise RunFolderError(f"{self.path}: holds no demonstrations; {advice}") from None
        except (OSError, ValueError) as error:
            raise RunFolderError(f"{self.path / 'demos.json'}: cannot be read ({error})") from error

    @property
    def plan(self) -> DemoPlan:
        return DemoPlan.model_validate(self.info["plan"])

    def adopt(self, plan: DemoPlan) -> dict[tuple[str, int], str]:
        """Begin, or go on: the (task, seed) that are there already, and the hashes of their closures.

        A larger number of episodes, or more tasks, go on with what is there; anything else must be as it was.
        """
        wanted = {"format": FORMAT, "plan": plan.model_dump(mode="json"), "versions": provenance.versions()}
        if (self.path / "demos.json").exists():
            self._refuse_other(wanted)
        self._cut_torn_line()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "demos.json").write_text(json.dumps(wanted, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise RunFolderError(f"{self.path}: cannot be written ({error.strerror})") from error
        return {(fields["task"], fields["seed"]): fields["closure_sha256"] for fields in self._fields()}

    def append(self, demo: Demo, file: IO[str]) -> None:
        try:
            file.write(demo.to_line() + "\n")
            file.flush()
        except OSError as error:
            raise RunFolderError(
                f"{self.file}: cannot be written ({error.strerror}); what was recorded before is kept, repeat the "
                "command to go on once there is room"
            ) from error

    def __iter__(self) -> Iterator[Demo]:
        """The successful demonstrations, ordered by task and seed, whatever order they were recorded in."""
        kept = {}
        for number, line in enumerate(self._lines(), start=1):
            try:
                demo = Demo.from_line(line)
            except (ValueError, KeyError, zlib.error, ValidationError) as error:
                raise RunFolderError(f"{self.file}:{number}: not a demonstration ({error})") from error
            if demo.success:
                kept[demo.task, demo.seed] = demo
        yield from (kept[key] for key in sorted(kept))

    @cached_property
    def sha256(self) -> str:
        """Hash of all successful demonstrations, whatever order they were recorded in."""
        digest = hashlib.sha256()
        for demo in self:
            digest.update(f"{demo.task} {demo.seed} {demo.outcome_sha256}\n".encode())
        return digest.hexdigest()

    def counts(self) -> tuple[int, int, int]:
        """Episodes recorded, episodes that succeeded, control steps in these."""
        fields = list(self._fields())
        good = [f["steps"] for f in fields if f["success"]]
        return len(fields), len(good), sum(good)

    def _fields(self) -> Iterator[dict[str, Any]]:
        for number, line in enumerate(self._lines(), start=1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise RunFolderError(f"{self.file}:{number}: not a demonstration ({error})") from error

    def _lines(self) -> list[bytes]:
        """The whole lines; one that was cut short by a kill is left out."""
        if not self.file.exists():
            return []
        return self.file.read_bytes().split(b"\n")[:-1]

    def _cut_torn_line(self) -> None:
        if self.file.exists():
            with self.file.open("r+b") as file:
                content = file.read()
                file.truncate(content.rfind(b"\n") + 1)

    def _refuse_other(self, wanted: dict[str, Any]) -> None:
        old = self.info
        for name in ("noise", "noise_near", "kick", "light", "chunk"):
            before, now = old["plan"].get(name, 0.0), wanted["plan"][name]
            if before != now:
                raise RunFolderError(
                    f"{self.path}: was recorded with {name} {before:g}, now {now:g}; give another folder"
                )
        for name in ("mujoco", "oodbench"):
            if old["versions"].get(name) != wanted["versions"].get(name):
                raise RunFolderError(
                    f"{self.path}: was recorded with {name} {old['versions'].get(name)}; give another folder"
                )
