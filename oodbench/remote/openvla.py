"""`openvla+http://host:port`: OpenVLA's and OpenVLA-OFT's REST servers (`vla-scripts/deploy.py`).

POST /act with JSON, arrays as json-numpy writes them. OpenVLA takes one picture and answers with one action, OFT takes
two and the state and answers with a chunk. Both answer a failure with the word "error".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oodbench.errors import PolicyError
from oodbench.observation import Seen
from oodbench.remote.client import PATIENCE, TIMEOUT, RemotePolicy, declared
from oodbench.remote.codec import OPENVLA
from oodbench.remote.transport import Http, ServerFailed

FORMS = {"openvla": "bridge", "oft": "libero"}  # and the preset of each


def connect(
    address: str,
    form: str = "openvla",
    preset: str | None = None,
    unnorm_key: str | None = None,
    timeout: float = TIMEOUT,
    patience: float = PATIENCE,
    **conventions: Any,
) -> OpenVla:
    """A client of OpenVLA's REST servers.

    form: openvla (default preset: bridge), or oft (default preset: libero, all 8 actions of a chunk). unnorm_key: the
    data set whose statistics the server is to undo (openvla). Their LIBERO models give the gripper as RLDS does, 1 for
    open, which is the default here. preset, conventions: see `oodbench.policies.spec.PolicySpec`. timeout: seconds for
    an answer. patience: seconds to wait for the server.
    """
    if form not in FORMS:
        raise PolicyError(f"policy openvla+http://{address}: form {form!r}: choose openvla or oft")
    return OpenVla(address, form, preset or FORMS[form], unnorm_key, timeout, patience, conventions)


class OpenVla(RemotePolicy):
    def __init__(
        self,
        address: str,
        form: str,
        preset: str,
        unnorm_key: str | None,
        timeout: float,
        patience: float,
        conventions: dict[str, Any],
    ) -> None:
        super().__init__()
        self._name, self._oft, self._key = f"openvla+http://{address}", form == "oft", unnorm_key
        own: dict[str, Any] = {"gripper": "unit-open", "binary_gripper": True, "resize": "lanczos"}
        if not self._oft:
            own["cameras"] = ["image"]
        self.spec = declared(self._name, preset, own | conventions)
        host, slash, path = address.partition("/")
        url = f"http://{host}/{path if slash else 'act'}"
        self.link: Http = Http(self._name, url, timeout=timeout, patience=patience)
        self.link.open()

    def act(self, observation: Seen) -> np.ndarray:
        self.link.open()
        message: dict[str, Any] = {"instruction": observation.instruction}
        if self._oft:
            message |= {"full_image": observation.image, "state": observation.state}
            if "wrist_image" in observation.cameras:
                message["wrist_image"] = observation.wrist_image
        else:
            message["image"] = observation.image
            if self._key is not None:
                message["unnorm_key"] = self._key
        reply = OPENVLA.decode(self.link.ask(OPENVLA.encode(message)))
        if isinstance(reply, str) and reply != "error":
            reply = OPENVLA.decode(reply)  # servers that encode twice
        if isinstance(reply, str):
            raise ServerFailed(f"{self._name}: the server answered {reply!r}; its log has the traceback")
        if isinstance(reply, list) and reply and all(isinstance(row, np.ndarray) for row in reply):
            reply = np.stack([np.reshape(row, -1) for row in reply]) if len({r.size for r in reply}) == 1 else reply
        return reply
