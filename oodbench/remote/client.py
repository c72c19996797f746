"""What the clients of all protocols share."""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from oodbench.errors import PolicyError
from oodbench.observation import Seen
from oodbench.policies.base import EpisodeInfo
from oodbench.policies.spec import PolicySpec, Statistics, preset
from oodbench.remote.transport import Link, LostServer

TIMEOUT, PATIENCE = 60.0, 30.0  # seconds for an answer, and for a server to be there
SHOWN = 2000  # characters of what a server says of itself that are kept


class RemotePolicy(ABC):
    """A policy behind a link. Subclasses say how its protocol asks.

    remote: tells oodbench.run.lanes that asking is mostly waiting. metadata: what the server says of itself, for
    run.json.
    """

    remote = True
    spec: PolicySpec
    link: Link

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}

    @abstractmethod
    def act(self, observation: Seen) -> np.ndarray: ...

    def reset(self, episode: EpisodeInfo) -> None:
        """Be connected, waiting for the server if it is away, and tell it of the episode."""
        self.link.open()
        try:
            self.begin(episode)
        except LostServer:  # it went between two episodes, which costs nothing
            self.link.close()
            self.link.open()
            self.begin(episode)

    def begin(self, episode: EpisodeInfo) -> None:  # noqa: B027
        """Tell the server that an episode begins, where the protocol has a way to."""

    def close(self) -> None:
        self.link.close()


def need(module: str, what: str) -> None:
    """Raises PolicyError, with the command that installs it, when a package for `what` is missing."""
    try:
        importlib.import_module(module)
    except ImportError:
        raise PolicyError(f"{what} needs {module}: pip install 'oodbench[remote]'") from None


def declared(name: str, preset_name: str, overrides: dict[str, Any], **defaults: Any) -> PolicySpec:
    """The spec of a remote policy: a preset, the client's defaults, then what the URI says. Raises PolicyError.

    Tuples are written with commas (cameras=image,wrist_image); statistics=FILE and unnorm_key=NAME read OpenVLA's.
    """
    changes = dict(overrides)
    for field in ("cameras", "state_origin"):
        if isinstance(changes.get(field), str):
            changes[field] = [part for part in changes[field].split(",") if part]
    if "statistics" in changes:
        changes["statistics"] = Statistics.read(changes["statistics"], changes.pop("unnorm_key", None))
    base = preset(preset_name)
    fitting = {key: value for key, value in defaults.items() if key not in base.differences()}
    try:
        spec = base.but(**(fitting | changes))
    except PolicyError as error:
        raise PolicyError(f"policy {name}: {error}") from None
    spec.check(name)
    return spec


def agree(name: str, said: str, theirs: Any, ours: Any, way_out: str) -> None:
    """Raises PolicyError, naming both sides, when the server's declaration and the URI's differ."""
    if theirs != ours:
        raise PolicyError(
            f"policy {name}: the server declares {said} {theirs!r}, oodbench was told {ours!r}; {way_out}"
        )


def plain(value: Any) -> Any:
    """What a server says of itself as JSON for run.json: arrays as their shapes, long things cut."""
    text = json.dumps(value, default=lambda thing: f"<{type(thing).__name__} {getattr(thing, 'shape', '')}>".strip())
    return json.loads(text) if len(text) <= SHOWN else {"cut": text[:SHOWN]}


def mapping(value: Any, what: str, name: str) -> dict[str, Any]:
    """`value` if it is a map with text keys. Raises ProtocolError."""
    from oodbench.remote.codec import ProtocolError

    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ProtocolError(f"{name}: {what} is {type(value).__name__}, not a map")
    return value
