"""Writing a folder of results in the place of an older one, and never in the place of anything else."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from oodbench.errors import OodbenchError

MARKER = ".oodbench"  # what wrote the folder, in a word or two
TRIES = 10  # of putting a folder in its place, when somebody else does the same


@contextmanager
def replacing(folder: Path, what: str, marker: str = MARKER) -> Iterator[Path]:
    """A new folder to be filled, which takes the place of `folder` at the end; if that fails, what was there stays.

    Args:
        folder: Where the results are to lie. It may be missing, empty, or hold what was written here before.
        what: What is written ("leaderboard site"), for the marker and for messages.
        marker: The file by which a folder is known as one of ours. The default one is written here and says `what`;
            any other has to be written by the caller, and its presence is enough.

    Yields:
        The new folder, beside `folder`, under a name of its own.

    Raises:
        OodbenchError: `folder` holds something else, is a place where somebody lives (the root, a home, the current
            folder, a checkout), or the disk will not take it.
    """
    target = Path(os.path.abspath(folder))
    _refuse(target, what, marker)
    part = target.with_name(f".{target.name}-{uuid.uuid4().hex}.part")
    try:
        part.mkdir(parents=True)
        yield part
        if marker == MARKER:
            (part / MARKER).write_text(what + "\n", encoding="utf-8")
        _swap(part, target, what, marker)
    except OSError as error:
        raise OodbenchError(f"{folder}: cannot be written ({error.strerror})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _refuse(target: Path, what: str, marker: str) -> None:
    """Raises OodbenchError when what lies at `target` is not ours to replace."""
    way_out = "give another folder, or remove it yourself"
    try:
        if target.is_symlink():
            raise OodbenchError(f"{target}: is a link; a {what} is not written over one: {way_out}")
        if not target.exists():
            return
        if not target.is_dir():
            raise OodbenchError(f"{target}: is a file, not a folder; {way_out}")
        if target in (Path.home(), *Path.cwd().parents, Path.cwd()) or (target / ".git").exists():
            raise OodbenchError(f"{target}: is not a place for a {what}; {way_out}")
        if not any(target.iterdir()):
            return
        mark = target / marker
        ours = mark.is_file() and not mark.is_symlink()
        if ours and marker == MARKER:
            ours = mark.read_bytes()[:200].decode(errors="replace").strip() == what
    except OSError as error:
        raise OodbenchError(f"{target}: cannot be read ({error.strerror})") from error
    if not ours:
        raise OodbenchError(f"{target}: holds something else than a {what} of oodbench (no {marker}); {way_out}")


def _swap(part: Path, target: Path, what: str, marker: str) -> None:
    """Put `part` in the place of `target`; what was there comes back when it does not go. Raises OSError."""
    aside = part.with_suffix(".old")
    for attempt in range(1, TRIES + 1):
        _refuse(target, what, marker)  # once more: filling may have taken an hour
        with suppress(FileNotFoundError):
            os.rename(target, aside)
        try:
            os.rename(part, target)
        except OSError:
            if aside.exists():
                try:
                    os.rename(aside, target)
                except OSError:
                    if not target.exists():
                        raise
                    shutil.rmtree(aside, ignore_errors=True)  # somebody else put theirs there meanwhile, as new as ours
            if attempt == TRIES or not part.exists() or not target.exists():
                raise
        else:
            shutil.rmtree(aside, ignore_errors=True)
            return
