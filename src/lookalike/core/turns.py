"""Threads that take turns at what only one of them can use at a time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.core.errors import InputError


class Turns:
    """A lock that a thread may take again while it has it.

    Unlike threading.RLock it may be given back by another thread: an iterator that one thread has
    begun and left is closed by whichever thread cleans up.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._depth = 0
        self._is_streaming = False

    @contextmanager
    def taken(self, *, in_stream: bool = False) -> Iterator[None]:
        """Hold the turn in a `with` block, after waiting for other threads.

        in_stream: also where the thread's own stream is open. Otherwise that raises InputError.
        """
        self._take(in_stream=in_stream)
        try:
            yield
        finally:
            self._give_back()

    @contextmanager
    def taken_for_stream(self) -> Iterator[None]:
        """Hold the turn while a stream is open; the thread can do nothing else with it."""
        with self.taken():
            self._is_streaming = True
            try:
                yield
            finally:
                self._is_streaming = False

    def _take(self, *, in_stream: bool) -> None:
        me = threading.get_ident()
        with self._changed:
            while self._owner not in (None, me):
                self._changed.wait()
            if self._is_streaming and not in_stream:
                raise InputError(
                    "this connection is still reading rows in this thread: read them all or close "
                    "their iterator first, or use another connection"
                )
            self._owner = me
            self._depth += 1

    def _give_back(self) -> None:
        with self._changed:
            self._depth -= 1
            if not self._depth:
                self._owner = None
                self._changed.notify()
