"""Connections of the program's own, of any driver, over which lookalike reads."""

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from typing import Any

import pymysql

from lookalike.core.errors import ConnectionFailed, InputError
from lookalike.database.connection import Connection
from lookalike.database.errors import ReadOnly, translated
from lookalike.database.link import Link
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement

_READS = ("SELECT", "WITH", "EXPLAIN", "(SELECT")


class BorrowedLink(Link):
    """An open connection of any DBAPI driver; it stays open, and its session stays as it is.

    Args:
        url: Where the database is, for messages.
        raw: The driver's connection.
        max_packet: The server's max_allowed_packet, in bytes.
    """

    def __init__(self, url: DatabaseURL, raw: Any, max_packet: int) -> None:
        self.url = url
        self.max_packet = max_packet
        self.is_changed = False
        self.locks = set()
        self.at_commit = None
        self.pid = os.getpid()
        self._raw = raw

    @property
    def is_open(self) -> bool:
        """Whether it is open, as far as lookalike needs to know: its owner closes it."""
        return True

    @property
    def is_streaming(self) -> bool:
        """Whether rows are left to read: all are read at once."""
        return False

    def close(self) -> None:
        """Leave it open: it is its owner's."""

    def abandon(self) -> None:
        """Leave it open: it is its owner's."""

    @contextmanager
    def running(self, statement: Statement, *, is_stream: bool = False) -> Iterator[Any]:
        """Run a statement that reads, and yield the driver's cursor on its result.

        Values are sent as literals: drivers differ in how they send bytes.
        """
        sql = str(statement)
        if not sql.lstrip().upper().startswith(_READS):
            raise ReadOnly("over a connection of your own lookalike only reads")
        self._check_size(sql)
        with closing(self._raw.cursor()) as cursor, self._without_notes(cursor, sql):
            with self.errors():
                cursor.execute(sql)
            yield cursor

    @contextmanager
    def _without_notes(self, cursor: Any, sql: str) -> Iterator[None]:
        """Keep the server from noting what it explains: asynchronous drivers print its notes."""
        if not sql.startswith("EXPLAIN"):
            yield
            return
        cursor.execute("SET @lookalike_notes = @@SESSION.sql_notes, SESSION sql_notes = 0")
        yield
        cursor.execute("SET SESSION sql_notes = @lookalike_notes")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Refuse: the transactions of a borrowed connection are its owner's."""
        raise ReadOnly("over a connection of your own lookalike only reads")
        yield

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Translate errors with a number of MySQL's, whichever driver raises them."""
        try:
            yield
        except Exception as error:
            code = getattr(error, "errno", None) or (error.args[0] if error.args else None)
            if not isinstance(code, int):
                raise
            same = pymysql.MySQLError(code, error.args[-1])
            raise translated(same, self.url) from error


class Borrowing(Connection):
    """The way to a database over open connections of the program's own, which `over` lends.

    Args:
        raw: One of them; it tells which database it is.
    """

    def __init__(self, raw: Any) -> None:
        url = DatabaseURL("", "", "localhost", 3306, "", {})
        with BorrowedLink(url, raw, 2**20).running(_WHERE) as cursor:
            ((database, user, max_packet),) = cursor.fetchall()
        if not database:
            raise InputError("this connection has chosen no database: name one in its URL")
        self.url = DatabaseURL(
            _text(user).partition("@")[0], "", "localhost", 3306, _text(database), {}
        )
        self.max_packet = int(max_packet)
        self._tracer = self._routing = self.cluster = None
        self.named = lambda error: error

    @contextmanager
    def over(self, raw: Any) -> Iterator[None]:
        """Run the thread's statements in a `with` block over an open connection."""
        with self._pin(nullcontext(BorrowedLink(self.url, raw, self.max_packet))):
            yield

    @contextmanager
    def _from_pool(self) -> Iterator[Link]:
        raise ConnectionFailed(
            "this database is used over connections of your own: write with db.over(connection):"
        )
        yield

    def set_sessions(self, settings: Mapping[str, int]) -> None:
        """Leave the session as it is: it is its owner's."""

    def close(self) -> None:
        """Leave all connections open: they are their owner's."""


_WHERE = Statement("SELECT DATABASE(), CURRENT_USER(), @@SESSION.max_allowed_packet")


def _text(value: str | bytes | bytearray) -> str:
    return value if isinstance(value, str) else value.decode()
