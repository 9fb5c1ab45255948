"""What lookalike knows of the engine that runs a statement, while the statement is compiled."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Connection, event
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.sql.compiler import SQLCompiler

from lookalike import BorrowedDatabase, DatabaseError, borrow

NATIVE, STORED = "lookalike_native_distance", "DISTANCE"


class _Known:
    """What is known of one database of one engine.

    idle: those that no statement uses now. A statement has one to itself: tasks of asyncio that
    share a thread would wait for each other's locks for ever.
    """

    def __init__(self) -> None:
        self.idle: list[BorrowedDatabase] = []
        self.function: str | None = None


_known: "WeakKeyDictionary[Dialect, dict[str, _Known]]" = WeakKeyDictionary()
_running: ContextVar[tuple[Any, Any] | None] = ContextVar("lookalike_running", default=None)
"""Weak references to the connection and the statement that it is about to compile."""


@event.listens_for(Engine, "before_execute")
def _note(connection: Connection, statement: Any, *_: Any) -> None:
    _running.set((ref(connection), ref(statement)) if hasattr(statement, "__weakref__") else None)


@event.listens_for(Engine, "after_execute")
def _forget(*_: Any) -> None:
    _running.set(None)


def is_mariadb(dialect: Dialect) -> bool:
    """Whether the server is MariaDB; also where its URL begins with mysql."""
    return bool(getattr(dialect, "is_mariadb", False))


def connection_of(compiler: SQLCompiler) -> Connection | None:
    """Return the connection that is about to run what is compiled; None if it is only shown."""
    if (running := _running.get()) is None:
        return None
    connection, statement = (each() for each in running)
    return connection if statement is compiler.statement else None


@contextmanager
def reading(connection: Connection) -> Iterator[BorrowedDatabase]:
    """Lend a connection's transaction to lookalike in a `with` block."""
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does so after it has compiled
    raw = connection.connection.dbapi_connection
    known = _known_of(connection)
    db = known.idle.pop() if known.idle else borrow(raw)
    try:
        with db.over(raw):
            yield db
    finally:
        known.idle.append(db)


def _known_of(connection: Connection) -> _Known:
    name = connection.engine.url.database or ""
    return _known.setdefault(connection.dialect, {}).setdefault(name, _Known())


def distance_function(compiler: SQLCompiler) -> str:
    """Return the function by which the server computes distances.

    Raises DatabaseError if it has none; the message names the command that makes one.
    """
    if (connection := connection_of(compiler)) is None:
        return STORED
    known = _known_of(connection)
    if known.function is None:
        with reading(connection) as db:
            known.function = _function(db)
    return known.function


def _function(db: BorrowedDatabase) -> str:
    if db.dialect.has_nearest:
        return STORED  # the server's own
    if NATIVE in db.native_functions():
        return NATIVE
    query = (
        "SELECT COUNT(*) FROM information_schema.routines "
        "WHERE routine_schema = DATABASE() AND routine_name = 'DISTANCE'"
    )
    if db.rows(query)[1][0][0]:
        return STORED
    raise DatabaseError(
        f"the database {db.connection.url.database} has no function for distances: "
        "run lookalike install-functions on it"
    )
