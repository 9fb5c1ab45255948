"""What lookalike knows of the engine that runs a statement, while the statement is compiled."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary, ref

from sqlalchemy import Connection, event
from sqlalchemy.engine import Dialect, Engine
from sqlalchemy.sql.compiler import SQLCompiler

from lookalike import BorrowedDatabase
from lookalike.integrations.reading import STORED, Readers

_known: "WeakKeyDictionary[Dialect, dict[str, Readers]]" = WeakKeyDictionary()
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
    with _readers_of(connection).reading(_raw(connection)) as db:
        yield db


def distance_function(compiler: SQLCompiler) -> str:
    """Return the function by which the server computes distances."""
    if (connection := connection_of(compiler)) is None:
        return STORED
    return _readers_of(connection).distance_function(_raw(connection))


def _raw(connection: Connection) -> Any:
    if not connection.in_transaction():
        connection.begin()  # SQLAlchemy does so after it has compiled
    return connection.connection.dbapi_connection


def _readers_of(connection: Connection) -> Readers:
    name = connection.engine.url.database or ""
    return _known.setdefault(connection.dialect, {}).setdefault(name, Readers())
