"""SQL to server: one connection, its statements, transactions and errors."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pymysql
from pymysql.connections import TEXT_TYPES
from pymysql.converters import conversions
from pymysql.cursors import SSCursor

from lookalike.dialects import Statement
from lookalike.errors import ConnectionFailed, DatabaseError, InputError
from lookalike.url import DatabaseURL
from lookalike.vectors import pack

Tracer = Callable[[Statement], None]
Dial = Callable[[], socket.socket]
Row = tuple[Any, ...]

# PyMySQL does not know the type VECTOR and would decode its bytes as ASCII digits.
_VECTOR = 242
TEXT_TYPES.add(_VECTOR)
_CONVERSIONS: dict[Any, Any] = {
    **conversions,
    _VECTOR: lambda value: np.frombuffer(value, "<f4"),
    np.ndarray: lambda value, _: f"x'{pack(value).hex()}'",
}

DUPLICATE_KEY = 1062
_PRIVILEGES = {1044, 1142, 1143, 1227, 1370, 1410}
_REFUSED = {1045, 1698, 3118, 3159}
_GONE = {0, 2002, 2003, 2005, 2006, 2013, 2055, 1053, 4031}


class Connection:
    """One connection to a MySQL server, outside transactions in autocommit mode.

    A VECTOR comes back as an array of shape (dim,), float32, and an array may be bound as one.
    tracer: called with every statement before it runs. dial: opens the socket, where who listens
    there has to be made sure of. Not for several threads at once.
    """

    def __init__(
        self, url: DatabaseURL, *, tracer: Tracer | None = None, dial: Dial | None = None
    ) -> None:
        self.url = url
        self._tracer = tracer
        self._dial = dial
        self.reopen()

    def reopen(self) -> None:
        """Connect again after the connection is lost or closed."""
        arguments = self.url.driver_arguments()
        try:
            driver = pymysql.connect(
                **arguments,
                charset="utf8mb4",
                autocommit=True,
                conv=_CONVERSIONS,
                defer_connect=True,
            )
            driver.connect(self._dial() if self._dial else None)
            self._driver = driver
        except (pymysql.err.MySQLError, OSError, RuntimeError) as error:
            raise self._explain(error) from error

    @property
    def is_open(self) -> bool:
        """Whether the connection is not known to be lost or closed."""
        return bool(self._driver.open)

    def open_another(self) -> "Connection":
        """Open another connection to the same database, for another thread."""
        return Connection(self.url, tracer=self._tracer, dial=self._dial)

    def close(self) -> None:
        """Close the connection; closing twice is harmless."""
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

    def insert(self, statement: Statement) -> int:
        """Run an INSERT and return the first id that it made."""
        with self._run(statement) as cursor:
            return int(cursor.lastrowid)

    def stream(self, statement: Statement, *, batch: int) -> Iterator[list[Row]]:
        """Run a statement and yield its rows as they arrive, in lists of at most `batch`.

        Nothing else can run on this connection until the last list is taken.
        """
        with self._run(statement, SSCursor) as cursor:
            while rows := cursor.fetchmany(batch):
                yield list(rows)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit all of the block's statements, or on any exception none."""
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
    def _run(self, statement: Statement, kind: type[Any] | None = None) -> Iterator[Any]:
        if self._tracer:
            self._tracer(statement)
        try:
            with self._errors(), self._driver.cursor(kind) as cursor:
                # Without parameters a % in the statement is a % and no placeholder.
                cursor.execute(statement.sql, statement.params or None)
                yield cursor
        except (Exception, GeneratorExit):  # the latter where a stream is left
            raise
        except BaseException:  # interrupted between a statement and its answer
            self.close()
            raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeEncodeError as error:
            raise InputError(f"{error.object[:200]!r} is not UTF-8; rename it") from error
        except (pymysql.err.MySQLError, OSError) as error:
            raise self._explain(error) from error

    def _explain(self, error: Exception) -> DatabaseError:
        code = error.args[0] if error.args and isinstance(error.args[0], int) else None
        reason = str(error.args[-1] if error.args else error).strip()
        user = self.url.user
        if code in _REFUSED:
            return ConnectionFailed(
                f"{self.url} refused user {user!r}: {reason}; check the user and its password",
                code=code,
            )
        if code == 1049:
            return ConnectionFailed(
                f"there is no database {self.url.database!r} at {self.url}: "
                f"create it with CREATE DATABASE {self.url.database}",
                code=code,
            )
        if code in _GONE or isinstance(error, OSError | RuntimeError):
            return ConnectionFailed(
                f"cannot reach {self.url}: {reason}; is the server running there?",
                code=code,
                is_lost=not isinstance(error, RuntimeError),
            )
        if code in _PRIVILEGES:
            return DatabaseError(
                f"user {user!r} lacks a privilege: {reason}; have an administrator GRANT it",
                code=code,
            )
        return DatabaseError(f"the database refused a statement: {reason}", code=code)
