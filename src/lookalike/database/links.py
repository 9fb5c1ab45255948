"""The connections to one database: opened, kept in a pool, and held by threads that use them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import TypeVar

from lookalike.core.errors import ConnectionFailed
from lookalike.database.cluster import OPEN_SECONDS, Cluster
from lookalike.database.cluster_options import ClusterOptions
from lookalike.database.errors import UnknownVariable
from lookalike.database.link import Dial, Link
from lookalike.database.pool import Pool
from lookalike.database.routing import Routing
from lookalike.database.session import KEEP_WRITES, set_settings
from lookalike.database.url import DatabaseURL

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class _Pin:
    """A connection that one thread has to itself for a while."""

    owner: "Links"
    link: Link
    thread: int


_pins: ContextVar[tuple[_Pin, ...]] = ContextVar("lookalike_pins", default=())
"""The latest last. A context alone is not enough: threads may run in a copy of one."""


class Links:
    """Opens connections, and gives each thread the one that its statements go over.

    In a cluster they lead to the primary, and within `read` to a secondary.

    Attributes:
        max_packet: The server's max_allowed_packet, in bytes; a statement has to be shorter.
    """

    def __init__(
        self,
        url: DatabaseURL,
        *,
        dial: Dial | None,
        pool_size: int,
        pool_timeout: float,
        cluster: ClusterOptions | None,
        notify: Callable[[str], None],
    ) -> None:
        self.url = url
        self._dial = dial
        self._settings: dict[str, int] = {}
        self.cluster = self._routing = None
        make_pool = partial(Pool, size=pool_size, timeout=pool_timeout)
        if url.members:
            self.cluster = Cluster(url, cluster or ClusterOptions(), self._hang_up)
            self._routing = Routing(
                self.cluster, lambda url: make_pool(partial(self._open_at, url)), notify
            )
            make_pool = partial(make_pool, is_current=self.cluster.is_current)
        self._pool = make_pool(self._open)
        try:
            if self.cluster:
                self.cluster.wait()
            with self._taken() as link:  # raises now where the server cannot be reached
                self.max_packet = link.max_packet
        except BaseException:
            self.close()
            raise

    @property
    def url_of_primary(self) -> DatabaseURL:
        """The server that takes writes."""
        return self.cluster.primary() if self.cluster else self.url

    def _open(self) -> Link:
        if self.cluster is None or self._routing is None:
            return self._open_at(self.url)
        self._routing.tell()
        try:
            return self._open_at(self.url_of_primary)
        except ConnectionFailed:
            self.cluster.suspect()
            raise

    def _open_at(self, url: DatabaseURL) -> Link:
        link = Link(url, self._dial, timeout=OPEN_SECONDS if self.cluster else None)
        try:
            self._prepare(link)
            link.wait_for_ever()
        except BaseException:
            link.close()
            raise
        self.max_packet = link.max_packet
        return link

    def _hang_up(self) -> None:
        """End what waits for servers that are lost, or are not the primary any more."""
        if self.cluster and self._routing:
            self._pool.hang_up(self.cluster.is_lost_primary)
            self._routing.hang_up()

    def _prepare(self, link: Link) -> None:
        if self.cluster:
            with suppress(UnknownVariable), link.running(KEEP_WRITES):  # servers without a group
                pass
        if self._settings:
            with link.running(set_settings(self._settings)):
                pass

    def set_sessions(self, settings: Mapping[str, int]) -> None:
        """Set what the sessions of the server's engine need beside; before threads share it."""
        self._settings = dict(settings)
        with self._taken() as link:
            self._prepare(link)

    def close(self) -> None:
        """Close all connections; closing twice is harmless."""
        if self.cluster and self._routing:
            self.cluster.close()
            self._routing.close()
        self._pool.close()

    @property
    def is_held(self) -> bool:
        """Whether the thread keeps a connection to itself: in a transaction or a session."""
        return self._pinned() is not None

    def read(self, action: Callable[[], T]) -> T:
        """Run an action that only reads, where a cluster has a server for it.

        It may run again on another server. Within transactions and sessions it sees theirs.
        """
        if self._routing is None or self.is_held:
            return action()
        return self._routing.read(action, self._pool)

    @contextmanager
    def _taken(self, *, to_read: bool = False) -> Iterator[Link]:
        """Hold the thread's pinned connection, else one of the pool's.

        to_read: of the server of its `read`, if it is in one.
        """
        if (pinned := self._pinned()) is not None:
            yield pinned
        elif to_read and self._routing and (pool := self._routing.pool) is not None:
            with _from(pool) as link:
                yield link
        else:
            with self._from_pool() as link:
                yield link

    @contextmanager
    def _from_pool(self) -> Iterator[Link]:
        try:
            with _from(self._pool) as link:
                yield link
        finally:
            if self._routing:
                self._routing.note_write()

    def _pinned(self) -> Link | None:
        for pin in reversed(_pins.get()):
            if pin.owner is self and pin.thread == get_ident() and pin.link.is_mine:
                return pin.link
        return None

    @contextmanager
    def _pin(self, taken: AbstractContextManager[Link] | None = None) -> Iterator[Link]:
        """Keep one connection for the thread's statements in a `with` block."""
        with taken or self._taken() as link:
            pin = _Pin(self, link, get_ident())
            _pins.set((*_pins.get(), pin))
            try:
                yield link
            finally:
                # Another thread may end a block that its own thread has left.
                _pins.set(tuple(each for each in _pins.get() if each is not pin))

    @contextmanager
    def session(self) -> Iterator[None]:
        """Keep one connection for the thread's statements in a `with` block, then close it.

        For what belongs to a connection: SET, locks by name, temporary tables.
        """
        with self._pin() as link:
            link.is_changed = True
            yield

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Like `session`, with a connection of its own also within another block."""
        with self._pin(self._from_pool()) as link:
            link.is_changed = True
            yield

    @contextmanager
    def beside(self) -> Iterator[Link]:
        """Take a second connection; the thread's statements in the block do not go over it."""
        with self._from_pool() as link:
            yield link


@contextmanager
def _from(pool: Pool) -> Iterator[Link]:
    link = pool.take()
    try:
        yield link
    finally:
        pool.give_back(link)
