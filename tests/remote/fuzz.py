"""Coverage-guided fuzzing of one decoder: `python tests/remote/fuzz.py openpi -atheris_runs=100000 CORPUS`.

Ends with an exit code other than 0 when the decoder raises anything but ProtocolError, gives an array of objects,
hangs (-timeout), or takes more memory than it may.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["oodbench.remote.codec"]):
    from oodbench.remote import codec

import numpy as np

MOST = 512  # MiB of memory at any time; libFuzzer's own limit counts what the parent process once had
EVERY = 1000  # messages between two looks at it


def peak() -> int:
    """The most memory that this process had so far (MiB)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("VmHWM"))


def plain(value: object, depth: int = 0) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biuf"
    if isinstance(value, dict):
        return depth > 50 or all(plain(key, depth + 1) and plain(v, depth + 1) for key, v in value.items())
    if isinstance(value, list):
        return depth > 50 or all(plain(v, depth + 1) for v in value)
    return value is None or isinstance(value, bool | int | float | str | bytes) or type(value).__name__ in UNUSUAL


UNUSUAL = ("ExtType", "Timestamp")  # msgpack's own, inert


def seeds() -> list[object]:
    return [
        {"type": "act", "seq": 3, "payload": {"states": np.zeros(8, np.float32), "task_description": "lift"}},
        {"actions": np.linspace(-1, 1, 14).reshape(2, 7), "n": np.float32(0.5), "flag": np.array([True])},
        {"image": np.zeros((2, 2, 3), np.uint8), "list": [1, -2.5, None, "x", {"deep": [[]]}]},
        [{"action.x": np.zeros((1, 2))}, {}],
    ]


def main() -> None:
    decoder = codec.CODECS[sys.argv.pop(1)]
    corpus = sys.argv[-1]
    for i, message in enumerate(seeds()):
        with open(f"{corpus}/seed-{i}", "wb") as file:
            file.write(decoder.encode(message))

    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        if count % EVERY == 0:
            assert peak() < MOST, f"{peak()} MiB after {count} messages"
        try:
            found = decoder.decode(data)
        except codec.ProtocolError:
            return
        assert plain(found), type(found)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
