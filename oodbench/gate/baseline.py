"""What a gate is planned to be, and the baseline's outcomes, in one file to commit.

The plan is written before the first episode is played, and is part of every result. An episode of the plan is a scene
of its own, so that episodes are independent: episode i of the plan has seed FIRST_SEED + i, and its cell comes from
rounds, each of which visits every cell of the suite once in an order drawn from the plan.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from oodbench.errors import SpecError
from oodbench.run import files, provenance
from oodbench.run.folder import short
from oodbench.run.records import EpisodeRecord
from oodbench.seeding import generator
from oodbench.suite import SUITES, Episode, Suite

FORMAT = 1
FIRST_SEED = 100_000  # the seeds of suites themselves begin at 0
SHIFTS_SHARE = 0.2  # of alpha, for the shifts one by one; the rest is for the mean of the suite
DIGITS = 12  # of a scene's hash that are kept


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class GatePlan(_Data):
    """What was fixed beforehand.

    margin: the drop of mean success (as a share) that must not be passed. alpha: the chance of failing a candidate that
    is as good. beta: the chance of passing one that is worse by the margin. episodes: at most.
    every_shift: play all of them, also when the mean is decided, to find under which shifts success dropped.
    """

    suite: str
    suite_sha256: str
    tasks: tuple[str, ...] = ()
    shifts: tuple[str, ...] = ()
    margin: float = Field(gt=0, lt=1)
    alpha: float = Field(default=0.05, gt=0, lt=0.5)
    beta: float = Field(default=0.1, gt=0, lt=0.5)
    episodes: int = Field(gt=0)
    every_shift: bool = False

    @property
    def alpha_suite(self) -> float:
        return self.alpha * (1 - SHIFTS_SHARE)

    @property
    def alpha_shifts(self) -> float:
        """Over all shifts together."""
        return self.alpha * SHIFTS_SHARE

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def order(self, suite: Suite) -> list[Episode]:
        """All episodes, in the order in which they count."""
        from oodbench.run.runner import choose

        cells = list(
            {
                (e.task, str(e.shift)): e
                for e in choose(suite, limit=1, tasks=self.tasks, shifts=self.shifts, seed_offset=0)
            }.values()
        )
        rng = generator("gate", self.suite_sha256, self.episodes)
        order: list[Episode] = []
        while len(order) < self.episodes:
            for i in rng.permutation(len(cells))[: self.episodes - len(order)]:
                order.append(Episode(cells[i].task, cells[i].shift, FIRST_SEED + len(order)))
        return order


class Baseline(_Data):
    """A committed baseline. success: "1" and "0" in the plan's order. scenes: the beginnings of the scenes' hashes."""

    format: int = FORMAT
    plan: GatePlan
    policy: dict[str, Any]
    versions: dict[str, str]
    assets_sha256: str
    created: str
    success: str
    scenes: tuple[str, ...]
    sha256: str = ""

    @property
    def rate(self) -> float:
        return self.success.count("1") / len(self.success)

    def signed(self) -> Baseline:
        return self.model_copy(update={"sha256": self._digest()})

    def write(self, path: Path) -> None:
        """Raises SpecError when the disk will not take it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(self.signed().model_dump(mode="json"), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise SpecError(f"{path}: cannot be written ({error.strerror})") from error

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Raises SpecError: no such file, not a baseline, or changed since it was written."""
        try:
            real = path.resolve(strict=True)
            found = cls.model_validate(json.loads(files.read_bytes(real.parent, real.name, files.BASELINE_BYTES)))
        except OSError as error:
            raise SpecError(f"{path}: cannot be read ({error.strerror})") from error
        except (ValidationError, ValueError, RecursionError) as error:
            raise SpecError(f"{path}: not a baseline of `oodbench baseline` ({str(error).splitlines()[0]})") from None
        if found.sha256 != found._digest():
            raise SpecError(f"{path}: was changed after it was written (its checksum does not fit)")
        if len(found.success) != found.plan.episodes or len(found.scenes) != found.plan.episodes:
            raise SpecError(f"{path}: holds {len(found.success)} outcomes for a plan of {found.plan.episodes}")
        return found

    def comparable(self) -> Suite:
        """The suite to play. Raises SpecError, naming what differs, when the baseline cannot be paired with today's."""
        suite = SUITES.get(self.plan.suite)
        here = provenance.versions()
        for what, then, now in (
            ("suite", self.plan.suite_sha256, suite.sha256),
            *((name, self.versions.get(name), here.get(name)) for name in ("oodbench", *provenance.PHYSICS)),
            ("tasks and assets", self.assets_sha256, provenance.assets_sha256()),
        ):
            if then != now:
                raise SpecError(
                    f"not comparable: the baseline was made with {what} {short(then, 16)}, here it is "
                    f"{short(now, 16)}; make a new one with `oodbench baseline`"
                )
        return suite

    def _digest(self) -> str:
        content = self.model_dump(mode="json", exclude={"sha256"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def outcomes(records: Sequence[EpisodeRecord], order: Sequence[Episode]) -> tuple[str, tuple[str, ...]]:
    """(success, scenes) of a Baseline from its records. Raises SpecError when one is missing or ended in an error."""
    by_key = {record.key: record for record in records}
    bits, scenes = [], []
    for episode in order:
        record = by_key.get(episode.key)
        if record is None or record.success is None or record.scene_sha256 is None:
            said = record.error if record else "it was not played"
            raise SpecError(f"a baseline needs every episode; {'/'.join(map(str, episode.key))}: {said}")
        bits.append("1" if record.success else "0")
        scenes.append(record.scene_sha256[:DIGITS])
    return "".join(bits), tuple(scenes)
