"""Send the searches of one program to the secondaries of a cluster, and the rest to its primary."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from lookalike.database.cluster import Cluster
from lookalike.database.errors import (
    ConnectionLost,
    MissingTable,
    Unavailable,
    UnknownDatabase,
)
from lookalike.database.link import Link
from lookalike.database.pool import Pool
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement

T = TypeVar("T")

_EXECUTED = Statement("SELECT @@GLOBAL.gtid_executed")


class Routing:
    """Chooses the server of each search.

    Args:
        cluster: The servers.
        make_pool: Makes the connections to one secondary.
        notify: Called with one line when another server answers than before.
    """

    def __init__(
        self,
        cluster: Cluster,
        make_pool: Callable[[DatabaseURL], Pool],
        notify: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._pools = {url: make_pool(url) for url in cluster.url.members}
        self._notify = notify
        self._thread = threading.local()
        self._writes = _Writes()

    @property
    def pool(self) -> Pool | None:
        """The connections that this thread's search uses; None for those to the primary."""
        return getattr(self._thread, "pool", None)

    def note_write(self) -> None:
        """Remember that something may have been committed on the primary."""
        self._writes.note()

    def tell(self) -> None:
        """Tell what has changed in the cluster."""
        for line in self._cluster.news():
            self._notify(line)

    def read(self, action: Callable[[], T], primary: Pool) -> T:
        """Run an action that only reads, on a secondary or else on the primary.

        One that loses its server runs again on another.
        """
        if self.pool is not None:  # part of an action
            return action()
        tried: set[DatabaseURL] = set()
        while url := self._cluster.reader(tried, lambda url: self._pools[url].n_taken):
            self.tell()
            tried.add(url)
            try:
                if self._has_writes(url, primary):
                    with self._use(self._pools[url]):
                        return action()
            except (ConnectionLost, Unavailable) as error:
                self._cluster.suspect(url, error)
            except (MissingTable, UnknownDatabase):  # created a moment ago, perhaps
                break
        self.tell()
        return action()

    @contextmanager
    def _use(self, pool: Pool) -> Iterator[None]:
        self._thread.pool = pool
        try:
            yield
        finally:
            self._thread.pool = None

    def _has_writes(self, url: DatabaseURL, primary: Pool) -> bool:
        """Wait until a secondary has this program's own writes, if searches are to see them."""
        options = self._cluster.options
        if not options.read_your_writes:
            return True
        number, gtids = self._writes.to_wait_for(lambda: str(_value(primary, _EXECUTED)))
        if self._writes.seen.get(url, 0) >= number:
            return True
        wait = Statement("SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, %s)", (gtids, options.max_lag))
        if _value(self._pools[url], wait) != 0:
            self._notify(
                f"{url.address} has not got this program's writes: another server answers."
            )
            return False
        self._writes.seen[url] = number
        return True

    def hang_up(self) -> None:
        """End the searches that wait for a server that is lost."""
        for pool in self._pools.values():
            pool.hang_up(self._cluster.is_lost)

    def close(self) -> None:
        """Close all connections to secondaries."""
        for pool in self._pools.values():
            pool.close()


class _Writes:
    """This program's writes, numbered, and the servers that are known to have them.

    seen: the number up to which a server has them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = self._asked = 0
        self._gtids = ""
        self.seen: dict[DatabaseURL, int] = {}

    def note(self) -> None:
        with self._lock:
            self._last += 1

    def to_wait_for(self, ask: Callable[[], str]) -> tuple[int, str]:
        """Return the number of the last write, and the transactions that contain it."""
        with self._lock:
            last, asked, gtids = self._last, self._asked, self._gtids
        if last > asked:
            gtids = ask()  # after the number was read, so that it contains that write
            with self._lock:
                if last > self._asked:
                    self._asked, self._gtids = last, gtids
        return last, gtids


def _value(pool: Pool, statement: Statement) -> object:
    link: Link = pool.take()
    try:
        with link.running(statement) as cursor:
            return cursor.fetchone()[0]
    finally:
        pool.give_back(link)
