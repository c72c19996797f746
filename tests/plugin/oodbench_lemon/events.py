"""A kind of event."""

from typing import Any, Literal

from oodbench.scene import Event, event


@event
class Whisper(Event):
    """Somebody says something before the instruction is said again."""

    kind: Literal["whisper"] = "whisper"
    words: str

    def happen(self, world: Any) -> None:
        world.instruction = f"{self.words} {world.instruction}"
