"""SQL to server: statements, transactions and streams, from any number of threads."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

from lookalike.core.errors import DatabaseError, InputError
from lookalike.database.cluster_options import ClusterOptions
from lookalike.database.effects import Effect, effect_of
from lookalike.database.errors import ShardLost
from lookalike.database.link import Dial
from lookalike.database.links import Links
from lookalike.database.pool import SIZE, TIMEOUT_SECONDS
from lookalike.database.session import (
    ALTER_WAIT_SECONDS,
    LOCK_WAIT_SECONDS,
    set_lock_wait,
)
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement
from lookalike.dialects.statement_size import most_bytes

Tracer = Callable[[Statement], None]
Row = tuple[Any, ...]
T = TypeVar("T")
F = TypeVar("F", bound=Callable[[], None])
E = TypeVar("E", bound=Callable[[bool | None], None])


class Connection(Links):
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
        named: Returns an error with the name of the shard that is lost.
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
        self._tracer = tracer
        self._alter_wait = alter_wait
        self.named: Callable[[ShardLost], ShardLost] = lambda error: error
        super().__init__(
            url,
            dial=dial,
            pool_size=pool_size,
            pool_timeout=pool_timeout,
            cluster=cluster,
            notify=notify,
        )

    def query(self, statement: Statement) -> list[Row]:
        """Run a statement and return all its rows."""
        return self.table(statement)[1]

    def value(self, statement: Statement) -> Any:
        """Run a statement and return the first value of its first row, None without rows."""
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def table(self, statement: Statement) -> tuple[list[str], list[Row]]:
        """Run a statement and return its column names and rows; no names where it has no result."""
        with suppress(ShardLost):
            # A shard that was started again has closed all its connections: then ask once more.
            if not self.is_held and statement.sql.startswith(("SELECT", "SET STATEMENT")):
                return self._read(statement, names_shards=False)
        return self._read(statement)

    def _read(
        self, statement: Statement, *, names_shards: bool = True
    ) -> tuple[list[str], list[Row]]:
        with self._run(statement, to_read=True, names_shards=names_shards) as cursor:
            names = [column[0] for column in cursor.description or ()]
            return names, list(cursor.fetchall())

    def query_beside(self, statement: Statement) -> list[Row]:
        """Run a statement over another connection than the thread's own, and return its rows."""
        with self.beside() as link, link.running(statement) as cursor:
            return list(cursor.fetchall())

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

    def at_end(self, key: tuple[str, str], make: Callable[[], E]) -> E:
        """Return what the thread's transaction calls when it has ended, as `at_commit` does.

        It is called with True where the transaction was committed, False where it was rolled back,
        and None where that is not known; it raises nothing.
        """
        link = self._pinned()
        if link is None or link.at_commit is None:
            raise RuntimeError("this belongs into a transaction")
        if key not in link.at_end:
            link.at_end[key] = make()
        return cast(E, link.at_end[key])

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
        self,
        statement: Statement,
        *,
        is_stream: bool = False,
        to_read: bool = False,
        names_shards: bool = True,
    ) -> Iterator[Any]:
        if self._tracer:
            self._tracer(statement)
        try:
            with (
                self._taken(to_read=to_read) as link,
                link.running(statement, is_stream=is_stream) as cursor,
            ):
                yield cursor
        except ShardLost as error:
            raise (self.named(error) if names_shards else error) from error
