"""Coverage-guided fuzzing of one decoder: `python tests/remote/fuzz.py openpi -atheris_runs=100000 CORPUS`.

Ends with an exit code other than 0 when the decoder raises anything but ProtocolError, gives an array of objects,
hangs (-timeout), or takes more memory than it may (-rss_limit_mb).
"""

import sys

import atheris

with atheris.instrument_imports(include=["oodbench.remote.codec"]):
    from oodbench.remote import codec

import numpy as np


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

    def one(data: bytes) -> None:
        try:
            found = decoder.decode(data)
        except codec.ProtocolError:
            return
        assert plain(found), type(found)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
