"""plan.jsonl of a run folder: the episodes to play, in order, each with the hash of its closure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from oodbench import closure
from oodbench.suite import Episode, Suite


def _silent(done: int, of: int) -> None:
    pass


@dataclass(frozen=True)
class PlanFile:
    """What a plan.jsonl holds.

    Attributes:
        lines: One JSON object an episode: task, shift, spec, severity, seed and closure_sha256, which is null where the
            scene cannot be made (then playing it is an error that is recorded).
    """

    lines: tuple[str, ...]

    @classmethod
    def of(cls, suite: Suite, plan: Sequence[Episode], tell: Callable[[int, int], None] = _silent) -> PlanFile:
        """The plan of a suite's episodes; draws all their scenes, which takes half a millisecond each.

        Args:
            suite: The suite that the episodes belong to.
            plan: The episodes, in order.
            tell: Hears how many scenes of how many are drawn.
        """
        lines = []
        for count, e in enumerate(plan, start=1):
            fields = {
                "task": e.task, "shift": e.shift.name, "spec": str(e.shift), "severity": e.shift.severity,
                "seed": e.seed, "closure_sha256": closure_of(e, suite),
            }  # fmt: skip
            lines.append(json.dumps(fields))
            tell(count, len(plan))
        return cls(tuple(lines))

    @property
    def closures(self) -> list[str | None]:
        """The closures' hashes, in order."""
        return [json.loads(line)["closure_sha256"] for line in self.lines]

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines)

    @property
    def sha256(self) -> str:
        """Hash of what is to be played: of all episodes' names and closures, in order."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def difference(self, before: str) -> str:
        """In words, how this plan differs from the text of an older one.

        Args:
            before: The older plan.jsonl.

        Returns:
            "" when every episode is the same, or could not be made before.

        Raises:
            ValueError: `before` is no plan.jsonl.
        """
        old = before.splitlines()
        if len(old) != len(self.lines):
            return f"{len(old)} episodes; now {len(self.lines)}"
        for line, new in zip(old, self.lines, strict=True):
            if line == new:
                continue
            a, b = json.loads(line), json.loads(new)
            if {**a, "closure_sha256": ""} != {**b, "closure_sha256": ""}:
                return f"{_name(a)}; now {_name(b)}"
            if a.get("closure_sha256") is not None:
                return f"{_name(b)} is another scene now: its task, a shift or an asset was changed"
        return ""


def closure_of(episode: Episode, suite: Suite) -> str | None:
    """The hash of an episode's closure; None when its scene cannot be made."""
    try:
        return closure.sha256(episode.scene(suite))
    except Exception:  # also somebody's shift's: an error of the episode, which playing it will record
        return None


def _name(line: dict[str, object]) -> str:
    return f"{line.get('task')}/{line.get('spec')}/{line.get('seed')}"
