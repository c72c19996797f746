"""`oodbench://host:port`: a policy behind `oodbench serve`, with nothing lost on the way.

WebSocket, msgpack, a connection an episode at a time:

    hello {protocol}              -> hello {protocol, policy, spec, metadata}
    reset {episode}               -> ready {}
    act   {pictures, state, instruction} -> actions {actions}
                                  -> error {error, fatal} instead of any of these

The policy is told the episode's own seed. Pictures go raw, actions come with the precision that the policy gave them.
The server gathers the observations of all its connections into batches for a policy that has `act_batch`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from oodbench.errors import PolicyError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.spec import PolicySpec
from oodbench.remote.client import PATIENCE, TIMEOUT, RemotePolicy, mapping, need
from oodbench.remote.codec import NATIVE, ProtocolError
from oodbench.remote.transport import ServerFailed, WebSocket

PROTOCOL = 1


def connect(address: str, timeout: float = TIMEOUT, patience: float = PATIENCE, execute: int | None = None) -> Native:
    """A client of `oodbench serve`.

    The conventions are those that the policy declares there. execute: actions of each chunk that are executed. timeout:
    seconds for an answer (five times as long for the first). patience: seconds to wait for the server.
    """
    need("websockets", "oodbench://")
    return Native(address, timeout, patience, execute)


class Native(RemotePolicy):
    def __init__(self, address: str, timeout: float, patience: float, execute: int | None) -> None:
        super().__init__()
        self._name = f"oodbench://{address}"
        self._said: dict[str, Any] = {}
        self.link: WebSocket = WebSocket(self._name, address, timeout=timeout, patience=patience, greet=self._greet)
        self.link.open()
        self.spec = _spec(self._said.get("spec"), self._name)
        if execute is not None:
            self.spec = self.spec.but(execute=execute)
        self.metadata = {
            "policy": str(self._said.get("policy")),
            **mapping(self._said.get("metadata", {}), "metadata", self._name),
        }

    def begin(self, episode: EpisodeInfo) -> None:
        self._say("reset", "ready", episode=asdict(episode))

    def act(self, observation: Seen) -> np.ndarray:
        pictures = {camera: observation[camera] for camera in observation.cameras}
        reply = self._say(
            "act", "actions", pictures=pictures, state=observation.state, instruction=observation.instruction
        )
        return reply["actions"]

    def _greet(self) -> None:
        ever = self.link.answered
        self._said = self._say("hello", "hello", limit=self.link.timeout, protocol=PROTOCOL)
        self.link.answered = ever
        if self._said.get("protocol") != PROTOCOL:
            raise ProtocolError(
                f"{self._name}: the server speaks version {self._said.get('protocol')!r} of the protocol, "
                f"this oodbench version {PROTOCOL}"
            )

    def _say(self, kind: str, expected: str, limit: float | None = None, **content: Any) -> dict[str, Any]:
        self.link.send(NATIVE.encode({"type": kind, **content}))
        reply = mapping(NATIVE.decode(self.link.receive(limit)), "an answer", self._name)
        if reply.get("type") == "error":
            error = PolicyError if reply.get("fatal", True) else ServerFailed
            raise error(f"{self._name}: {str(reply.get('error'))[:500]}")
        if reply.get("type") != expected:
            raise ProtocolError(
                f"{self._name}: answered {kind!r} with {str(reply.get('type'))[:40]!r}, not {expected!r}"
            )
        if expected == "actions" and "actions" not in reply:
            raise ProtocolError(f"{self._name}: an answer without actions")
        return reply


def _spec(declared: Any, name: str) -> PolicySpec:
    """The spec that a server declares. Raises PolicyError for fields that are not a policy's to decide."""
    fields = mapping(declared, "the spec", name)
    strange = sorted(set(fields) - set(PolicySpec.model_fields))
    if strange:
        raise PolicyError(
            f"policy {name}: the server declares {', '.join(strange)}, which is not a policy's to decide, or comes "
            "from another version of oodbench"
        )
    if fields.get("privileged"):
        raise PolicyError(f"policy {name}: the server declares itself privileged; it has no access to the simulator")
    spec = PolicySpec(**fields)
    spec.check(name)
    return spec
