"""What goes over wires comes back the same, agrees with the real packages, and rubbish is refused by name."""

import io
import json

import json_numpy
import msgpack
import numpy as np
import pytest
from openpi_client import msgpack_numpy
from vla_eval.protocol import Message, MessageType, pack_message, unpack_message

from oodbench.remote import codec
from oodbench.remote.codec import CODECS, GROOT, NATIVE, OPENPI, OPENVLA, VLA_EVAL, ProtocolError

ARRAYS = [
    np.arange(12, dtype=np.uint8).reshape(2, 2, 3),
    np.array([0.1, -1 / 3, 1e-300]),
    np.array([[1.5, 2.5]], np.float32),
    np.array(7, np.int64),
    np.zeros((0, 7)),
    np.array([True, False]),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
]


@pytest.mark.parametrize("name", CODECS)
def test_arrays_come_back_bit_for_bit(name):
    message = {"a": list(ARRAYS), "b": {"text": "Käse", "n": 3, "none": None}}
    found = CODECS[name].decode(CODECS[name].encode(message))
    assert found["b"] == message["b"]
    for sent, got in zip(ARRAYS, found["a"], strict=True):
        assert got.dtype == sent.dtype
        assert got.shape == sent.shape
        assert np.array_equal(got, sent)
        if got.size:
            got[...] = 0  # a policy may write into what it is given


def test_openpi_agrees_with_its_own_client():
    message = {"observation/state": ARRAYS[1], "prompt": "lift the mug", "n": np.float32(0.1)}
    theirs = msgpack_numpy.unpackb(OPENPI.encode(message))
    assert np.array_equal(theirs["observation/state"], ARRAYS[1])
    assert theirs["n"] == np.float32(0.1)
    ours = OPENPI.decode(msgpack_numpy.packb(message))
    assert np.array_equal(ours["observation/state"], ARRAYS[1])
    assert ours["n"] == float(np.float32(0.1))


def test_vla_eval_agrees_with_its_own_package():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    payload = {"images": {"agentview": picture}, "states": ARRAYS[2], "task_description": "lift"}
    ours = VLA_EVAL.decode(pack_message(Message(MessageType.OBSERVATION, payload, seq=3)))
    assert np.array_equal(ours["payload"]["images"]["agentview"], picture), "PNG loses nothing"
    assert np.array_equal(ours["payload"]["states"], ARRAYS[2])
    raw = VLA_EVAL.encode({"type": "observation", "payload": payload, "seq": 3, "timestamp": 0.0})
    theirs = unpack_message(raw)
    assert theirs.type is MessageType.OBSERVATION
    assert np.array_equal(theirs.payload["images"]["agentview"], picture)
    assert theirs.payload["states"].dtype == np.float32


def test_openvla_agrees_with_json_numpy():
    message = {"image": ARRAYS[0], "instruction": "lift"}
    theirs = json_numpy.loads(OPENVLA.encode(message).decode())
    assert np.array_equal(theirs["image"], ARRAYS[0])
    ours = OPENVLA.decode(json_numpy.dumps(ARRAYS[1]))
    assert np.array_equal(ours, ARRAYS[1])
    assert OPENVLA.decode("[0.1, 1]") == [0.1, 1]


def test_groot_agrees_with_numpys_own_format():
    file = io.BytesIO()
    np.save(file, ARRAYS[6])
    found = GROOT.decode(msgpack.packb({"__ndarray_class__": True, "as_npy": file.getvalue()}))
    assert np.array_equal(found, ARRAYS[6])
    config = {"modality_keys": ["video.image"]}
    for said in (config, json.dumps(config)):
        assert GROOT.decode(msgpack.packb({"__ModalityConfig_class__": True, "as_json": said})) == config


def npy_claiming(shape: str, dtype: str = "<f8") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


@pytest.mark.parametrize(
    ("name", "message", "says"),
    [
        ("openpi", {b"__ndarray__": True, b"data": b"\x80\x04N.", b"dtype": "|O", b"shape": [1]}, r"dtype '\|O'"),
        ("openpi", {b"__ndarray__": True, b"data": b"12", b"dtype": "V2", b"shape": [1]}, "dtype 'V2'"),
        ("openpi", {b"__ndarray__": True, b"data": b"", b"dtype": "<f8", b"shape": [10**12]}, "with 0 bytes"),
        ("openpi", {b"__ndarray__": True, b"data": b"", b"dtype": "<f8", b"shape": [-1]}, r"shape \[-1\]"),
        ("openpi", {b"__ndarray__": True, b"data": b"", b"dtype": "<f8", b"shape": "ab"}, "shape ab"),
        ("openpi", {b"__ndarray__": True}, "dtype 'None'"),
        ("openpi", {b"__npgeneric__": True, b"data": "x", b"dtype": "<f8"}, "number that is str"),
        ("vla-eval", {"__image__": True, "format": "png", "data": b"GIF89a"}, "no picture"),
        ("vla-eval", {"__image__": True, "format": "png", "data": 3}, "data is int"),
        ("vla-eval", {"__ndarray__": True, "data": b"", "dtype": "M8[s]", "shape": [0]}, "dtype"),
        ("groot", {"__ndarray_class__": True, "as_npy": npy_claiming("(1000000000000,)")}, "with 0 bytes"),
        ("groot", {"__ndarray_class__": True, "as_npy": npy_claiming("(1,)", "|O")}, "dtype"),
        ("groot", {"__ndarray_class__": True, "as_npy": npy_claiming("__import__('os')")}, "header"),
        ("groot", {"__ndarray_class__": True, "as_npy": b"\x80\x04N."}, "npy"),
        ("openvla+http", {"__numpy__": "###", "dtype": "<f8", "shape": [1]}, "base64"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(name, message, says):
    raw = json.dumps(message).encode() if name == "openvla+http" else msgpack.packb(message)
    with pytest.raises(ProtocolError, match=says) as caught:
        CODECS[name].decode(raw)
    assert str(caught.value).startswith(name)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("raw", [b"", b"\xc1", b"\x81\xa1", b"[" * 100_000, b"\x91" * 100_000, b"\xdd\xff\xff\xff\xff"])
def test_torn_and_endless_messages_are_refused(name, raw):
    with pytest.raises(ProtocolError, match=name.replace("+", r"\+")):
        CODECS[name].decode(raw)


def test_what_is_too_large_is_neither_sent_nor_read(monkeypatch):
    monkeypatch.setattr(codec, "MAX_BYTES", 2**20)
    with pytest.raises(ProtocolError, match="2 MiB; at most 1 are sent"):
        NATIVE.encode({"a": np.zeros(2**18)})
    with pytest.raises(ProtocolError, match="2 MiB; at most 1 are read"):
        NATIVE.decode(b"\0" * 2**21)


def test_objects_are_not_sent():
    for name, code in CODECS.items():
        with pytest.raises(ProtocolError, match=name.replace("+", r"\+")):
            code.encode({"a": np.array([object()])})
