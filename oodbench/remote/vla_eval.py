"""`vla-eval://host:port`: the model servers of AllenAI's vla-evaluation-harness.

WebSocket, msgpack; hello in both directions, then one action per observation (the server keeps the rest of its chunk).
What the server declares about its actions and state is taken from it; what it would like to decide about the benchmark
(seeds, horizons, success) is refused.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np

from oodbench.errors import PolicyError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.spec import PolicySpec
from oodbench.remote.client import PATIENCE, TIMEOUT, RemotePolicy, agree, declared, mapping, need, plain
from oodbench.remote.codec import VLA_EVAL, ProtocolError
from oodbench.remote.transport import ServerFailed, WebSocket

PROTOCOL = 1
CAMERAS = {"image": "agentview", "wrist_image": "wrist"}  # as its LIBERO benchmark calls them
WANTS = ("send_wrist_image", "send_state", "quat_no_antipodal")  # what a server may ask of observations
# Its format strings (vla_eval/specs.py), by component: field of PolicySpec, and value.
FORMATS: dict[str, dict[str, tuple[str, str]]] = {
    "position": {"delta_xyz": ("action", "delta-pose"), "absolute_xyz": ("action", "absolute-pose")},
    "rotation": {"axis_angle": ("rotation", "axis-angle"), "euler_xyz": ("rotation", "euler")},
    "gripper": {
        "binary_close_positive": ("gripper", "signed-close"),
        "binary_close_negative": ("gripper", "signed-open"),
        "binary_close_01": ("gripper", "unit-close"),
    },
    "state": {
        "eef_pos3_axisangle3_gripper2": ("state", "pose-fingers-folded"),
        "eef_pos3_euler3_gripper2": ("state", "pose-euler-fingers"),
        "eef_pos3_quat4_gripper1": ("state", "pose-quat-gripper"),
        "joint_positions": ("state", "joints-gripper"),
    },
}
UNSAID = ("raw", "language", "rgb_hwc_uint8")


def connect(
    address: str, preset: str = "libero", timeout: float = TIMEOUT, patience: float = PATIENCE, **conventions: Any
) -> VlaEval:
    """A client of vla-eval's model servers.

    preset, conventions: see `oodbench.policies.spec.PolicySpec`; what the server declares overrides the preset, and
    must agree with what the URI says. timeout: seconds for an answer. patience: seconds to wait for the server.
    """
    need("websockets", "vla-eval://")
    return VlaEval(address, preset, timeout, patience, conventions)


class VlaEval(RemotePolicy):
    def __init__(self, address: str, preset: str, timeout: float, patience: float, conventions: dict[str, Any]) -> None:
        super().__init__()
        self._name = f"vla-eval://{address}"
        self._numbers = itertools.count(1)
        self._said: dict[str, Any] = {}
        self.link: WebSocket = WebSocket(self._name, address, timeout=timeout, patience=patience, greet=self._greet)
        self.link.open()
        found = theirs(self._said, self._name)
        for field, value in found.items():
            if field in conventions:
                agree(self._name, field, value, conventions[field], "take it out of the URI, or correct the server")
        own: dict[str, Any] = {"image_size": 256}  # as its LIBERO benchmark sends them
        wishes = self._said.get("observation_params") or {}
        if wishes.get("send_wrist_image") is False:
            own["cameras"] = ["image"]
        self.spec = declared(self._name, preset, own | found | conventions)
        self._wants_state = bool(wishes.get("send_state", True))
        self._episode = 0

    def begin(self, episode: EpisodeInfo) -> None:
        task = {
            "name": episode.instruction, "suite": "oodbench", "task": episode.task, "episode_idx": self._episode,
            "seed": episode.seed,
        }  # fmt: skip
        self._episode += 1
        self._send("episode_start", {"task": task})

    def act(self, observation: Seen) -> np.ndarray:
        payload: dict[str, Any] = {
            "images": {CAMERAS[camera]: observation[camera] for camera in observation.cameras},
            "task_description": observation.instruction,
        }
        if self._wants_state:
            payload["states"] = payload["state"] = observation.state  # servers read the one or the other
        number = self._send("observation", payload)
        while True:
            kind, reply, about = self._receive()
            if kind == "error" and about in (number, 0):
                raise ServerFailed(f"{self._name}: the server failed: {str(reply.get('error', reply))[:300]}")
            if kind == "action" and about == number:
                break
            if kind == "error" and about == number - 1:  # of the episode's start
                raise ServerFailed(f"{self._name}: the server failed: {str(reply.get('error', reply))[:300]}")
        if "actions" not in reply and "action" not in reply:
            raise ProtocolError(f"{self._name}: an action without 'actions' (it has: {', '.join(reply) or 'nothing'})")
        return reply["actions"] if "actions" in reply else reply["action"]

    def _greet(self) -> None:
        from oodbench import __version__

        self._send("hello", {"harness_version": f"oodbench {__version__}", "protocol_version": PROTOCOL})
        ever = self.link.answered
        kind, said, _ = self._receive(self.link.timeout)
        self.link.answered = ever
        if kind != "hello":
            raise ProtocolError(f"{self._name}: the server answered hello with {kind!r}")
        if said.get("protocol_version") != PROTOCOL:
            raise ProtocolError(
                f"{self._name}: the server speaks version {said.get('protocol_version')} of its protocol, "
                f"oodbench version {PROTOCOL}"
            )
        self._said, self.metadata = said, plain(said)

    def _send(self, kind: str, payload: dict[str, Any]) -> int:
        number = next(self._numbers)
        message = {"type": kind, "payload": payload, "seq": number, "timestamp": time.time()}
        self.link.send(VLA_EVAL.encode(message))
        return number

    def _receive(self, limit: float | None = None) -> tuple[str, dict[str, Any], int]:
        data = self.link.receive(limit)
        message = mapping(VLA_EVAL.decode(data), "a message", self._name)
        missing = {"type", "payload", "seq"} - set(message)
        if missing:
            raise ProtocolError(f"{self._name}: a message without {', '.join(sorted(missing))}")
        number = message["seq"]
        if not isinstance(message["type"], str) or type(number) is not int:
            raise ProtocolError(f"{self._name}: a message of type {message['type']!r} and number {number!r}")
        return message["type"], mapping(message["payload"], "a payload", self._name), number


def theirs(hello: dict[str, Any], name: str) -> dict[str, Any]:
    """Fields of PolicySpec that a server's hello declares. Raises PolicyError for what oodbench does not have, and for
    what is not a policy's to decide."""
    wishes = mapping(hello.get("observation_params") or {}, "observation_params", name)
    for key in wishes:
        if key not in WANTS:
            raise PolicyError(
                f"policy {name}: the server wants to set {key}={wishes[key]!r}; seeds, horizons, success and scenes "
                f"are the benchmark's, and a policy cannot change them (it may ask for {', '.join(WANTS)})"
            )
    found: dict[str, Any] = {}
    for source, components in (("action_spec", ("position", "rotation", "gripper")), ("observation_spec", ("state",))):
        spec = mapping(hello.get(source) or {}, source, name)
        for component in components:
            form = mapping(spec.get(component) or {}, f"{source}.{component}", name).get("format")
            if form is None or form in UNSAID:
                continue
            known = FORMATS[component]
            if form not in known:
                raise PolicyError(
                    f"policy {name}: the server declares {component} as {form!r}; oodbench has {', '.join(known)}"
                )
            field, value = known[form]
            found[field] = value
    if wishes.get("quat_no_antipodal") and found.get("state", "pose-fingers-folded") == "pose-fingers-folded":
        found["state"] = "pose-fingers"
    return found


def declaration(spec: PolicySpec) -> dict[str, Any]:
    """The other way round: what a server of ours says in its hello about a policy's spec."""
    said: dict[str, dict[str, Any]] = {"action_spec": {}, "observation_spec": {}}
    ranges = {"position": ("action_spec", 3), "rotation": ("action_spec", 3), "gripper": ("action_spec", 1)}
    for component, forms in FORMATS.items():
        source, dims = ranges.get(component, ("observation_spec", 8))
        for form, (field, value) in forms.items():
            if getattr(spec, field) in (value, "pose-fingers" if value == "pose-fingers-folded" else None):
                said[source][component] = {"name": component, "dims": dims, "format": form}
    for camera in spec.cameras:
        said["observation_spec"][CAMERAS[camera]] = {"name": "image", "dims": 0, "format": "rgb_hwc_uint8"}
    said["observation_spec"]["language"] = {"name": "language", "dims": 0, "format": "language"}
    wishes = {"send_wrist_image": "wrist_image" in spec.cameras, "send_state": True}
    if spec.state == "pose-fingers":
        wishes["quat_no_antipodal"] = True
    return {**said, "observation_params": wishes}
