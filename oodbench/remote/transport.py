"""Talking to a server: connecting with back-off, asking with a time limit, and saying what went wrong.

What can go wrong is told apart by what is to be done. Unreachable: nobody is there, or somebody else is; the run stops,
keeps what it has, and says so. LostServer: it was there and is gone, or does not answer any more; the episode is played
again, once the server is back. ServerFailed: the policy crashed there, which is recorded as it would be here.
ProtocolError: it answers, but not what it should; the run stops.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

from oodbench.errors import OodbenchError, PolicyError
from oodbench.remote.codec import MAX_BYTES, ProtocolError

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between two attempts to connect
OPENING = 5.0  # seconds for a WebSocket to open
FIRST_ANSWER = 5  # times as long as others may a server's first answer take: models compile then


class Unreachable(PolicyError):
    """No server, or not the one that was wanted."""


class LostServer(OodbenchError):
    """The server was there and is gone; not a PolicyError, so that the episode is played again."""


class ServerFailed(OodbenchError):
    """The server says that its policy failed: an error of the episode."""


class Link(Protocol):
    """A connection that can be asked, one question at a time."""

    name: str

    def open(self) -> None:
        """Connect if that is needed. Raises Unreachable after the link's patience."""

    def ask(self, data: bytes) -> bytes | str:
        """Send, and wait for the answer. Raises LostServer, or Unreachable when no answer ever came."""

    def close(self) -> None: ...


def _patiently(attempt: Callable[[], None], name: str, patience: float) -> None:
    """Call `attempt` until it works. Raises Unreachable after `patience` seconds; what else it raises goes through."""
    began, pause = time.monotonic(), FIRST_PAUSE
    while True:
        try:
            return attempt()
        except (OSError, TimeoutError) as error:
            left = began + patience - time.monotonic()
            if left <= 0:
                raise Unreachable(
                    f"{name}: no server answers there ({_words(error)}; tried for {patience:g} s, `patience=`); "
                    "start it, and repeat the command with the same --out to go on"
                ) from None
            time.sleep(min(pause, max(left, 0.0)))
            pause = min(2 * pause, LONGEST_PAUSE)


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it accepts connections and says nothing" if str(error) else "timed out"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


class _Timed:
    """What links share: limits, and whether the server ever answered."""

    def __init__(self, name: str, timeout: float, patience: float) -> None:
        if timeout <= 0 or patience < 0:
            raise PolicyError(f"{name}: timeout={timeout:g} and patience={patience:g} must be positive (seconds)")
        self.name, self.timeout, self.patience = name, timeout, patience
        self.answered = False

    @property
    def limit(self) -> float:
        """Seconds that the next answer may take."""
        return self.timeout if self.answered else FIRST_ANSWER * self.timeout

    def late(self) -> OodbenchError:
        if self.answered:
            return LostServer(f"{self.name}: no answer within {self.timeout:g} s (`timeout=`)")
        return Unreachable(
            f"{self.name}: takes messages and never answered, within {self.limit:g} s (5 x `timeout=`); "
            "does it speak this protocol?"
        )


class WebSocket(_Timed):
    """A WebSocket of binary messages, as openpi, vla-eval and oodbench itself use it.

    greet: called on every new connection, to say and hear what comes first.
    """

    def __init__(
        self,
        name: str,
        address: str,
        *,
        timeout: float,
        patience: float,
        headers: dict[str, str] | None = None,
        greet: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(name, timeout, patience)
        self._url = address if address.startswith(("ws://", "wss://")) else f"ws://{address}"
        self._headers, self._greet = headers, greet
        self._opened = contextlib.ExitStack()
        self._socket: Any = None

    def open(self) -> None:
        from websockets.protocol import State

        if self._socket is not None and self._socket.state is State.OPEN:
            return
        self.close()
        _patiently(self._connect, self.name, self.patience)

    def _connect(self) -> None:
        from websockets.exceptions import InvalidHandshake, InvalidURI, WebSocketException
        from websockets.sync.client import connect

        try:
            opening = connect(
                self._url, compression=None, max_size=MAX_BYTES, ping_interval=None, proxy=None,
                additional_headers=self._headers, open_timeout=min(OPENING, self.timeout), close_timeout=1.0,
            )  # fmt: skip
            self._socket = self._opened.enter_context(opening)
        except InvalidURI:
            raise Unreachable(f"{self.name}: not an address; write host:port") from None
        except (InvalidHandshake, EOFError, AssertionError) as error:  # websockets asserts when a peer hangs up early
            status = getattr(getattr(error, "response", None), "status_code", None)
            if status in (502, 503, 504):  # a gateway whose server is not up yet
                raise ConnectionError(f"HTTP {status}") from None
            said = f"HTTP {status}" if status else str(error) or type(error).__name__
            raise Unreachable(
                f"{self.name}: something else listens there: it does not open a WebSocket ({said})"
            ) from None
        except TimeoutError:
            banner = self._banner()
            if banner:
                raise Unreachable(f"{self.name}: something else listens there: it begins with {banner!r}") from None
            raise
        except WebSocketException as error:
            raise ConnectionError(str(error)) from None
        if self._greet:
            try:
                self._greet()
            except LostServer as error:  # closed while greeting: it may be on its way up, or down
                self.close()
                raise ConnectionError(str(error)) from None

    def _banner(self) -> bytes:
        """What the server says before it is asked anything; a WebSocket server says nothing."""
        parts = urlsplit(self._url)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=1.0) as probe:
                return probe.recv(40)
        except (OSError, ValueError):
            return b""

    def send(self, data: bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            self._socket.send(data)
        except (ConnectionClosed, OSError) as error:
            raise self._gone(error) from None

    def receive(self, limit: float | None = None) -> bytes | str:
        """The next message, within `limit` seconds (None: what the next answer may take)."""
        from websockets.exceptions import ConnectionClosed

        try:
            data = self._socket.recv(timeout=limit or self.limit)
        except TimeoutError:
            self.close()  # a late answer must not be taken for that of the next question
            raise self.late() from None
        except (ConnectionClosed, OSError) as error:
            raise self._gone(error) from None
        self.answered = True
        return data

    def ask(self, data: bytes) -> bytes | str:
        self.send(data)
        return self.receive()

    def _gone(self, error: Exception) -> OodbenchError:
        frame = getattr(error, "rcvd", None) or getattr(error, "sent", None)
        if frame is not None and frame.code == 1009:
            return ProtocolError(f"{self.name}: a message was too large ({frame.reason or 'more than the limit'})")
        reason = f": {frame.code} {frame.reason}".rstrip() if frame is not None else ""
        return LostServer(f"{self.name}: the server closed the connection{reason}")

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._opened.close()
        self._socket = None


class ZeroMQ(_Timed):
    """A ZeroMQ REQ socket, as GR00T's servers want it."""

    def __init__(self, name: str, address: str, *, timeout: float, patience: float, ping: bytes) -> None:
        super().__init__(name, timeout, patience)
        self._address = address if "://" in address else f"tcp://{address}"
        self._ping = ping
        self._socket: Any = None

    def open(self) -> None:
        if self._socket is None:
            _patiently(self._connect, self.name, self.patience)

    def _connect(self) -> None:
        """ZeroMQ connects to anything; only an answer to a ping shows that somebody is there."""
        import zmq

        self._socket = zmq.Context.instance().socket(zmq.REQ)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_BYTES)
        try:
            self._socket.connect(self._address)
        except zmq.ZMQError as error:
            self.close()
            raise Unreachable(f"{self.name}: not an address ({error}); write host:port") from None
        if self._exchange(self._ping, min(self.limit, max(self.patience / 4, 1.0))) is None:
            raise ConnectionError("no answer to a ping")

    def ask(self, data: bytes) -> bytes:
        answer = self._exchange(data, self.limit)
        if answer is None:
            raise self.late()
        return answer

    def _exchange(self, data: bytes, seconds: float) -> bytes | None:
        import zmq

        try:
            self._socket.send(data, zmq.NOBLOCK)
            if self._socket.poll(1000 * seconds, zmq.POLLIN):
                answer = self._socket.recv()
                self.answered = self.answered or data is not self._ping
                return answer
        except zmq.ZMQError as error:
            self.close()
            raise LostServer(f"{self.name}: {error}") from None
        self.close()  # a REQ socket that got no answer cannot ask again
        return None

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class Http(_Timed):
    """One POST a question."""

    def __init__(self, name: str, url: str, *, timeout: float, patience: float) -> None:
        super().__init__(name, timeout, patience)
        self._url = url
        self._seen = False

    def open(self) -> None:
        if not self._seen:
            _patiently(self._knock, self.name, self.patience)
            self._seen = True

    def _knock(self) -> None:
        """Whether somebody listens; what they speak shows at the first question."""
        parts = urlsplit(self._url)
        try:
            where = (parts.hostname or "", parts.port or 80)
        except ValueError:
            raise Unreachable(f"{self.name}: not an address; write host:port") from None
        socket.create_connection(where, timeout=min(10.0, self.timeout)).close()

    def ask(self, data: bytes) -> bytes:
        request = urllib.request.Request(self._url, data, {"Content-Type": "application/json"})
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=self.limit) as response:
                answer = response.read(MAX_BYTES + 1)
        except urllib.error.HTTPError as error:
            raise ProtocolError(f"{self.name}: HTTP {error.code} {error.reason}{_excerpt(error)}") from None
        except http.client.HTTPException as error:
            if isinstance(error, http.client.RemoteDisconnected | http.client.IncompleteRead):
                self._seen = False
                raise LostServer(f"{self.name}: the server closed the connection") from None
            raise Unreachable(
                f"{self.name}: something else listens there: it does not speak HTTP ({type(error).__name__})"
            ) from None
        except (TimeoutError, urllib.error.URLError, OSError) as error:
            self._seen = False
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise self.late() from None
            raise LostServer(f"{self.name}: {_words(reason) if isinstance(reason, Exception) else reason}") from None
        self.answered = True
        return answer

    def close(self) -> None:
        self._seen = False


def _excerpt(error: urllib.error.HTTPError) -> str:
    with contextlib.suppress(Exception):
        text = error.read(300).decode("utf-8", "replace").strip()
        return f": {text}" if text else ""
    return ""
