"""Reading the files of a run folder that may be a stranger's: regular files within it only, and no more than a limit.

Whatever is read of a run folder or of a leaderboard entry comes through here.
"""

from __future__ import annotations

import errno
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

import zstandard

from oodbench.errors import RunFolderError

MIB = 2**20
INFO_BYTES = 4 * MIB  # run.json; real ones have 10 KiB, those with a policy's statistics some 100
PLAN_BYTES = 64 * MIB  # plan.jsonl; 160 bytes an episode
RECORDS_BYTES = 2048 * MIB  # episodes.jsonl; a million episodes have some 700 MiB
PACKED_BYTES = 64 * MIB  # episodes.jsonl.zst as it lies on the disk; the 12,600 episodes of full-2 have 0.6 MiB
UNPACKED_BYTES = 256 * MIB  # and what it unpacks to; full-2 has 10 MiB
UNPACKED_LINES = 250_000  # and its lines: a record takes some 2 KiB of memory
RECORDS_LINES = 2_000_000  # of a plain episodes.jsonl
BASELINE_BYTES = 64 * MIB  # a gate's baseline; 15 bytes an episode
SCENE_BYTES = 16 * MIB  # a scene; real ones have 5 KiB
LINE_BYTES = MIB  # of a record; real ones have 700 bytes, and an error's text is one line
TRACE_BYTES = 4096 * MIB  # the traces of one worker; 5 KiB an episode
TRACE_FILES = 10_000  # workers that a run may have had
FILM_BYTES = 256 * MIB  # one film; real ones have 200 KiB
WINDOW = 8 * MIB  # the largest window that a zstd file may ask for, in memory; level 19 uses 8 MiB


@contextmanager
def opened(folder: Path, name: str, limit: int) -> Iterator[IO[bytes]]:
    """A file of a run folder, open for reading.

    Args:
        folder: The run folder.
        name: The file's path within it.
        limit: The most bytes that it may have.

    Raises:
        FileNotFoundError: There is no such file.
        RunFolderError: It is no regular file (a pipe, a device, a folder), lies outside the folder (through a link),
            is larger than `limit`, or cannot be read.
    """
    path = folder / name
    try:
        real = path.resolve(strict=True)
        if not real.is_relative_to(folder.resolve()):
            raise RunFolderError(f"{path}: leads out of its folder")
        # Non-blocking: opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise RunFolderError(f"{path}: is not a regular file")
            if found.st_size > limit:
                raise RunFolderError(f"{path}: has {found.st_size} bytes; at most {limit} are read")
            yield file
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a null byte; RuntimeError: a loop of links
        if isinstance(error, OSError) and error.errno == errno.ENOTDIR:
            raise FileNotFoundError(str(path)) from None
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RunFolderError(f"{path}: cannot be read ({said})") from error


def read_bytes(folder: Path, name: str, limit: int) -> bytes:
    """The content of a file of a run folder. Raises as `opened` does."""
    with opened(folder, name, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:  # it grew, or its size is not told (as of files in /proc)
        raise RunFolderError(f"{folder / name}: has more than {limit} bytes")
    return content


def blocks(folder: Path, name: str, block: int = 8 * MIB) -> Iterator[tuple[bytes, bool]]:
    """The lines of a file of records, some at a time; one that ends in .zst is unpacked on the way.

    Args:
        folder: The run folder.
        name: The file's path within it.
        block: Bytes that are read at once.

    Yields:
        (whole lines, False), and at the end (what is left behind the last newline, True).

    Raises:
        FileNotFoundError: There is no such file.
        RunFolderError: As of `opened`; the file is not zstd, has a line of more than LINE_BYTES, unpacks to
            more than UNPACKED_BYTES, or has too many lines.
    """
    packed = name.endswith(".zst")
    path = folder / name
    total, lines, rest = 0, 0, b""
    with opened(folder, name, PACKED_BYTES if packed else RECORDS_BYTES) as file:
        unpack = zstandard.ZstdDecompressor(max_window_size=WINDOW)
        source = unpack.stream_reader(file, read_across_frames=True) if packed else file
        try:
            while content := source.read(block):
                total += len(content)
                lines += content.count(b"\n")
                if packed and total > UNPACKED_BYTES:
                    raise RunFolderError(f"{path}: unpacks to more than {UNPACKED_BYTES} bytes")
                if lines > (most := UNPACKED_LINES if packed else RECORDS_LINES):
                    raise RunFolderError(f"{path}: has more than {most} lines")
                whole, newline, tail = content.rpartition(b"\n")
                if newline:
                    if len(rest) + content.index(b"\n") > LINE_BYTES:
                        raise RunFolderError(f"{path}: has a line of more than {LINE_BYTES} bytes")
                    yield rest + whole, False
                    rest = tail
                else:
                    rest += tail
                if len(rest) > LINE_BYTES:
                    raise RunFolderError(f"{path}: has a line of more than {LINE_BYTES} bytes")
        except (zstandard.ZstdError, MemoryError) as error:
            raise RunFolderError(f"{path}: cannot be unpacked ({error})") from error
    yield rest, True


def inflated(content: bytes, size: int) -> bytes:
    """What zlib packed, of exactly `size` bytes; never more is unpacked. Raises ValueError when it is not that."""
    unpack = zlib.decompressobj()
    try:
        found = unpack.decompress(content, size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(found) != size or not unpack.eof or unpack.unused_data:
        raise ValueError(f"unpacks to another size than {size} bytes")
    return found


def film_path(folder: Path, name: str) -> Path | None:
    """The film that a record names, where it is one that may be shown: a regular .mp4 file within the run folder.

    Args:
        folder: The run folder.
        name: What the record says (its `video`), which anybody may have written.

    Returns:
        The file's path. None when the name is absolute, leads out of the folder, passes a symbolic link, is no .mp4 or
        no regular file of a film's size, or when there is no such file.
    """
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or not name.endswith(".mp4"):
        return None
    path = folder
    try:
        for part in parts:
            path = path / part
            found = path.lstat()
            if stat.S_ISLNK(found.st_mode):
                return None
    except OSError:
        return None
    return path if stat.S_ISREG(found.st_mode) and found.st_size <= FILM_BYTES else None
