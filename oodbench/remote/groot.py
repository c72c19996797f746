"""`groot://host:port`: NVIDIA Isaac GR00T's inference servers.

ZeroMQ REQ/REP, msgpack with arrays in .npy format. N1.5 takes a flat map of observations and returns one of actions;
N1.6 and later take {"observation", "options"}, nested by modality with a batch dimension, and return [actions, info].
Which keys a model has, its server says (`get_modality_config`).
"""

from __future__ import annotations

import os
from typing import Any, Literal

import numpy as np

from oodbench.errors import PolicyError
from oodbench.policies.base import EpisodeInfo
from oodbench.remote.client import PATIENCE, TIMEOUT, RemotePolicy, declared, mapping, need, plain
from oodbench.remote.codec import GROOT, ProtocolError
from oodbench.remote.transport import ServerFailed, ZeroMQ
from oodbench.sim.observation import Seen

Version = Literal["n1.5", "n1.6"]
AXES = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
LIBERO = {  # what models fine-tuned on LIBERO have, where a server does not say
    "video": ["image", "wrist_image"],
    "state": list(AXES),
    "action": list(AXES),
    "language": ["annotation.human.action.task_description"],
}
TOKEN = "GROOT_API_TOKEN"
PING = GROOT.encode({"endpoint": "ping"})


def connect(
    address: str,
    version: str = "n1.6",
    preset: str = "libero",
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    **conventions: Any,
) -> Groot:
    """A client of GR00T's inference servers.

    version: n1.5, or n1.6 for it and what came after. preset, conventions: see `oodbench.policies.spec.PolicySpec`;
    the gripper is RLDS's (1 open, rounded), pictures have 256 pixels, and 8 actions of each chunk are executed, unless
    they say otherwise. timeout: seconds for an answer. patience: seconds to wait for the server. The token of the
    server's --api-token is taken from the environment variable GROOT_API_TOKEN, so that no run or report shows it.
    """
    need("zmq", "groot://")
    if "token" in conventions:
        raise PolicyError(
            f"policy groot://{address}: give the token by the environment variable {TOKEN}, not as token="
        )
    if version not in ("n1.5", "n1.6"):
        raise PolicyError(f"policy groot://{address}: version {version!r}: choose n1.5, or n1.6 (and later)")
    return Groot(address, version, preset, timeout, patience, conventions)  # type: ignore[arg-type]


class Groot(RemotePolicy):
    def __init__(
        self,
        address: str,
        version: Version,
        preset: str,
        timeout: float,
        patience: float,
        conventions: dict[str, Any],
    ) -> None:
        super().__init__()
        self._name, self._version, self._token = f"groot://{address}", version, os.environ.get(TOKEN)
        own: dict[str, Any] = (
            {"gripper": "unit-open", "binary_gripper": True, "image_size": 256} if preset == "libero" else {}
        )
        self.spec = declared(self._name, preset, own | conventions, execute=8)
        self.link: ZeroMQ = ZeroMQ(self._name, address, timeout=timeout, patience=patience, ping=PING)
        self.link.open()
        self._keys = self._modalities()

    def begin(self, episode: EpisodeInfo) -> None:
        if self._version == "n1.6":
            self._call("reset", {"options": None})

    def act(self, observation: Seen) -> np.ndarray:
        said = self._parts(observation)
        if self._version == "n1.5":
            flat = {f"{kind}.{key}": value[0] for kind in ("video", "state") for key, value in said[kind].items()}
            reply = self._call("get_action", flat | {key: value[0] for key, value in said["language"].items()})
        else:
            reply = self._call("get_action", {"observation": said, "options": None})
            if not isinstance(reply, list) or len(reply) != 2:
                raise ProtocolError(
                    f"{self._name}: N1.6 servers answer [actions, info]; is this an N1.5 (?version=n1.5)?"
                )
            reply = reply[0]
        return self._actions(mapping(reply, "the answer", self._name))

    def _parts(self, observation: Seen) -> dict[str, dict[str, Any]]:
        """The observation by modality: video (B, T, h, w, 3), state (B, T, d), language [[text]]."""
        pictures = (observation.picture(camera) for camera in observation.cameras)
        video = dict(zip(self._keys["video"], pictures, strict=True))
        state: dict[str, np.ndarray] = {axis: observation.state[i : i + 1] for i, axis in enumerate(AXES)}
        state["gripper"] = observation.state[6:]
        return {
            "video": {key: picture[None, None] for key, picture in video.items()},
            "state": {key: state[key][None, None] for key in self._keys["state"]},
            "language": {key: [[observation.instruction]] for key in self._keys["language"]},
        }

    def _actions(self, reply: dict[str, Any]) -> np.ndarray:
        columns = []
        for key in AXES:
            value = reply.get(f"action.{key}", reply.get(key))
            if not isinstance(value, np.ndarray):
                raise ProtocolError(
                    f"{self._name}: an answer without action.{key} (it has: {', '.join(reply) or 'nothing'})"
                )
            columns.append(value.reshape(-1))
        if len({len(column) for column in columns}) != 1:
            lengths = ", ".join(f"{key} {len(column)}" for key, column in zip(AXES, columns, strict=True))
            raise ProtocolError(f"{self._name}: actions of different lengths ({lengths})")
        return np.stack(columns, 1)

    def _modalities(self) -> dict[str, list[str]]:
        """Keys by modality, as the server has them. Raises PolicyError when they are not of an arm with a gripper."""
        try:
            said = self._call("get_modality_config", None)
        except ServerFailed:  # servers before it was added
            said = {}
        self.metadata = {"modality_config": plain(said)}
        keys = {}
        for kind, default in LIBERO.items():
            config = said.get(kind) if isinstance(said, dict) else None
            found = config.get("modality_keys") if isinstance(config, dict) else None
            keys[kind] = [str(key).removeprefix(f"{kind}.") for key in found] if found else default
        if len(keys["video"]) != len(self.spec.cameras):
            raise PolicyError(
                f"policy {self._name}: the model has the cameras {', '.join(keys['video'])}; oodbench would send "
                f"{', '.join(self.spec.cameras)} (cameras=)"
            )
        for kind in ("state", "action"):
            strange = sorted(set(keys[kind]) - set(AXES))
            if strange or (kind == "action" and set(keys[kind]) != set(AXES)):
                raise PolicyError(
                    f"policy {self._name}: the model's {kind} is {', '.join(keys[kind])}; "
                    f"oodbench has {', '.join(AXES)}"
                )
        return keys

    def _call(self, endpoint: str, data: Any) -> Any:
        request: dict[str, Any] = {"endpoint": endpoint}
        if data is not None:
            request["data"] = data
        if self._token:
            request["api_token"] = self._token
        self.link.open()
        reply = GROOT.decode(self.link.ask(GROOT.encode(request)))
        if isinstance(reply, dict) and "error" in reply:
            raise ServerFailed(f"{self._name}: the server failed at {endpoint}: {str(reply['error'])[:300]}")
        return reply
