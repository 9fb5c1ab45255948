"""Another client, with one connection to a server: what it begins stays until it ends it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookalike.database.link import Link
from lookalike.database.url import DatabaseURL
from lookalike.dialects import Statement


class OneConnection:
    """Runs SQL over one connection, from whichever thread."""

    def __init__(self, url: str) -> None:
        self._link = Link(DatabaseURL.parse(url))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        with self._link.running(Statement(sql)) as cursor:
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close the connection; the server rolls back."""
        self._link.close()


@contextmanager
def one_connection(url: str) -> Iterator[OneConnection]:
    """Yield another client, and close it at the end."""
    client = OneConnection(url)
    try:
        yield client
    finally:
        client.close()
