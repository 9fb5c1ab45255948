"""SQL to server: statements, transactions and streams, from any number of threads."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from threading import get_ident
from typing import Any, TypeVar, cast

from lookalike.core.errors import ConnectionFailed, DatabaseError, InputError
from lookalike.database.cluster import OPEN_SECONDS, Cluster
from lookalike.database.cluster_options import ClusterOptions
from lookalike.database.effects import Effect, effect_of
from lookalike.database.errors import UnknownVariable
from lookalike.database.link import Dial, Link
from lookalike.database.pool import SIZE, TIMEOUT_SECONDS, Pool
from lookalike.database.routing import Routing
from lookalike.database.session import (
    ALTER_WAIT_SECONDS,
    KEEP_WRITES,
    LOCK_WAIT_SECONDS,
    set_lock_wait,
    set_settings,
)
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement
from lookalike.dialects.statement_size import most_bytes

Tracer = Callable[[Statement], None]
Row = tuple[Any, ...]
T = TypeVar("T")
F = TypeVar("F", bound=Callable[[], None])


@dataclass(frozen=True, eq=False)
class _Pin:
    """A connection that one thread has to itself for a while."""

    owner: "Connection"
    link: Link
    thread: int


_pins: ContextVar[tuple[_Pin, ...]] = ContextVar("lookalike_pins", default=())
"""The latest last. A context alone is not enough: threads may run in a copy of one."""


class Connection:
    """The way to one database, safe to share: statements of several threads run side by side.

    In a cluster statements go to the primary, and those of `read` to a secondary.

    Each statement takes a connection of a pool. Transactions and sessions keep one to themselves:
    the thread's statements in their block go over it. Lost connections are replaced.

    A VECTOR comes back as an array of shape (dim,), float32, and an array may be bound as one.

    Args:
        url: Where the database is.
        tracer: Called with every statement before it runs, in the thread that runs it.
        dial: Opens the socket, where it must be checked who listens there.
        pool_size: The number of connections at most.
        pool_timeout: Seconds to wait for a connection while all are in use.
        alter_wait: Seconds that a statement that alters a table waits for others' transactions.
        cluster: How a cluster is used, where the URL names one.
        notify: Called with one line when the servers of a cluster change their roles.

    Attributes:
        max_packet: The server's max_allowed_packet, in bytes; a statement has to be shorter.
    """

    def __init__(
        self,
        url: DatabaseURL,
        *,
        tracer: Tracer | None = None,
        dial: Dial | None = None,
        pool_size: int = SIZE,
        pool_timeout: float = TIMEOUT_SECONDS,
        alter_wait: int = ALTER_WAIT_SECONDS,
        cluster: ClusterOptions | None = None,
        notify: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.url = url
        self._tracer = tracer
        self._dial = dial
        self._alter_wait = alter_wait
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

    def query(self, statement: Statement) -> list[Row]:
        """Run a statement and return all its rows."""
        return self.table(statement)[1]

    def value(self, statement: Statement) -> Any:
        """Run a statement and return the first value of its first row, None without rows."""
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def table(self, statement: Statement) -> tuple[list[str], list[Row]]:
        """Run a statement and return its column names and rows; no names where it has no result."""
        with self._run(statement, to_read=True) as cursor:
            names = [column[0] for column in cursor.description or ()]
            return names, list(cursor.fetchall())

    def table_of_any(self, statement: Statement) -> tuple[list[str], list[Row]]:
        """Run a statement of the user's own like `table`; nothing of it stays on a connection.

        Raises InputError for one that does nothing else, outside sessions and transactions.
        """
        effect = effect_of(statement.sql)
        if effect is Effect.NONE:
            return self.table(statement)
        if effect is Effect.ONLY and self._pinned() is None:
            raise InputError(
                f"{' '.join(statement.sql.split())[:60]!r} has an effect on its connection alone, "
                "and the next statement may run on another one: run both in `with db.session():`"
            )
        with self._pin() as link:
            link.is_changed = True
            return self.table(statement)

    def execute(self, statement: Statement) -> int:
        """Run a statement and return how many rows it changed."""
        with self._run(statement) as cursor:
            return int(cursor.rowcount)

    def alter(self, statement: Statement) -> None:
        """Run a statement that alters a table, without holding up its users for long."""
        with self.lock_wait(self._alter_wait):
            self.execute(statement)

    def insert(self, statement: Statement) -> int:
        """Run an INSERT and return the first id that it made."""
        with self._run(statement) as cursor:
            return int(cursor.lastrowid)

    def stream(self, statement: Statement, *, batch: int) -> Generator[list[Row], None, None]:
        """Run a statement and yield its rows as they arrive, in lists of at most `batch`.

        It keeps a connection until its end; one that is left is closed. In a transaction or session
        other statements raise InputError until then.
        """
        with self._run(statement, is_stream=True, to_read=True) as cursor:
            while rows := cursor.fetchmany(batch):
                yield list(rows)

    def parts(
        self, items: Sequence[T], make: Callable[[Sequence[T]], Statement]
    ) -> Iterator[Sequence[T]]:
        """Cut items into parts, in their order, whose statements the server takes.

        make: makes the statement of a part. One item alone is a part however large it is.
        """
        waiting = [items] if items else []
        while waiting:
            part = waiting.pop()
            if len(part) > 1 and most_bytes(make(part)) + 2 > self.max_packet:
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
            else:
                yield part

    def query_parts(
        self, items: Sequence[T], make: Callable[[Sequence[T]], Statement]
    ) -> list[Row]:
        """Run the statement of each of the items' parts, and return all rows."""
        return [row for part in self.parts(items, make) for row in self.query(make(part))]

    def execute_parts(self, items: Sequence[T], make: Callable[[Sequence[T]], Statement]) -> int:
        """Run the statement of each of the items' parts, and return how many rows changed.

        In a transaction of the caller's, where all or none are to be done.
        """
        return sum(self.execute(make(part)) for part in self.parts(items, make))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block's statements, or on any exception none."""
        with self._pin() as link, link.transaction():
            yield

    def at_commit(self, key: tuple[str, str], make: Callable[[], F]) -> F:
        """Return what the thread's transaction calls last, before it commits.

        key: what it is about; several are called in the order of their keys. make: makes it, on the
        first use of the key in the transaction.
        """
        link = self._pinned()
        if link is None or link.at_commit is None:
            raise RuntimeError("this belongs into a transaction")
        finish = link.at_commit.get(key)
        if finish is None:
            finish = link.at_commit[key] = make()
        return cast(F, finish)

    @contextmanager
    def lock_wait(self, seconds: int) -> Iterator[None]:
        """Have the block's statements wait no longer for locks on whole tables.

        One that waits in vain raises LockTimeout.
        """
        with self._pin() as link:
            self.execute(set_lock_wait(seconds))
            try:
                yield
            finally:
                if link.is_open:  # another session begins with the usual time
                    self.execute(set_lock_wait(LOCK_WAIT_SECONDS))

    @contextmanager
    def named_lock(self, lock: Statement, unlock: Statement) -> Iterator[bool]:
        """Hold a lock of the server's by name in the block; False where somebody else has it.

        The block's statements go over the connection that holds it: they fail if it is lost.
        Somebody else is also an outer block, to which the server would give it again.
        """
        with self._pin() as link:
            if unlock in link.locks or not self.value(lock):
                yield False
                return
            link.locks.add(unlock)
            try:
                yield True
            finally:
                link.locks.discard(unlock)
                try:
                    self.query(unlock)
                except DatabaseError:  # a lost connection has let go of the lock
                    link.is_changed = True

    @contextmanager
    def _run(
        self, statement: Statement, *, is_stream: bool = False, to_read: bool = False
    ) -> Iterator[Any]:
        if self._tracer:
            self._tracer(statement)
        with (
            self._taken(to_read=to_read) as link,
            link.running(statement, is_stream=is_stream) as cursor,
        ):
            yield cursor


@contextmanager
def _from(pool: Pool) -> Iterator[Link]:
    link = pool.take()
    try:
        yield link
    finally:
        pool.give_back(link)
