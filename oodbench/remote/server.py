"""`oodbench serve`: a policy behind one of three protocols, so that it runs in an environment of its own."""

from __future__ import annotations

import contextlib
import http
import itertools
import json
import logging
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from oodbench import __version__
from oodbench.convention import CONTROL_HZ
from oodbench.errors import OodbenchError, PolicyError, UnknownNameError
from oodbench.observation import Snapshot
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.loading import describe
from oodbench.remote import native, vla_eval
from oodbench.remote.client import mapping, need
from oodbench.remote.codec import MAX_BYTES, NATIVE, OPENPI, VLA_EVAL, ProtocolError
from oodbench.remote.hub import Hub

Pictures = dict[str, np.ndarray]
OPENPI_CAMERAS = {
    "observation/image": "image", "observation/wrist_image": "wrist_image",
    "observation/exterior_image_1_left": "image", "observation/wrist_image_left": "wrist_image",
}  # fmt: skip


@contextlib.contextmanager
def serving(hub: Hub, protocol: str = "oodbench", host: str = "127.0.0.1", port: int = 0) -> Iterator[Any]:
    """A server that listens, for as long as the context lasts; call its `serve_forever()`.

    port: 0 takes a free one; `server.socket.getsockname()[1]` says which. Raises UnknownNameError, or OodbenchError
    when the port cannot be had.
    """
    need("websockets", "oodbench serve")
    from websockets.sync.server import serve

    if protocol not in PROTOCOLS:
        raise UnknownNameError("protocol", protocol, PROTOCOLS)
    speak = PROTOCOLS[protocol]
    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # a client that goes away is nothing to shout about

    def connected(connection: Any) -> None:
        from websockets.exceptions import ConnectionClosed

        session = hub.join()
        try:
            with contextlib.suppress(ConnectionClosed, OSError):
                speak(connection, hub, session)
        finally:
            hub.leave(session)

    try:
        server = serve(
            connected, host, port, process_request=_control, compression=None, max_size=MAX_BYTES, ping_interval=None,
            close_timeout=1.0,
        )  # fmt: skip
    except OSError as error:
        raise OodbenchError(f"cannot listen on {host}:{port}: {error.strerror or error}; give another --port") from None
    try:
        yield server
    finally:
        server.shutdown()
        hub.close()


def _control(connection: Any, request: Any) -> Any:
    """Health checks, where the peers of each protocol look for them."""
    if request.path == "/healthz":
        return connection.respond(http.HTTPStatus.OK, "OK\n")
    if request.path in ("/health", "/config"):
        body: dict[str, Any] = {"status": "ok"} if request.path == "/health" else {"applied": {}, "config": {}}
        response = connection.respond(http.HTTPStatus.OK, json.dumps(body) + "\n")
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        return response
    return None


def _snapshot(pictures: Pictures, state: Any, instruction: Any, hub: Hub) -> Snapshot:
    """What a client sent as an observation, checked against what the policy declares. Raises ProtocolError."""
    size = hub.spec.image_size
    for name, picture in pictures.items():
        if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8 or picture.shape != (size, size, 3):
            found = f"{picture.dtype} {picture.shape}" if isinstance(picture, np.ndarray) else type(picture).__name__
            raise ProtocolError(f"picture {name!r} is {found}; the policy wants uint8 {(size, size, 3)}")
    missing = [camera for camera in hub.spec.cameras if camera not in pictures]
    if missing:
        raise ProtocolError(f"no picture {missing[0]!r}; the policy looks at {', '.join(hub.spec.cameras)}")
    if state is not None and (not isinstance(state, np.ndarray) or state.ndim != 1 or not np.isfinite(state).all()):
        raise ProtocolError("the state is not a vector of finite numbers")
    if not isinstance(instruction, str):
        raise ProtocolError(f"the instruction is {type(instruction).__name__}, not text")
    wanted: Pictures = {camera: pictures[camera] for camera in hub.spec.cameras}
    return Snapshot(wanted, None if state is None else state.astype(np.float32), instruction)


def _unknown_episode(instruction: str) -> EpisodeInfo:
    """For protocols that do not say: no task, no seed."""
    return EpisodeInfo("", instruction, 0, 0, float(CONTROL_HZ))


# --- oodbench ------------------------------------------------------------------------------------------------------


def speak_native(connection: Any, hub: Hub, session: int) -> None:
    """See oodbench/remote/native.py."""
    for data in connection:
        try:
            message = mapping(NATIVE.decode(data), "a message", "oodbench")
            reply = _native_reply(message, hub, session)
        except PolicyError as error:
            reply = {"type": "error", "error": str(error), "fatal": True}
        except Exception as error:
            reply = {"type": "error", "error": f"the policy failed: {describe(error)}", "fatal": False}
        connection.send(NATIVE.encode(reply))


def _native_reply(message: dict[str, Any], hub: Hub, session: int) -> dict[str, Any]:
    match message.get("type"):
        case "hello":
            return {
                "type": "hello", "protocol": native.PROTOCOL, "version": __version__, "policy": hub.loaded.uri,
                "spec": hub.spec.model_dump(mode="json"), "metadata": hub.metadata,
            }  # fmt: skip
        case "reset":
            try:
                info = EpisodeInfo(**mapping(message.get("episode"), "the episode", "oodbench"))
            except TypeError as error:
                raise ProtocolError(f"an episode that cannot be read ({error})") from None
            hub.reset(session, info)
            return {"type": "ready"}
        case "act":
            pictures = mapping(message.get("pictures"), "pictures", "oodbench")
            seen = _snapshot(pictures, message.get("state"), message.get("instruction"), hub)
            return {"type": "actions", "actions": hub.act(session, seen)}
    raise ProtocolError(f"a message of type {str(message.get('type'))[:40]!r}; there are hello, reset and act")


# --- openpi --------------------------------------------------------------------------------------------------------


def speak_openpi(connection: Any, hub: Hub, session: int) -> None:
    """As openpi's own server, see oodbench/remote/openpi.py: a failure is a text message, and the end."""
    connection.send(OPENPI.encode({"policy": hub.loaded.uri, "spec": hub.spec.model_dump(mode="json")}))
    fresh = True
    for data in connection:
        try:
            message = mapping(OPENPI.decode(data), "an observation", "openpi")
            pictures = {camera: message[key] for key, camera in OPENPI_CAMERAS.items() if key in message}
            seen = _snapshot(pictures, _openpi_state(message), message.get("prompt"), hub)
            if fresh:
                hub.reset(session, _unknown_episode(seen.instruction))
                fresh = False
            began = time.monotonic()
            actions = hub.act(session, seen)
            timing = {"infer_ms": 1e3 * (time.monotonic() - began)}
            connection.send(OPENPI.encode({"actions": actions, "server_timing": timing}))
        except OodbenchError as error:
            return _fail_openpi(connection, str(error))
        except Exception:
            return _fail_openpi(connection, traceback.format_exc())
    return None


def _fail_openpi(connection: Any, text: str) -> None:
    connection.send(text)
    connection.close(1011, "see the message before")


def _openpi_state(message: dict[str, Any]) -> Any:
    if "observation/state" in message:
        return message["observation/state"]
    joints, gripper = message.get("observation/joint_position"), message.get("observation/gripper_position")
    if isinstance(joints, np.ndarray) and isinstance(gripper, np.ndarray):
        return np.concatenate([joints.ravel(), gripper.ravel()])
    return None


# --- vla-eval ------------------------------------------------------------------------------------------------------


def speak_vla_eval(connection: Any, hub: Hub, session: int) -> None:
    """As vla-eval's own servers, see oodbench/remote/vla_eval.py: one action an observation, the rest is kept."""
    rest: deque[np.ndarray] = deque()
    numbers = itertools.count(1)

    def say(kind: str, payload: dict[str, Any], about: int | None = None) -> None:
        number = next(numbers) if about is None else about
        message = {"type": kind, "payload": payload, "seq": number, "timestamp": time.time()}
        connection.send(VLA_EVAL.encode(message))

    for data in connection:
        about = 0
        try:
            message = mapping(VLA_EVAL.decode(data), "a message", "vla-eval")
            about = _whole(message.get("seq"))
            payload = mapping(message.get("payload"), "a payload", "vla-eval")
            match message.get("type"):
                case "hello":
                    said = {"harness_version": f"oodbench {__version__}", "protocol_version": vla_eval.PROTOCOL}
                    wishes = vla_eval.declaration(hub.spec)
                    say("hello", {**said, "model_server": hub.loaded.name, "capabilities": {}, **wishes}, about)
                case "episode_start":
                    rest.clear()
                    task = mapping(payload.get("task") or {}, "the task", "vla-eval")
                    seed = _whole(task.get("seed"))
                    info = _unknown_episode(str(task.get("name", "")))
                    hub.reset(
                        session, EpisodeInfo(str(task.get("task", "")), info.instruction, seed, 0, info.control_hz)
                    )
                case "observation":
                    if not rest:
                        rest.extend(hub.act(session, _vla_eval_snapshot(payload, hub))[: hub.spec.execute])
                    say("action", {"actions": rest.popleft()}, about)
                case "episode_end":
                    rest.clear()
                case kind:
                    raise ProtocolError(f"a message of type {str(kind)[:40]!r}")
        except Exception as error:
            text = str(error) if isinstance(error, OodbenchError) else f"the policy failed: {describe(error)}"
            say("error", {"error": text}, about)


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _vla_eval_snapshot(payload: dict[str, Any], hub: Hub) -> Snapshot:
    images = mapping(payload.get("images"), "images", "vla-eval")
    wrist = vla_eval.CAMERAS["wrist_image"]
    first = next((image for name, image in images.items() if name != wrist), None)
    pictures = {"image": first, "wrist_image": images.get(wrist)}
    found: Pictures = {name: picture for name, picture in pictures.items() if picture is not None}
    return _snapshot(found, payload.get("states", payload.get("state")), payload.get("task_description"), hub)


PROTOCOLS: dict[str, Callable[[Any, Hub, int], None]] = {
    "oodbench": speak_native, "openpi": speak_openpi, "vla-eval": speak_vla_eval,
}  # fmt: skip
