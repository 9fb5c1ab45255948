"""SQL to server: one connection, its statements, transactions and errors."""

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import numpy as np
import pymysql
from pymysql.connections import TEXT_TYPES
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from lookalike.core.errors import (
    ConnectionFailed,
    DatabaseError,
    InputError,
    LookalikeError,
    UnsupportedServer,
)
from lookalike.core.turns import Turns
from lookalike.core.vectors import pack
from lookalike.database.errors import UnknownVariable, too_large, translated
from lookalike.database.session import (
    ALTER_WAIT_SECONDS,
    COLLATION,
    LOCK_WAIT_SECONDS,
    SMALLEST_PACKET,
    differing,
    read_session,
    set_lock_wait,
    set_session,
)
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement
from lookalike.dialects.statement_size import most_bytes

Tracer = Callable[[Statement], None]
Dial = Callable[[], socket.socket]
Row = tuple[Any, ...]
T = TypeVar("T")

# PyMySQL does not know the type VECTOR and would decode its bytes as ASCII digits.
_VECTOR = 242
TEXT_TYPES.add(_VECTOR)
_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    _VECTOR: lambda value: np.frombuffer(value, "<f4"),
    np.ndarray: lambda value, _: f"x'{pack(value).hex()}'",
}


class _Stream(SSCursor):
    """The driver's cursor, but that it does not go on to read from a connection that is lost."""

    def close(self) -> None:
        self._leave_if_lost()
        try:
            super().close()
        finally:
            self._leave_if_lost()

    def _leave_if_lost(self) -> None:
        connection, result = self.connection, getattr(self, "_result", None)
        if result is not None and connection is not None and not connection.open:
            result.unbuffered_active = False


class Connection:
    """One connection to a MySQL server, outside transactions in autocommit mode.

    Its session has the settings of `session`, whatever the server's defaults are. max_packet: the
    server's max_allowed_packet, in bytes; a statement has to be shorter.

    A VECTOR comes back as an array of shape (dim,), float32, and an array may be bound as one.
    tracer: called with every statement before it runs. dial: opens the socket, where who listens
    there has to be made sure of.

    Threads take turns: one has the connection for a statement, for a transaction or for a stream,
    while the others wait. For work that is to go on side by side there is `open_another`.
    """

    def __init__(
        self, url: DatabaseURL, *, tracer: Tracer | None = None, dial: Dial | None = None
    ) -> None:
        self.url = url
        self.max_packet = SMALLEST_PACKET
        self._tracer = tracer
        self._dial = dial
        self._turns = Turns()
        self._named_locks: set[Statement] = set()
        self.reopen()

    def reopen(self) -> None:
        """Connect again after the connection is lost or closed."""
        with self._turns.taken():
            self._connect()

    def _connect(self) -> None:
        arguments = self.url.driver_arguments()
        # As other clients send it; the driver would take Latin-1.
        arguments["password"] = self.url.password.encode()
        try:
            driver = pymysql.connect(
                **arguments,
                charset="utf8mb4",
                collation=COLLATION,
                autocommit=None,  # the driver would go by a flag that servers get wrong
                conv=_CONVERSIONS,
                defer_connect=True,
            )
            if self._dial:
                # As PyMySQL takes every unix socket that it opens itself; its types do not know it.
                vars(driver)["_secure"] = True
            driver.connect(self._dial() if self._dial else None)
            self._driver = driver
        except LookalikeError:  # of whoever dials
            raise
        except Exception as error:
            # Whatever the driver does not understand is no MySQL, or one that has just died.
            speaks = bool(error.args) and isinstance(error.args[0], int)
            raise translated(error, self.url, is_lost=not speaks) from error
        try:
            self._begin_session()
        except BaseException:
            self.close()
            raise

    def _begin_session(self) -> None:
        """Set what every statement relies on, and see that it holds."""
        try:
            with self._errors(), self._driver.cursor() as cursor:
                cursor.execute(*set_session())
                cursor.execute(read_session().sql)
                values: Row = cursor.fetchone() or ()
        except UnknownVariable as error:
            version = self.value(Statement("SELECT VERSION()"))
            raise UnsupportedServer(
                f"{self.url} is version {version}, which lacks a setting of MySQL's sessions "
                f"({error}): use MySQL 9.0 or newer, or leave out the URL for the private MySQL",
                code=error.code,
            ) from error
        if (found := differing(values)) is not None:
            raise ConnectionFailed(
                f"{self.url} does not keep the settings of a session: {found}; "
                "have lookalike connect to the server itself, not through a proxy that changes it"
            )
        self.max_packet = int(values[-1])
        if self.max_packet < SMALLEST_PACKET:
            raise ConnectionFailed(
                f"{self.url} has max_allowed_packet = {self.max_packet}, too little for an "
                f"embedding: have an administrator SET PERSIST max_allowed_packet = 67108864"
            )

    @property
    def is_open(self) -> bool:
        """Whether the connection is not known to be lost or closed."""
        return bool(self._driver.open)

    def open_another(self) -> "Connection":
        """Open another connection to the same database, for another thread."""
        return Connection(self.url, tracer=self._tracer, dial=self._dial)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
        with self._turns.taken(in_stream=True):
            if self._driver.open:
                self._driver.close()

    def query(self, statement: Statement) -> list[Row]:
        """Run a statement and return all its rows."""
        return self.table(statement)[1]

    def value(self, statement: Statement) -> Any:
        """Run a statement and return the first value of its first row, None without rows."""
        rows = self.query(statement)
        return rows[0][0] if rows else None

    def table(self, statement: Statement) -> tuple[list[str], list[Row]]:
        """Run a statement and return its column names and rows; no names where it has no result."""
        with self._run(statement) as cursor:
            names = [column[0] for column in cursor.description or ()]
            return names, list(cursor.fetchall())

    def execute(self, statement: Statement) -> int:
        """Run a statement and return how many rows it changed."""
        with self._run(statement) as cursor:
            return int(cursor.rowcount)

    def alter(self, statement: Statement) -> None:
        """Run a statement that alters a table, without holding up its users for long."""
        with self.lock_wait(ALTER_WAIT_SECONDS):
            self.execute(statement)

    def insert(self, statement: Statement) -> int:
        """Run an INSERT and return the first id that it made."""
        with self._run(statement) as cursor:
            return int(cursor.lastrowid)

    def stream(self, statement: Statement, *, batch: int) -> Iterator[list[Row]]:
        """Run a statement and yield its rows as they arrive, in lists of at most `batch`.

        Until the last list is taken other threads wait, and this one's statements are refused: they
        raise InputError. A stream that is left is closed.
        """
        with self._turns.taken_for_stream(), self._run(statement, _Stream) as cursor:
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
        with self._turns.taken():
            yield from self._in_transaction()

    def _in_transaction(self) -> Iterator[None]:
        with self._errors():
            self._driver.begin()
        try:
            yield
            with self._errors():
                self._driver.commit()
        except Exception:
            with suppress(DatabaseError), self._errors():
                self._driver.rollback()
            raise
        except BaseException:
            # Interrupted between a statement and its answer; the server rolls back.
            self.close()
            raise

    @contextmanager
    def lock_wait(self, seconds: int) -> Iterator[None]:
        """Have the block's statements wait no longer for locks on whole tables.

        One that waits in vain raises LockTimeout.
        """
        with self._turns.taken():
            self.execute(set_lock_wait(seconds))
            try:
                yield
            finally:
                if self.is_open:  # another session begins with the usual time
                    self.execute(set_lock_wait(LOCK_WAIT_SECONDS))

    @contextmanager
    def named_lock(self, lock: Statement, unlock: Statement) -> Iterator[bool]:
        """Hold a lock of the server's by name in the block; False where somebody else has it.

        Somebody else is also another thread on this connection, to which the server would give it.
        """
        with self._turns.taken():
            mine = unlock not in self._named_locks and bool(self.value(lock))
            if mine:
                self._named_locks.add(unlock)
        try:
            yield mine
        finally:
            if mine:
                self._named_locks.discard(unlock)
                with suppress(DatabaseError):  # a lost connection has let go of the lock
                    self.query(unlock)

    @contextmanager
    def _run(self, statement: Statement, kind: type[Any] | None = None) -> Iterator[Any]:
        if self._tracer:
            self._tracer(statement)
        try:
            with (
                self._turns.taken(in_stream=kind is _Stream),
                self._errors(),
                self._driver.cursor(kind) as cursor,
            ):
                # Without parameters a % in the statement is a % and no placeholder.
                sql = cursor.mogrify(statement.sql, statement.params or None)
                self._check_size(sql)
                cursor.execute(sql)
                yield cursor
        except (Exception, GeneratorExit):  # the latter where a stream is left
            raise
        except BaseException:  # interrupted between a statement and its answer
            self.close()
            raise

    def _check_size(self, sql: str) -> None:
        """Raise DatabaseError for a statement that the server would hang up on."""
        room = self.max_packet - 2  # the packet begins with a byte for the command
        if 4 * len(sql) > room and (size := len(sql.encode())) > room:
            raise too_large(size, self.max_packet)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise InputError(f"{error.object[:200]!r} is not UTF-8; rename it") from error
        except DatabaseError:
            raise
        except Exception as error:
            # Once the connection is lost the driver fails anywhere, and in any way.
            is_lost = not self._driver.open
            if not (is_lost or isinstance(error, pymysql.err.MySQLError | OSError)):
                raise
            raise translated(error, self.url, is_lost=is_lost) from error
