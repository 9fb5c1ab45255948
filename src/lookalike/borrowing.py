"""Use lookalike over connections that the program has opened, with any driver."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from lookalike.client import Database
from lookalike.collection.collection import Collection
from lookalike.core.errors import InputError
from lookalike.database.borrowed import Borrowing
from lookalike.database.errors import MissingTable
from lookalike.database.probe import probe
from lookalike.dialects import Dialect, UserTable


class BorrowedDatabase(Database):
    """A database that is read over connections of the program's own: see `borrow`.

    One thread, or one task of asyncio, uses it at a time.
    """

    connection: Borrowing

    def __init__(self, connection: Borrowing, dialect: Dialect) -> None:
        super().__init__(connection, dialect, notify=lambda line: None)
        self._collections: dict[object, Collection] = {}

    @contextmanager
    def over(self, connection: Any) -> Iterator[Self]:
        """Read over an open connection in a `with` block: in its transaction, by its driver.

        Args:
            connection: The driver's connection, to the same database.
        """
        with self.connection.over(connection):
            yield self

    def index_of(self, table: str, vector: str, *, schema: str | None = None) -> Collection:
        """Return the collection or the index of a table of your own by its VECTOR column.

        It is opened once, and again after its index was dropped and created.

        Args:
            table: Name of the table.
            vector: The VECTOR column.
            schema: The table's database; by default the connection's.

        Raises:
            InputError: The column has no index; the message has the command that creates it.
        """
        own = self.connection.url.database
        for each in self._registered():
            if (each.schema or own, each.table, each.vector) == (schema or own, table, vector):
                return self._opened(each, each.name)
        if vector == "embedding" and schema in (None, own) and table in self.collections():
            return self._opened(table, table)
        place = f"{schema or own}.{table}.{vector}"
        raise InputError(f"{place} has no index: run lookalike index create {place}")

    def index_named(self, name: str) -> Collection:
        """Return a collection or an index of a table of your own by its name, opened once."""
        of_table = [each for each in self._registered() if each.name == name]
        return self._opened(of_table[0] if of_table else name, name)

    def _registered(self) -> list[UserTable]:
        try:
            return [UserTable(*row) for row in self.connection.query(self.dialect.user_tables())]
        except MissingTable:
            return []

    def _opened(self, key: object, name: str) -> Collection:
        if key not in self._collections:
            self._collections[key] = self.collection(name)
        return self._collections[key]


def borrow(connection: Any) -> BorrowedDatabase:
    """Return the database that an open connection of any driver is connected to.

    lookalike opens no connection of its own, and only reads: searches see what the connection's
    transaction has written, and the transaction stays open. For what writes, use `connect`.

    Args:
        connection: A connection of PyMySQL, mysql-connector-python, mysqlclient or another driver
            with the interface of the DBAPI.

    Raises:
        InputError: The connection has chosen no database.
        UnsupportedServer: The server has no VECTOR type.

    Example:
        >>> import pymysql
        >>> ids = db.collection("outlines", dim=2).upsert([[1, 0], [0, 1]])
        >>> socket, database = db.connection.url.options["unix_socket"], db.connection.url.database
        >>> raw = pymysql.connect(unix_socket=socket, user="root", database=database)
        >>> borrowed = borrow(raw)
        >>> with borrowed.over(raw):
        ...     [match.id for match in borrowed.collection("outlines").search([1, 0.2], k=1)]
        [1]
        >>> raw.close()
    """
    borrowing = Borrowing(connection)
    with borrowing.over(connection):
        dialect = probe(borrowing)
    return BorrowedDatabase(borrowing, dialect)
