"""The one registry idea: names to things, from this package, from other packages and, for files, from a path.

What an entry point of another package may be is said in CONTRIBUTING.md ("From a package of your own"). A plug-in that
cannot be loaded is one warning: what iterates goes on without it, what asks for it by name gets the error.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import inspect
import json
import logging
import multiprocessing
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources.abc import Traversable
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from oodbench.errors import OodbenchError, SpecError, UnknownNameError

T = TypeVar("T")

log = logging.getLogger("oodbench")
SUFFIX = ".toml"
KNOWN = "OODBENCH_KNOWN_FILES"  # names the file by which workers know what this process has read from paths
_folder: ContextVar[Path | None] = ContextVar("folder", default=None)  # of the file that is being read
_registries: WeakSet[Registry[Any]] = WeakSet()
_unpacked = contextlib.ExitStack()  # files of packages that are no folders (zip)
atexit.register(_unpacked.close)


class Registry(Generic[T]):
    """Things of one kind, by name.

    Args:
        kind: The word for one of them in messages ("task").
        folder: A folder of TOML files, one thing a file, read when first asked for.
        read: Reads such a file; kinds that have it can also be read from a path.
        group: The entry-point group; ``oodbench.<kind>s`` when empty, with underscores.
        of: What a thing of another package must be an instance of; anything that can be called when None.
        lazy: An entry point is one thing of that name, and is not loaded before it is asked for (policies import
            much). Otherwise all entry points are loaded before the first look at all names.
    """

    def __init__(
        self,
        kind: str,
        folder: Path | None = None,
        read: Callable[[Path], T] | None = None,
        group: str = "",
        *,
        of: type | None = None,
        lazy: bool = False,
    ) -> None:
        self.kind = kind
        self.group = group or f"oodbench.{kind.replace(' ', '_')}s"
        self._read = read
        self._of = of
        self._lazy = lazy
        self._things: dict[str, T] = {}
        self._files = {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))} if folder and read else {}
        self._shipped = set(self._files)
        self._points: dict[str, EntryPoint] = {}  # lazy ones that were not asked for yet
        self._whose: dict[str, str] = {}  # the package that a name comes from
        self._failed: dict[str, SpecError] = {}
        self._by_path: dict[Path, tuple[bytes, T]] = {}
        self._claimed: dict[str, Path] = {}  # names that files given by path have brought
        self._written: dict[str, Path] = {}  # relative paths as they stand in files
        self._lock = threading.RLock()
        self._plugged = False
        _registries.add(self)

    def add(self, name: str, thing: T, module: str = "") -> T:
        """Register a thing of this process.

        Args:
            name: Its name.
            thing: The thing.
            module: Where what it was made of is defined; by default where the thing is. Says whose it is.

        Returns:
            The thing.

        Raises:
            SpecError: The name is taken by another thing.
        """
        with self._lock:
            if name in self._files or self._things.get(name, thing) is not thing:
                raise SpecError(f"{self.kind} {name!r} is registered twice")
            self._things[name] = thing
            if (module or getattr(thing, "__module__", "")).partition(".")[0] == __name__.partition(".")[0]:
                self._shipped.add(name)
        return thing

    def names(self) -> list[str]:
        """All names, sorted, of this package and of others. What was read from a path is not among them."""
        self._plug()
        return sorted({*self._things, *self._files, *self._points} - set(self._claimed))

    def shipped_names(self) -> list[str]:
        """The names of what comes with this package, sorted."""
        return sorted(self._shipped)

    def get(self, name: str) -> T:
        """The thing called `name`, or read from it when it is the path of a TOML file.

        What was read from a path is known under its own name, the file's stem, in this process and its workers from
        then on. A relative path that stands in a file is taken from that file's folder first, then from the working
        directory.

        Raises:
            UnknownNameError: There is no such thing; the nearest name is given.
            SpecError: It cannot be read or loaded, or the name of the file belongs to a different thing.
        """
        if name in self._things:
            return self._things[name]
        if name.endswith(SUFFIX) and self._read:
            return self._from_path(name)
        if name not in self._files:
            self._plug()
        with self._lock:
            if name in self._points:
                self._take(self._points.pop(name))
            if name in self._things:
                return self._things[name]
            if name in self._files:
                return self._things.setdefault(name, self._from_file(self._files[name]))
        if name in self._failed:
            raise self._failed[name]
        for kind, path in _inherited()[0]:
            if kind == self.kind and path.stem == name:
                return self._from_path(str(path))
        raise UnknownNameError(self.kind, name, self.names())

    def __iter__(self) -> Iterator[T]:
        """All things by name, without those of other packages that cannot be loaded."""
        for name in self.names():
            try:
                yield self.get(name)
            except OodbenchError as error:
                if name not in self._whose:
                    raise
                self._fail(name, error)

    # --- paths -----------------------------------------------------------------------------------------------------

    def _from_file(self, path: Path) -> T:
        assert self._read is not None
        token = _folder.set(path.absolute().parent)
        try:
            return self._read(path)
        finally:
            _folder.reset(token)

    def _from_path(self, text: str) -> T:
        path = self._locate(text)
        try:
            content = path.read_bytes()
        except OSError:
            return self._from_file(path)  # says what is wrong with it
        with self._lock:
            held = self._by_path.get(path)
            digest = hashlib.sha256(content).hexdigest()
            if held is None or held[0] != content:
                if _inherited()[0].get((self.kind, path), digest) != digest:
                    raise SpecError(f"{path}: was changed since the run began; run it again, into another folder")
                held = content, self._claim(path, self._from_file(path))
                self._by_path[path] = held
            _tell(self.kind, text, path, digest)
            return held[1]

    def _locate(self, text: str) -> Path:
        """The absolute path that is meant."""
        if not os.path.isabs(text):
            folder = _folder.get()
            if folder is not None and (folder / text).is_file():
                self._written[text] = folder / text
            elif text not in self._written and (self.kind, text) in (known := _inherited()[1]):
                self._written[text] = known[self.kind, text]
        return Path(os.path.abspath(self._written.get(text, text)))

    def _claim(self, path: Path, thing: T) -> T:
        """Make `thing` known under its file's name, unless that is a different thing's."""
        name = path.stem
        if self._claimed.get(name) != path and (name in self._claimed or name in self.names()):
            other = self.get(name)
            if other == thing:
                return other
            whose = self._claimed.get(name) or self._whose.get(name, "of oodbench")
            raise SpecError(f"{path}: there is another {self.kind} {name!r} ({whose}); rename the file")
        self._claimed[name] = path
        self._things[name] = thing
        return thing

    def _forget(self) -> None:
        for name in self._claimed:
            self._things.pop(name, None)
        for table in (self._claimed, self._by_path, self._written):
            table.clear()

    # --- other packages --------------------------------------------------------------------------------------------

    def _plug(self) -> None:
        """Load the entry points, once; of lazy kinds only their names."""
        with self._lock:
            if self._plugged:
                return
            self._plugged = True  # from now on: what is being loaded may ask for names
            for point in points(self.group):
                if self._lazy and point.name not in self._things and point.name not in self._points:
                    self._points[point.name] = point
                    self._whose[point.name] = package(point)
                else:
                    self._take(point)

    def _take(self, point: EntryPoint) -> None:
        """Load one entry point and register what it gives; what is wrong with it becomes a warning."""
        before = set(self._things)
        try:
            value = point.load()
            items, alone = things(value) if self._read is not None else ([value], True)
        except Exception as error:
            self._fail(point.name, error, point)
            return
        finally:
            self._whose |= dict.fromkeys(set(self._things) - before, package(point))  # by decorators
        for item in items:
            try:
                self._offer(point, item, alone)
            except Exception as error:
                self._fail(point.name if alone or not isinstance(item, Path) else item.stem, error, point)

    def _offer(self, point: EntryPoint, item: Any, alone: bool) -> None:
        if self._read is None and (isinstance(item, ModuleType) or self._is_of(point)):
            return  # importing it has registered what it holds
        known = next((name for name, thing in self._things.items() if thing is item), None)
        name = str(known or (item.stem if isinstance(item, Path) else getattr(item, "name", point.name)))
        if alone and name != point.name:
            raise SpecError(f"its own name is {name!r}; give the entry point that name")
        if isinstance(item, Path):
            if name in self._files or name in self._things:
                raise SpecError(f"{self.kind} {name!r} is registered twice")
            self._files[name] = item
        elif not (callable(item) if self._of is None else isinstance(item, self._of)):
            raise SpecError(f"it gives a {type(item).__name__}, which is no {self.kind}")
        elif known is None:
            self.add(name, item)
        self._whose.setdefault(name, package(point))

    def _is_of(self, point: EntryPoint) -> bool:
        """Whether a decorator has registered a thing of the entry point's name for its package."""
        if point.name not in self._things or point.name in self._shipped:
            return False
        return self._whose.setdefault(point.name, package(point)) == package(point)

    def _fail(self, name: str, error: Exception, point: EntryPoint | None = None) -> None:
        """Note what cannot be loaded, with one warning, which is not repeated by every worker."""
        if name in self._failed:
            return
        where = f"entry point {point.value!r} of {package(point)}" if point else self._whose[name]
        reason = str(error) if isinstance(error, OodbenchError) else repr(error)
        self._failed[name] = SpecError(f"{self.kind} {name!r} ({where}) cannot be loaded: {reason}")
        self._failed[name].__cause__ = error
        if multiprocessing.parent_process() is None:
            log.warning("%s; going on without it", self._failed[name])


def things(value: Any) -> tuple[list[Any], bool]:
    """What the value of an entry point gives.

    Args:
        value: A thing; the path of a TOML file or of a folder of such files (a str, a Path, or what
            `importlib.resources.files` gives); a list of these; or a function that returns one of these.

    Returns:
        Things and paths of TOML files; and whether the value stands for one thing, whose name the entry point has.

    Raises:
        SpecError: There is no such file or folder.
    """
    if inspect.isfunction(value):
        return things(value())
    if isinstance(value, (list, tuple)):
        return [item for part in value for item in things(part)[0]], False
    if isinstance(value, str):
        value = Path(value)
    if not isinstance(value, Traversable):
        return [value], True
    if value.is_dir():
        files = (file for file in value.iterdir() if file.name.endswith(SUFFIX))
        return [_on_disk(file) for file in sorted(files, key=lambda file: file.name)], False
    if value.is_file() and value.name.endswith(SUFFIX):
        return [_on_disk(value)], True
    raise SpecError(f"{value}: neither a TOML file nor a folder of them")


def _on_disk(file: Traversable) -> Path:
    if isinstance(file, Path):
        return file
    copy = Path(_unpacked.enter_context(tempfile.TemporaryDirectory(prefix="oodbench-"))) / file.name
    copy.write_bytes(file.read_bytes())
    return copy


def package(point: EntryPoint) -> str:
    """Whose an entry point is, for messages."""
    return f"package {point.dist.name}" if point.dist else "an unknown package"


@lru_cache
def points(group: str) -> list[EntryPoint]:
    """The entry points of a group; looked up once a process, because that reads every installed package."""
    return sorted(entry_points(group=group), key=lambda point: (point.name, point.value))


# --- what workers must know ----------------------------------------------------------------------------------------

_told: set[tuple[str, str, Path, str]] = set()


def _tell(kind: str, written: str, path: Path, sha256: str) -> None:
    """Let the workers that this process starts know what was read from a path, and with which content."""
    if (kind, written, path, sha256) in _told or multiprocessing.parent_process() is not None:
        return
    if not _told:
        handle, name = tempfile.mkstemp(prefix="oodbench-", suffix=".jsonl")
        os.close(handle)
        os.environ[KNOWN] = name
        atexit.register(Path(name).unlink, missing_ok=True)
    _told.add((kind, written, path, sha256))
    with open(os.environ[KNOWN], "a", encoding="utf-8") as file:
        file.write(json.dumps([kind, written, str(path), sha256]) + "\n")


def _inherited() -> tuple[dict[tuple[str, Path], str], dict[tuple[str, str], Path]]:
    """In a worker: (kind, path) -> the content's hash, and (kind, path as it was written) -> path."""
    name = os.environ.get(KNOWN)
    if multiprocessing.parent_process() is None or name is None:
        return {}, {}
    with contextlib.suppress(OSError):
        return _lines(name, os.stat(name).st_size)
    return {}, {}


@lru_cache(maxsize=1)
def _lines(name: str, size: int) -> tuple[dict[tuple[str, Path], str], dict[tuple[str, str], Path]]:
    contents: dict[tuple[str, Path], str] = {}
    paths: dict[tuple[str, str], Path] = {}
    for line in Path(name).read_text(encoding="utf-8").splitlines():
        kind, written, path, sha256 = json.loads(line)
        contents[kind, Path(path)] = sha256
        paths[kind, written] = Path(path)
    return contents, paths


def forget() -> None:
    """Forget everything that was read from paths, as if the process had just begun."""
    for registry in _registries:
        registry._forget()
    _told.clear()
    os.environ.pop(KNOWN, None)
