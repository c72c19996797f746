"""Work that only one thread may do, asked for by others: OpenGL belongs to the thread that plays the worlds."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from oodbench.errors import OodbenchError

T = TypeVar("T")


class GLThread:
    """The thread that makes it, to which others hand what needs OpenGL.

    Attributes:
        wanted: done as soon as there is something to `serve`.
    """

    def __init__(self) -> None:
        self._owner = threading.get_ident()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._closed = False
        self.wanted: Future[None] = Future()

    def call(self, work: Callable[[], T]) -> T:
        """Do `work` in the owner's thread, and wait for what comes of it. May be called from any thread.

        Raises:
            OodbenchError: the owner is no longer there to do it.
            Exception: what `work` raises.
        """
        if threading.get_ident() == self._owner:
            return work()
        result: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise OodbenchError("the episode is over; there is nothing left to look at")
            self._waiting.append((work, result))
            if not self.wanted.done():
                self.wanted.set_result(None)
        return result.result()

    def serve(self) -> None:
        """Do what is waiting. Called by the owner, often."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
            if self.wanted.done():
                self.wanted = Future()
        for work, result in waiting:
            try:
                result.set_result(work())
            except BaseException as error:
                result.set_exception(error)

    def close(self) -> None:
        """Let nobody wait any longer."""
        with self._lock:
            self._closed = True
            for _, result in self._waiting:
                result.set_exception(OodbenchError("the episode is over; there is nothing left to look at"))
            self._waiting.clear()
