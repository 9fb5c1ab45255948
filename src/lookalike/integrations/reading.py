"""Reading over connections that another library has opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lookalike import BorrowedDatabase, DatabaseError, borrow

NATIVE, STORED = "lookalike_native_distance", "DISTANCE"


class Readers:
    """What is known of one database, for any number of threads and tasks.

    A statement has a `BorrowedDatabase` to itself: tasks of asyncio that share a thread would wait
    for each other's locks for ever. Each keeps the indexes that it has loaded.
    """

    def __init__(self) -> None:
        self._idle: list[BorrowedDatabase] = []
        self._function: str | None = None

    @contextmanager
    def reading(self, raw: Any) -> Iterator[BorrowedDatabase]:
        """Lend a connection of a driver to lookalike in a `with` block."""
        try:
            db = self._idle.pop()
        except IndexError:
            db = borrow(raw)
        try:
            with db.over(raw):
                yield db
        finally:
            self._idle.append(db)

    def distance_function(self, raw: Any) -> str:
        """Return the function by which MySQL computes distances.

        Raises DatabaseError if it has none; the message names the command that makes one.
        """
        if self._function is None:
            with self.reading(raw) as db:
                self._function = _function(db)
        return self._function


def distance_of(similarity: float, metric: str) -> float:
    """Return the distance: 1 - cosine, the Euclidean one, or the dot product with a minus sign."""
    return 1 - similarity if metric == "cosine" else -similarity


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
        "run lookalike install-functions"
    )
