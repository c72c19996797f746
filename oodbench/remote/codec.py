"""Arrays in messages, in the four ways that the protocols write them; reading is strict and never unpickles.

Whatever comes in, `decode` gives plain data (dict, list, str, bytes, numbers, None) and numpy arrays of numbers, or
raises ProtocolError.
"""

from __future__ import annotations

import ast
import base64
import binascii
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from PIL import Image

from oodbench.errors import PolicyError

MAX_BYTES = 64 * 2**20  # of a message
MAX_ITEMS = 100_000  # of one list or map in a message
MAX_PIXELS = 4096 * 4096
_DTYPE = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")
_NPY_HEADER = 4096


class ProtocolError(PolicyError):
    """The other side said something that its protocol does not allow."""


@dataclass(frozen=True)
class Codec:
    """How a protocol writes messages. Raises ProtocolError from `decode`, for whatever is not a message."""

    name: str
    _encode: Callable[[Any], bytes]
    _decode: Callable[[bytes], Any]

    def encode(self, message: Any) -> bytes:
        """A message as bytes. Raises ProtocolError: it holds what cannot be written, or is too large."""
        try:
            data = self._encode(message)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ProtocolError(f"{self.name}: the message cannot be written ({error})") from None
        if len(data) > MAX_BYTES:
            raise ProtocolError(f"{self.name}: a message of {_mib(data)} MiB; at most {MAX_BYTES >> 20} are sent")
        return data

    def decode(self, data: bytes | str) -> Any:
        """What `data` says. Raises ProtocolError."""
        raw = data.encode() if isinstance(data, str) else data
        if len(raw) > MAX_BYTES:
            raise ProtocolError(f"{self.name}: a message of {_mib(raw)} MiB; at most {MAX_BYTES >> 20} are read")
        try:
            return self._decode(raw)
        except ProtocolError as error:
            raise ProtocolError(f"{self.name}: {error}") from None
        except (ValueError, TypeError, RecursionError, MemoryError, OverflowError, msgpack.UnpackException) as error:
            text = str(error) or type(error).__name__
            raise ProtocolError(f"{self.name}: {len(raw)} bytes that are no message ({text[:120]})") from None


def array(dtype: Any, shape: Any, data: Any) -> np.ndarray:
    """An array of numbers from its parts, checked against each other. Raises ProtocolError."""
    if isinstance(dtype, bytes):
        dtype = dtype.decode("ascii", "replace")
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise ProtocolError(f"an array of dtype {str(dtype)[:40]!r}; only booleans, integers and floats are read")
    if not isinstance(shape, list | tuple) or len(shape) > 8 or not all(type(n) is int and n >= 0 for n in shape):
        raise ProtocolError(f"an array of shape {str(shape)[:60]}")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise ProtocolError(f"an array whose data is {type(data).__name__}")
    kind = np.dtype(dtype)
    count = 1
    for n in shape:
        count *= n
    if count * kind.itemsize != len(data):
        raise ProtocolError(f"an array of shape {str(shape)[:60]} and dtype {dtype} with {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape).copy()


def _number(obj: np.generic | np.ndarray) -> str:
    kind = obj.dtype.str
    if not _DTYPE.fullmatch(kind):
        raise TypeError(f"arrays of dtype {obj.dtype} are not sent")
    return kind


def _mib(data: bytes) -> str:
    return f"{len(data) / 2**20:.0f}"


# --- msgpack -------------------------------------------------------------------------------------------------------


def _msgpack(name: str, default: Callable[[Any], Any], hook: Callable[[dict[Any, Any]], Any]) -> Codec:
    return Codec(
        name,
        lambda message: msgpack.packb(message, default=default, use_bin_type=True),
        lambda data: msgpack.unpackb(
            data, object_hook=hook, raw=False, strict_map_key=True, max_array_len=MAX_ITEMS, max_map_len=MAX_ITEMS
        ),
    )


def _openpi_default(obj: Any) -> Any:
    if isinstance(obj, np.ndarray):
        return {b"__ndarray__": True, b"data": obj.tobytes(), b"dtype": _number(obj), b"shape": obj.shape}
    if isinstance(obj, np.generic):
        return {b"__npgeneric__": True, b"data": obj.item(), b"dtype": _number(obj)}
    raise TypeError(f"{type(obj).__name__} is not sent")


def _openpi_hook(obj: dict[Any, Any]) -> Any:
    if b"__ndarray__" in obj:
        return array(obj.get(b"dtype"), obj.get(b"shape"), obj.get(b"data"))
    if b"__npgeneric__" in obj:
        value = obj.get(b"data")
        if not isinstance(value, bool | int | float):
            raise ProtocolError(f"a number that is {type(value).__name__}")
        return value
    return obj


def _vla_eval_default(obj: Any) -> Any:
    if isinstance(obj, np.ndarray):
        if obj.ndim == 3 and obj.dtype == np.uint8 and obj.shape[2] == 3:
            file = io.BytesIO()
            Image.fromarray(obj).save(file, "PNG", compress_level=1)
            return {"__image__": True, "format": "png", "data": file.getvalue(), "shape": list(obj.shape)}
        return {"__ndarray__": True, "data": obj.tobytes(), "dtype": _number(obj), "shape": list(obj.shape)}
    if isinstance(obj, np.generic):
        return obj.item()
    raise TypeError(f"{type(obj).__name__} is not sent")


def _vla_eval_hook(obj: dict[Any, Any]) -> Any:
    if "__image__" in obj:
        if obj.get("format") == "raw":
            return array(obj.get("dtype"), obj.get("shape"), obj.get("data"))
        return _picture(obj.get("data"))
    if "__ndarray__" in obj:
        return array(obj.get("dtype"), obj.get("shape"), obj.get("data"))
    return obj


def _picture(data: Any) -> np.ndarray:
    """A PNG or JPEG file as (h, w, 3) uint8, at most MAX_PIXELS."""
    if not isinstance(data, bytes):
        raise ProtocolError(f"a picture whose data is {type(data).__name__}")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as file:
            if file.width * file.height > MAX_PIXELS:
                raise ProtocolError(f"a picture of {file.width} x {file.height} pixels")
            return np.array(file.convert("RGB"))
    except ProtocolError:
        raise
    except Exception as error:  # Pillow raises what its file formats raise
        raise ProtocolError(f"{len(data)} bytes that are no picture ({type(error).__name__})") from None


def _groot_default(obj: Any) -> Any:
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, np.ndarray):
        _number(obj)
        file = io.BytesIO()
        np.save(file, obj, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}
    raise TypeError(f"{type(obj).__name__} is not sent")


def _groot_hook(obj: dict[Any, Any]) -> Any:
    if "__ndarray_class__" in obj:
        return _npy(obj.get("as_npy"))
    if "__ModalityConfig_class__" in obj:
        found = obj.get("as_json")
        return json.loads(found) if isinstance(found, str) else found  # N1.5 writes text, N1.6 a map
    return obj


def _npy(data: Any) -> np.ndarray:
    """An array in numpy's .npy format. numpy's own reader would allocate whatever a header claims."""
    if not isinstance(data, bytes) or data[:6] != b"\x93NUMPY" or len(data) < 12 or data[6] not in (1, 2):
        raise ProtocolError("an array that is not in numpy's .npy format")
    width = 2 if data[6] == 1 else 4
    length = int.from_bytes(data[8 : 8 + width], "little")
    start = 8 + width + length
    if length > _NPY_HEADER or start > len(data):
        raise ProtocolError(f"an array whose .npy header claims {length} bytes")
    try:
        header = ast.literal_eval(data[8 + width : start].decode("ascii"))
        kind, shape, fortran = header["descr"], header["shape"], header["fortran_order"]
    except (ValueError, SyntaxError, KeyError, TypeError, RecursionError, MemoryError):
        raise ProtocolError("an array whose .npy header cannot be read") from None
    if fortran is True and isinstance(shape, tuple):
        return array(kind, shape[::-1], data[start:]).T
    return array(kind, shape, data[start:])


# --- JSON ----------------------------------------------------------------------------------------------------------


def _json_default(obj: Any) -> Any:
    if isinstance(obj, np.ndarray | np.generic):
        data = base64.b64encode(np.ascontiguousarray(obj).tobytes()).decode()
        return {"__numpy__": data, "dtype": _number(obj), "shape": list(obj.shape)}
    raise TypeError(f"{type(obj).__name__} is not sent")


def _json_hook(obj: dict[str, Any]) -> Any:
    if "__numpy__" not in obj:
        return obj
    try:
        data = base64.b64decode(obj["__numpy__"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise ProtocolError("an array that is not in base64") from None
    return array(obj.get("dtype"), obj.get("shape"), data)


OPENPI = _msgpack("openpi", _openpi_default, _openpi_hook)
NATIVE = _msgpack("oodbench", _openpi_default, _openpi_hook)
VLA_EVAL = _msgpack("vla-eval", _vla_eval_default, _vla_eval_hook)
GROOT = _msgpack("groot", _groot_default, _groot_hook)
OPENVLA = Codec(
    "openvla+http",
    lambda message: json.dumps(message, default=_json_default).encode(),
    lambda data: json.loads(data, object_hook=_json_hook),
)
CODECS = {codec.name: codec for codec in (OPENPI, NATIVE, VLA_EVAL, GROOT, OPENVLA)}
