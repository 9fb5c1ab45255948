"""A pool of connections to one database, for any number of threads and through forks."""

import os
import threading
import time
import weakref
from collections.abc import Callable

from lookalike.core.errors import ConnectionFailed, InputError
from lookalike.database.errors import PoolExhausted
from lookalike.database.link import Link

SIZE = 32
"""Connections at most: MySQL admits 151 of all clients together by default."""

SMALLEST = 2
"""Training an index reads rows over one connection while it holds a lock over another."""

TIMEOUT_SECONDS = 30.0
"""How long to wait for a connection while all are in use."""


class Pool:
    """Hands out connections, each to one taker at a time, and opens them on demand.

    Idle connections are used again, the latest first; those that the server has closed meanwhile
    are replaced. After a fork the child has an empty pool and the parent's connections stay intact.

    Args:
        open_link: Opens a connection.
        size: The number of connections at most.
        timeout: Seconds to wait for one when all are in use.
        is_current: Whether a connection leads to where a new one would.
    """

    def __init__(
        self,
        open_link: Callable[[], Link],
        *,
        size: int = SIZE,
        timeout: float = TIMEOUT_SECONDS,
        is_current: Callable[[Link], bool] = lambda link: True,
    ) -> None:
        if size < SMALLEST:
            raise InputError(f"pool_size is {size}; give {SMALLEST} or more")
        if not timeout >= 0:
            raise InputError(f"pool_timeout is {timeout:g}; give 0 seconds or more")
        self._open_link = open_link
        self._is_current = is_current
        self._size = size
        self._timeout = timeout
        self._reset()
        _POOLS.add(self)

    def _reset(self) -> None:
        self._returned = threading.Condition()
        self._idle: list[Link] = []
        self._links: set[Link] = set()
        self._n_taken = 0
        self._is_closed = False

    @property
    def n_taken(self) -> int:
        """The number of connections in use."""
        return self._n_taken

    def hang_up(self, is_lost: Callable[[Link], bool]) -> None:
        """End the connections that are lost, also those in use: their users get errors."""
        with self._returned:
            links = list(self._links)
        for link in links:
            if is_lost(link):
                link.hang_up()

    def take(self) -> Link:
        """Return a connection that nobody else has.

        Raises:
            PoolExhausted: All stayed in use for too long.
            ConnectionFailed: The pool is closed, or a new one cannot be opened.
        """
        with self._returned:
            if self._is_closed:
                raise ConnectionFailed("the database was closed: connect again")
            if self._n_taken >= self._size:
                self._wait()
            self._n_taken += 1
            idle = self._idle.pop() if self._idle else None
        try:
            while idle is not None and not (
                idle.is_open and idle.is_quiet() and self._is_current(idle)
            ):
                idle = self._replace(idle)
            return idle or self._opened()
        except BaseException:
            self._release()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + self._timeout
        while self._n_taken >= self._size:
            left = deadline - time.monotonic()
            if left <= 0 or not self._returned.wait(left):
                if self._n_taken < self._size:
                    return
                raise PoolExhausted(
                    f"all {self._size} connections of this program have been in use for "
                    f"{self._timeout:g} seconds: end transactions, sessions and streams sooner, or "
                    "raise connect(pool_size=)"
                )

    def _replace(self, lost: Link) -> Link | None:
        """Close a lost connection, and return another idle one."""
        lost.close()
        with self._returned:
            self._links.discard(lost)
            return self._idle.pop() if self._idle else None

    def _opened(self) -> Link:
        link = self._open_link()
        with self._returned:
            is_closed = self._is_closed
            self._links.add(link)
        if is_closed:
            self.close()
        return link

    def give_back(self, link: Link) -> None:
        """Take a connection back; it is used again if it is open and its session unchanged."""
        if not link.is_mine:  # taken before a fork
            return
        is_reusable = link.is_open and not link.is_changed
        if not is_reusable:
            link.close()
        with self._returned:
            if link in self._links:  # else the pool was closed meanwhile
                if is_reusable:
                    self._idle.append(link)
                else:
                    self._links.discard(link)
        self._release()

    def _release(self) -> None:
        with self._returned:
            self._n_taken -= 1
            self._returned.notify()

    def close(self) -> None:
        """Close all connections, also those in use; closing twice is harmless."""
        with self._returned:
            self._is_closed = True
            links, self._links, self._idle = self._links, set(), []
        for link in links:
            link.close()

    def after_fork(self) -> None:
        """Leave the parent's connections to the parent."""
        is_closed = self._is_closed
        for link in list(self._links):
            link.abandon()
        self._reset()
        self._is_closed = is_closed


_POOLS: "weakref.WeakSet[Pool]" = weakref.WeakSet()


def _after_fork() -> None:
    for pool in list(_POOLS):
        pool.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
