"""The one registry idea: names to things, from this package, from entry points and, for files, from a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Generic, TypeVar

from oodbench.errors import OodbenchError, SpecError, UnknownNameError

T = TypeVar("T")


class Registry(Generic[T]):
    """Things of one kind, by name.

    kind: the word for one of them in messages ("task").
    folder: a folder of TOML files, one thing a file, read with `read` when first asked for.
    Other packages add things through the entry-point group ``oodbench.<kind>s``, or `group`.
    """

    def __init__(
        self, kind: str, folder: Path | None = None, read: Callable[[Path], T] | None = None, group: str = ""
    ) -> None:
        self.kind = kind
        self.group = group or f"oodbench.{kind}s"
        self._read = read
        self._things: dict[str, T] = {}
        self._files = {path.stem: path for path in sorted(folder.glob("*.toml"))} if folder and read else {}

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; raises SpecError when the name is taken."""
        if name in self.names():
            raise SpecError(f"{self.kind} {name!r} is registered twice")
        self._things[name] = thing
        return thing

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted({*self._things, *self._files, *_points(self.group)})

    def get(self, name: str) -> T:
        """The thing called `name`, or read from it when it is the path of a TOML file.

        Raises UnknownNameError with the nearest name, or SpecError from reading.
        """
        if name in self._things:
            return self._things[name]
        if name in self._files and self._read:
            return self._things.setdefault(name, self._read(self._files[name]))
        point = _points(self.group).get(name)
        if point is not None:
            try:
                return self._things.setdefault(name, point.load())
            except OodbenchError:
                raise
            except Exception as error:
                raise SpecError(f"{self.kind} {name!r} ({point.value}) fails to import: {error!r}") from error
        if name.endswith(".toml") and self._read:
            return self._read(Path(name))
        raise UnknownNameError(self.kind, name, self.names())

    def __iter__(self) -> Iterator[T]:
        return (self.get(name) for name in self.names())


@lru_cache
def _points(group: str) -> dict[str, EntryPoint]:
    """The entry points of a group by name; looked up once a process, because that reads every installed package."""
    return {point.name: point for point in entry_points(group=group)}
