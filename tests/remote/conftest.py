"""Servers to talk to, made of the real packages where these have one."""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import json_numpy
import msgpack
import numpy as np
import pytest
import websockets.sync.server
import zmq
from openpi_client import msgpack_numpy

from oodbench.policies.base import EpisodeInfo
from oodbench.policies.loading import LoadedPolicy
from oodbench.remote.hub import Hub
from oodbench.remote.server import serving

INFO = EpisodeInfo("put-on", "put the carrot on the plate", 5, 160, 20.0)
Infer = Callable[[dict[str, Any]], Any]


@contextlib.contextmanager
def serve(policy: Any, protocol: str = "oodbench", port: int = 0, **options: Any) -> Iterator[str]:
    """Our own server in a thread, with a policy (or a class of them); gives host:port."""
    make = policy if isinstance(policy, type) else lambda: policy
    with serving(Hub(LoadedPolicy("test", "test", make), **options), protocol, port=port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"


@contextlib.contextmanager
def openpi_server(infer: Infer, metadata: dict[str, Any] | None = None) -> Iterator[str]:
    """As openpi's websocket_policy_server, with the real package's arrays."""

    def handle(connection: Any) -> None:
        connection.send(msgpack_numpy.packb(metadata or {}))
        for data in connection:
            try:
                connection.send(msgpack_numpy.packb(infer(msgpack_numpy.unpackb(data))))
            except Exception as error:
                connection.send(f"Traceback (most recent call last):\n{type(error).__name__}: {error}")
                connection.close(1011)

    with websockets.sync.server.serve(handle, "127.0.0.1", 0, compression=None, max_size=None) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.socket.getsockname()[1]}"
        server.shutdown()


@contextlib.contextmanager
def groot_server(answer: Callable[[str, Any], Any]) -> Iterator[str]:
    """As GR00T's PolicyServer: REP socket, msgpack, arrays by numpy's own save and load."""

    def encode(obj: Any) -> Any:
        if isinstance(obj, np.ndarray):
            file = io.BytesIO()
            np.save(file, obj, allow_pickle=False)
            return {"__ndarray_class__": True, "as_npy": file.getvalue()}
        return obj

    def decode(obj: Any) -> Any:
        return np.load(io.BytesIO(obj["as_npy"]), allow_pickle=False) if "__ndarray_class__" in obj else obj

    socket = zmq.Context.instance().socket(zmq.REP)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            if not socket.poll(50):
                continue
            request = msgpack.unpackb(socket.recv(), object_hook=decode)
            try:
                said = (
                    {"status": "ok"}
                    if request["endpoint"] == "ping"
                    else answer(request["endpoint"], request.get("data"))
                )
            except Exception as error:
                said = {"error": str(error)}
            socket.send(msgpack.packb(said, default=encode))
        socket.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield f"127.0.0.1:{port}"
    stop.set()
    thread.join()


@contextlib.contextmanager
def http_server(answer: Infer) -> Iterator[str]:
    """As OpenVLA's deploy.py: POST /act, json-numpy; a failure is the word error."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                assert self.path == "/act"
                said = json_numpy.dumps(answer(json_numpy.loads(body.decode())))
            except Exception:
                said = json.dumps("error")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def tiny_vla(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the reference VLA with random weights."""
    import sys

    import torch

    sys.path.append(str(Path(__file__).parents[2] / "baselines"))
    from vla.model import VLA, Config

    torch.manual_seed(3)
    words = ("<pad>", "<unk>", "<ask>", "put", "the", "on", "lift")
    path = tmp_path_factory.mktemp("vla") / "tiny.safetensors"
    VLA(Config(width=32, heads=2, encoder_layers=1, trunk_layers=2, vocabulary=words, answers=("a",))).save(path)
    return path
