"""Databases whose tables are altered within a second, or not at all."""

from collections.abc import Iterator
from contextlib import closing, contextmanager

from lookalike import Database
from lookalike.database.connection import Connection
from lookalike.database.probe import probe
from lookalike.database.url import DatabaseURL


@contextmanager
def impatient(url: str) -> Iterator[Database]:
    """Connect to a database; others' transactions are waited for a second."""
    with closing(Connection(DatabaseURL.parse(url), alter_wait=1)) as connection:
        yield Database(connection, probe(connection), notify=lambda line: None)
