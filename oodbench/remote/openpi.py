"""`openpi://host:port`: pi0, pi0.5 and whatever else openpi's policy server serves.

WebSocket, msgpack; the server speaks first (its metadata), then answers every observation with a chunk. The protocol
knows no episodes: a connection is one, so that servers which remember can tell. A text message is a traceback.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo
from oodbench.remote.client import PATIENCE, TIMEOUT, RemotePolicy, declared, mapping, need, plain
from oodbench.remote.codec import OPENPI, ProtocolError
from oodbench.remote.transport import ServerFailed, WebSocket

KEY = "OPENPI_API_KEY"


def connect(
    address: str, preset: str = "libero", timeout: float = TIMEOUT, patience: float = PATIENCE, **conventions: Any
) -> OpenPi:
    """A client of openpi's policy server.

    preset, conventions: see `oodbench.policies.spec.PolicySpec`; observation keys are DROID's for the preset droid,
    LIBERO's for all others. 5 actions of each chunk are executed unless `execute` says otherwise, as in openpi's
    LIBERO evaluation. timeout: seconds for an answer (five times as long for the first). patience: seconds to wait for
    the server. An API key is taken from the environment variable OPENPI_API_KEY.
    """
    need("websockets", "openpi://")
    return OpenPi(address, preset, timeout, patience, conventions)


class OpenPi(RemotePolicy):
    def __init__(self, address: str, preset: str, timeout: float, patience: float, conventions: dict[str, Any]) -> None:
        super().__init__()
        name = f"openpi://{address}"
        self.spec = declared(name, preset, conventions, execute=5)
        self._droid = preset == "droid"
        self._used = False
        key = os.environ.get(KEY)
        headers = {"Authorization": f"Api-Key {key}"} if key else None
        self.link: WebSocket = WebSocket(
            name, address, timeout=timeout, patience=patience, headers=headers, greet=self._greet
        )
        self.link.open()

    def begin(self, episode: EpisodeInfo) -> None:
        if self._used:  # an episode was played over this connection
            self.link.close()
            self.link.open()
        self._used = True

    def act(self, observation: Seen) -> np.ndarray:
        answer = self.link.ask(OPENPI.encode(self._message(observation)))
        if isinstance(answer, str):
            last = answer.strip().splitlines()[-1] if answer.strip() else "nothing"
            raise ServerFailed(f"{self.link.name}: the server failed: {last} (its log has the traceback)")
        reply = mapping(OPENPI.decode(answer), "the answer", self.link.name)
        if "actions" not in reply:
            raise ProtocolError(
                f"{self.link.name}: an answer without 'actions' (it has: {', '.join(reply) or 'nothing'})"
            )
        return reply["actions"]

    def _message(self, observation: Seen) -> dict[str, Any]:
        first, wrist = "observation/image", "observation/wrist_image"
        parts: dict[str, Any] = {"observation/state": observation.state}
        if self._droid:
            first, wrist = "observation/exterior_image_1_left", "observation/wrist_image_left"
            parts = {
                "observation/joint_position": observation.state[:7],
                "observation/gripper_position": observation.state[7:],
            }
        pictures = {"image": first, "wrist_image": wrist}
        return (
            {pictures[camera]: observation[camera] for camera in observation.cameras}
            | parts
            | {"prompt": observation.instruction}
        )

    def _greet(self) -> None:
        ever = self.link.answered  # a greeting is no answer: a model that was never asked may still have to compile
        said = self.link.receive(self.link.timeout)
        self.link.answered = ever
        if isinstance(said, str):
            raise ProtocolError(f"{self.link.name}: the server began with text, not with its metadata")
        self.metadata = plain(mapping(OPENPI.decode(said), "the metadata", self.link.name))
