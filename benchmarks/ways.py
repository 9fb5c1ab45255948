"""The ways to search one collection: by SQL, by a copy of its index in memory, by MariaDB."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import lookalike
from benchmarks import mariadb
from benchmarks.dataset import K
from benchmarks.hold import What, hold
from lookalike import Collection
from lookalike.core.vectors import FloatArray
from lookalike.search import searcher
from tests.mariadb_server import Connection

SQL, CODES, VECTORS = "SQL", "memory: codes", "memory: codes, vectors"
MARIADB = "MariaDB's HNSW"


class Searcher(Protocol):
    """An open way to search."""

    def search(self, query: FloatArray) -> list[int]:
        """Return the K nearest rows, counted from 0; -1 where there are fewer."""


class Way(Protocol):
    """A way to search, which processes can be sent to open it."""

    @property
    def name(self) -> str:
        """The heading of its column."""

    def open(self) -> AbstractContextManager[Searcher]:
        """Connect, and load what is held in memory."""


class LookalikeSearcher:
    """Searches a collection by SQL or, while its index is held, in memory."""

    def __init__(self, collection: Collection) -> None:
        self.collection = collection

    def search(self, query: FloatArray) -> list[int]:
        return _rows(self.collection.search(query, k=K))

    def search_many(self, queries: FloatArray) -> list[list[int]]:
        """Search for all at once, names and similarities included; load no index for it."""
        with patch.object(searcher, "pays", return_value=False):
            return [_rows(found) for found in self.collection.search_many(list(queries), k=K)]


def _rows(matches: lookalike.Matches) -> list[int]:
    ids = [match.id - 1 for match in matches]
    return ids + [-1] * (K - len(ids))


@dataclass(frozen=True)
class Lookalike:
    """lookalike: by SQL, or with the codes or the codes and float32 vectors in memory."""

    url: str
    collection: str
    held: What | None = None

    @property
    def name(self) -> str:
        return {None: SQL, "codes": CODES, "vectors": VECTORS}[self.held]

    @contextmanager
    def open(self) -> Iterator[LookalikeSearcher]:
        with lookalike.connect(self.url) as db:
            collection = db.collection(self.collection)
            if self.held is None:
                yield LookalikeSearcher(collection)
                return
            with hold(collection, self.held):
                yield LookalikeSearcher(collection)


@dataclass(frozen=True)
class MariaDB:
    """MariaDB's own index, on a running server."""

    socket: Path

    @property
    def name(self) -> str:
        return MARIADB

    @contextmanager
    def open(self) -> Iterator["MariaDBSearcher"]:
        with mariadb.connect(self.socket) as connection:
            yield MariaDBSearcher(connection)


class MariaDBSearcher:
    """Searches the table of `mariadb.create_table`, whose ids count from 0."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def search(self, query: FloatArray) -> list[int]:
        ((found,), _) = mariadb.search(self._connection, query[None], K)
        return found
