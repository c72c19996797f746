"""Ways to spoil a run folder or an entry, as an attacker, a bug or a bad disk would."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import struct
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import zstandard

from oodbench.leaderboard import entry as entries

SECRET = b"the-canary-that-must-not-get-out"
BOMB = 2**30  # bytes that a bomb unpacks to

# What a mutation may meet in a folder that another one has spoilt already.
SPOILT = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, zstandard.ZstdError)


class Mutator:
    """outside: a folder that holds secret.mp4 and evil.py. did: what was done to the last case, in words."""

    def __init__(self, outside: Path) -> None:
        self.outside, self.did = outside, ""

    def spoil(self, folder: Path, rng: random.Random, *, signed: bool = False) -> None:
        """Change something in the folder.

        Args:
            folder: A genuine run folder, or an entry.
            rng: What chooses.
            signed: Whether the hashes of an entry are made to fit afterwards.
        """
        said = []
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            how = rng.choice(WAYS)
            with contextlib.suppress(*SPOILT):
                how(self, folder, rng)
            said.append(how.__name__.strip("_"))
        self.did = ", ".join(said) + (", signed" if signed else "")
        if signed:
            with contextlib.suppress(*SPOILT):
                _sign(folder)

    def values(self, rng: random.Random) -> Any:
        """Something to put where something else should be."""
        secret, evil = str(self.outside / "secret.mp4"), str(self.outside / "evil.py")
        touch = f"os:system?command=touch {self.outside / 'touched'}"
        up = os.path.relpath(secret, self.outside.parent / "case" / "run")
        return rng.choice([
            None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**400), 1e308, 1e-320, float("nan"), float("inf"),
            "", "x", "x" * 100_000, "*", "../" * 9 + "etc/passwd", "/etc/passwd", secret, up, f"{evil}:Evil", touch,
            "\0", "\x1b[31mred", "\u202e", "<script>alert(1)</script>", "{{ 7 * 7 }}", "none", "a+b@3", "put-on", evil,
            [], {}, [[]], [1, 2], ["x"] * 1000, {"x": {"x": {"x": 1}}}, {"": None}, [None], 0.5, "%s%n", "core-2",
            "visual.noise@3" + "+x" * 50, str(self.outside / "task.toml"), "9" * 5000, "builtins:exec?x=1", "smoke",
            "groot://127.0.0.1:1?token=s", json.loads("[" * 90 + "]" * 90), {str(i): i for i in range(300)},
        ])  # fmt: skip


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _read(path: Path) -> bytes:
    """Raises OSError for what an earlier change made of it: a pipe, a link, a huge file."""
    if not path.is_file() or path.is_symlink() or path.stat().st_size > 2**23:
        raise OSError(path)
    return path.read_bytes()


def _any(folder: Path, rng: random.Random) -> Path:
    return rng.choice(_files(folder))


def _flip(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    content = bytearray(_read(path))
    for _i in range(rng.choice((1, 2, 20))):
        content[rng.randrange(len(content))] = rng.randrange(256)
    path.write_bytes(content)


def _cut(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    path.write_bytes(_read(path)[: rng.choice((0, 1, 10, rng.randrange(path.stat().st_size)))])


def _append(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    content = _read(path)
    skipped = struct.pack("<II", 0x184D2A50, 8) + rng.randbytes(8)
    path.write_bytes(content + rng.choice((b"\n", b"\0", rng.randbytes(50), content, skipped, b"{}\n", b"x" * 2**21)))


def _delete(_: Mutator, folder: Path, rng: random.Random) -> None:
    _any(folder, rng).unlink()


def _exchange(_: Mutator, folder: Path, rng: random.Random) -> None:
    a, b = _any(folder, rng), _any(folder, rng)
    one, other = _read(a), _read(b)
    a.write_bytes(other)
    b.write_bytes(one)


def _link(m: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    path.unlink()
    path.symlink_to(rng.choice((m.outside / "secret.mp4", m.outside, "/dev/zero", "/etc/passwd", path.name, "nowhere",
                                os.path.relpath(m.outside / "secret.mp4", path.parent))))  # fmt: skip


def _link_a_folder(m: Mutator, folder: Path, rng: random.Random) -> None:
    target = folder / rng.choice(("traces", "videos", "x"))
    shutil.rmtree(target, ignore_errors=True)
    target.symlink_to(m.outside)


def _pipe(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    path.unlink()
    os.mkfifo(path)


def _folder(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = _any(folder, rng)
    path.unlink()
    path.mkdir()


def _sparse(_: Mutator, folder: Path, rng: random.Random) -> None:
    with _any(folder, rng).open("r+b") as file:
        file.truncate(rng.choice((2**26, 2**31, 2**36)))


def _another(m: Mutator, folder: Path, rng: random.Random) -> None:
    """A file too many, some of them films that are none."""
    name = rng.choice(
        ("notes.txt", "videos/a.mp4", "videos/../x.mp4", "traces/z.bin", "plan.jsonl", ".lock", "report.html")
    )
    (folder / name).parent.mkdir(exist_ok=True)
    if rng.random() < 0.5:
        (folder / name).symlink_to(m.outside / "secret.mp4")
    else:
        (folder / name).write_bytes(rng.randbytes(100))


@lru_cache
def _zstd_bomb(fill: bytes) -> bytes:
    packer = zstandard.ZstdCompressor(level=1).compressobj()
    block = fill * (2**20 // len(fill))
    parts = [packer.compress(block) for _ in range(BOMB // len(block))]
    return b"".join(parts) + packer.flush()


@lru_cache
def _zlib_bomb() -> bytes:
    packer = zlib.compressobj(1)
    parts = [packer.compress(bytes(2**20)) for _ in range(BOMB // 2**20)]
    return b"".join(parts) + packer.flush()


def _bomb(_: Mutator, folder: Path, rng: random.Random) -> None:
    """Episodes that unpack to a gigabyte, of nothing, of empty lines, of small records."""
    (folder / "episodes.jsonl").unlink(missing_ok=True)
    fill = rng.choice((b"\0", b"\n", b'{"task":"press-button"}\n', b"{}\n", b"[" * 64))
    (folder / "episodes.jsonl.zst").write_bytes(_zstd_bomb(fill))


def _window(_: Mutator, folder: Path, rng: random.Random) -> None:
    """A frame that asks for a window of 2 GiB, its header written by hand."""
    (folder / "episodes.jsonl").unlink(missing_ok=True)
    (folder / "episodes.jsonl.zst").write_bytes(bytes.fromhex("28b52ffd00") + b"\xa8" + b"\x01\x00\x00")


def _trace(_: Mutator, folder: Path, rng: random.Random) -> None:
    """A trace whose lengths are hostile, or that is a bomb."""
    path = rng.choice([p for p in _files(folder) if p.suffix == ".bin"])
    content = _read(path)
    head, newline, rest = content.partition(b"\n")
    said = json.loads(head)
    key = rng.choice(list(said))
    if rng.random() < 0.3:
        bomb = _zlib_bomb()
        said["steps"], said["actions"] = rng.choice((1, BOMB // 56, 10**12)), len(bomb)
        rest = bomb + rest
    elif isinstance(said[key], int):
        said[key] = rng.choice(
            (0, -1, -(10**9), 1, said[key] - 1, said[key] + 1, 10**12, 2**63, 1.5, None, "x", 10**30)
        )
    else:
        said[key] = rng.choice(([], "x", ["x", "none", 0, 0], ["press-button", "none", 0.0, 10**30], None, {}))
    path.write_bytes(json.dumps(said).encode() + newline + rest)


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found += _places(part, (*at, key))
    return found


def _change(m: Mutator, value: Any, rng: random.Random) -> None:
    """Retype, delete, rename, duplicate or swap something in JSON."""
    place = rng.choice(_places(value))
    for key in place[:-1]:
        value = value[key]
    last, how = place[-1], rng.random()
    if how < 0.6:
        value[last] = m.values(rng)
    elif how < 0.75:
        del value[last]
    elif how < 0.85 and isinstance(value, dict):
        value[str(m.values(rng))[:50]] = value.pop(last)
    elif isinstance(value, list):
        value.append(value[last])
    else:
        other = rng.choice(list(value))
        value[last], value[other] = value[other], value[last]


def _run_json(m: Mutator, folder: Path, rng: random.Random) -> None:
    path = folder / "run.json"
    info = json.loads(_read(path).decode())
    for _ in range(rng.choice((1, 1, 3))):
        _change(m, info, rng)
    path.write_text(json.dumps(info))


def _policy(m: Mutator, folder: Path, rng: random.Random) -> None:
    """A policy that does something when it is loaded."""
    path = folder / "run.json"
    info = json.loads(_read(path).decode())
    info["policy"]["uri"] = rng.choice((
        f"{m.outside / 'evil.py'}:Evil", f"os:system?command=touch {m.outside / 'touched'}", "evil:Evil",
        f"subprocess:run?args=[\"touch\", \"{m.outside / 'touched'}\"]",
    ))  # fmt: skip
    path.write_text(json.dumps(info))


def _nested(_: Mutator, folder: Path, rng: random.Random) -> None:
    path = rng.choice([p for p in _files(folder) if p.suffix in (".json", ".jsonl", ".toml")])
    depth = rng.choice((100, 10_000, 1_000_000))
    opened, closed = rng.choice((("[", "]"), ('{"a":', "}"), ("x = [", "]"), ("x = " + "{a = ", "}")))
    path.write_text(opened * depth + "1" + closed * depth)


def _records(m: Mutator, folder: Path, rng: random.Random) -> None:
    """One or several lines of the episodes."""
    packed = (folder / "episodes.jsonl.zst").is_file()
    path = folder / ("episodes.jsonl.zst" if packed else "episodes.jsonl")
    content = _read(path)
    if packed:
        content = zstandard.ZstdDecompressor().decompress(content, max_output_size=2**26)
    lines = content.splitlines()
    for _ in range(rng.choice((1, 1, len(lines)))):
        i = rng.randrange(len(lines))
        record, how = json.loads(lines[i]), rng.random()
        if how < 0.2:
            record["video"] = m.values(rng) if rng.random() < 0.5 else str(m.outside / "secret.mp4")
        elif how < 0.3:
            record["task"] = rng.choice((str(m.outside / "task.toml"), "put-on", "../x.toml", "stack"))
        elif how < 0.4:
            record.update(success=True, settled=True, final=True, failure=None)
        else:
            _change(m, record, rng)
        lines[i] = json.dumps(record).encode()
        if rng.random() < 0.2:
            lines[i] = rng.choice(
                (b"", b"\xff\xfe", lines[i][:-5], lines[i] * 2, b"null", b"[]", b"1" * 9000, b'{"task":' * 99)
            )
        if rng.random() < 0.1:
            lines.append(rng.choice(lines))
    if rng.random() < 0.03:
        lines.append(b'{"task": "' + b"x" * 2**22 + b'"}')
    content = b"\n".join(lines) + b"\n"
    path.write_bytes(zstandard.compress(content, 1) if packed else content)


def _toml(m: Mutator, folder: Path, rng: random.Random) -> None:
    """What the authors say."""
    path = rng.choice([p for p in _files(folder) if p.suffix == ".toml"])
    lines = _read(path).decode().splitlines()
    i, how = rng.randrange(len(lines)), rng.random()
    if how < 0.5 and "=" in lines[i]:
        value = m.values(rng)
        text = json.dumps(value) if not isinstance(value, dict) else rng.choice(("{}", "{a = {a = 1}}"))
        lines[i] = f"{lines[i].split('=')[0]}= {text}"
    elif how < 0.6:
        lines[i] = lines[rng.randrange(len(lines))]
    elif how < 0.7:
        del lines[i]
    elif how < 0.8:
        lines.insert(i, ".".join("a" * 5000) + " = 1")
    elif how < 0.9:
        lines[i] = re.sub(r'"[^"]*"', json.dumps(str(m.values(rng))[:2000]).replace("\\", "\\\\"), lines[i], count=1)
    else:
        lines.insert(
            i, rng.choice(("x = 0x" + "f" * 20_000, 'x = """' + "y" * 9000, "[[x]]" * 9, "x = 1979-05-27", "\0"))
        )
    path.write_text("\n".join(lines) + "\n")


def _hashes(_: Mutator, folder: Path, rng: random.Random) -> None:
    """The list of an entry's traces."""
    path = folder / entries.TRACE_HASHES
    lines = _read(path).splitlines()
    i = rng.randrange(len(lines))
    lines[i] = rng.choice(
        (b"", b"x", lines[i][:64] + b" 99999999", lines[i][:64] + b" 0", lines[0], lines[i] + b"9" * 99)
    )
    path.write_bytes(b"\n".join(lines) + b"\n")


def _sign(folder: Path) -> None:
    """Make the hashes of an entry fit, those of its first trace too, as far as they are there."""
    traces, hashes, about = folder / entries.TRACES, folder / entries.TRACE_HASHES, folder / entries.INFO
    sizes = [int(line.split()[1]) for line in _read(hashes).decode().splitlines()]
    if traces.is_file() and sum(sizes[1:]) <= traces.stat().st_size < 2**23:
        content = _read(traces)
        sizes[0] = len(content) - sum(sizes[1:])  # what was changed in length was changed in the first
        lines = []
        for size in sizes:
            lines.append(f"{hashlib.sha256(content[:size]).hexdigest()} {size}\n")
            content = content[size:]
        hashes.write_text("".join(lines))
    text = _read(about).decode()
    for name in entries.HASHED:
        if (folder / name).is_file() and (folder / name).stat().st_size < 2**23:
            digest = hashlib.sha256(_read(folder / name)).hexdigest()
            text = re.sub(rf'"{re.escape(name)}" = "[0-9a-f]*"', f'"{name}" = "{digest}"', text)
    about.write_text(text)


WAYS: tuple[Callable[[Mutator, Path, random.Random], None], ...] = (
    _flip, _flip, _cut, _append, _delete, _exchange, _link, _link_a_folder, _pipe, _folder, _sparse, _another, _bomb,
    _window, _trace, _trace, _run_json, _run_json, _run_json, _run_json, _policy, _nested, _records, _records, _records,
    _records, _toml, _toml, _toml, _hashes,
)  # fmt: skip
