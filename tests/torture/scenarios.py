"""What random rounds do not come upon: locks that stay, keys of the user's own, wide tables."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pymysql

import lookalike
from lookalike import Collection, DatabaseError
from tests.mortal_server import MortalServer
from tests.torture import data

DIM = 32
N = 400
MANY = 5200
"""Rows of an index with many cells."""
TABLE = "pics"
LOCK_WAIT = 2
"""The server's lock_wait_timeout, in seconds; nothing may take much longer."""

LIMIT = 20.0
COLUMNS = 400


@dataclass
class Place:
    """A server that runs, and an empty database on it."""

    server: MortalServer
    url: str

    @property
    def database(self) -> str:
        return self.url.partition("localhost/")[2].partition("?")[0]

    @contextmanager
    def other_program(self) -> Iterator[Any]:
        """A cursor of a program that does not use lookalike, with transactions."""
        driver = pymysql.connect(
            unix_socket=str(self.server.socket), user="root", database=self.database
        )
        with closing(driver), driver.cursor() as cursor:
            yield cursor


@dataclass
class Call:
    """A call in a thread of its own, on a connection of its own."""

    name: str
    act: Callable[[Collection], Any]
    seconds: float | None = None
    error: Exception | None = field(default=None, repr=False)

    def run(self, url: str) -> None:
        """Make it, and note how long it took and what came of it."""
        with lookalike.connect(url) as db:
            collection = db.collection(TABLE)
            started = time.monotonic()
            try:
                self.act(collection)
            except Exception as error:  # noqa: BLE001 (whatever it is, it is told)
                self.error = error
            self.seconds = time.monotonic() - started


Scenario = Callable[[Place], Iterator[str]]


def tables_locked_by_another_program(place: Place) -> Iterator[str]:
    """While another program holds LOCK TABLES, every call ends soon, with one line about it."""
    _fill(place.url)
    query = data.query(1, DIM, "cosine")
    calls = [
        Call("search", lambda c: c.search(query, k=5)),
        Call("exact search", lambda c: c.search(query, k=5, exact=True)),
        Call("add", lambda c: c.add_embeddings(["x"], query[np.newaxis])),
        Call("delete", lambda c: c.remove_rows([5])),
        Call("train", lambda c: c.index.build()),
        Call("check", lambda c: c.index.check()),
    ]
    with place.other_program() as other:
        other.execute(f"LOCK TABLES {TABLE} WRITE")
        yield from _all_end(calls, place.url, must_fail=True)
        other.execute("UNLOCK TABLES")
    yield from _is_whole(place.url, N)


def a_reader_of_an_old_generation(place: Place) -> Iterator[str]:
    """An idle transaction that has read the index's tables is in nobody's way."""
    _fill(place.url)
    query = data.query(2, DIM, "cosine")
    with place.other_program() as other:
        for (table,) in _index_tables(other):
            other.execute(f"SELECT COUNT(*) FROM {table}")
        calls = [
            Call("add", lambda c: c.add_embeddings(["x"], query[np.newaxis])),
            Call("search", lambda c: c.search(query, k=5)),
        ]
        yield from _all_end([Call("train", lambda c: c.index.build())], place.url)
        yield from _all_end(calls, place.url)
    yield from _is_whole(place.url, N + 1)


def children_that_go_with_the_row(place: Place) -> Iterator[str]:
    """Rows of the user's own that refer to a collection's with ON DELETE CASCADE go with it."""
    ids = _fill(place.url)
    with place.other_program() as other, lookalike.connect(place.url) as db:
        _refer(other, ids[:10], "CASCADE")
        deleted = db.collection(TABLE).remove_rows(ids[:5])
        other.execute("SELECT pic FROM notes ORDER BY pic")
        left = [row[0] for row in other.fetchall()]
    if deleted != 5 or left != ids[5:10]:
        yield f"{deleted} deleted, and these are left of {ids[:10]}: {left}"
    yield from _is_whole(place.url, N - 5)


def children_that_keep_the_row(place: Place) -> Iterator[str]:
    """With ON DELETE RESTRICT nothing is deleted, and the error says why."""
    ids = _fill(place.url)
    with place.other_program() as other, lookalike.connect(place.url) as db:
        _refer(other, [ids[7]], "RESTRICT")
        collection = db.collection(TABLE)
        calls: dict[str, Callable[[], int]] = {
            "delete": lambda: collection.remove_rows(ids[:20]),
            "remove": lambda: collection.remove(*ids[:20]),
        }
        for what, delete in calls.items():
            try:
                delete()
                yield f"{what} deleted a row that another one refers to"
            except DatabaseError as error:
                if "foreign key" not in str(error) or "\n" in str(error):
                    yield f"{what} says: {error}"
    yield from _is_whole(place.url, N)


def hundreds_of_columns(place: Place) -> Iterator[str]:
    """A collection with many columns of the user's own is one as any other."""
    ids = _fill(place.url)
    with place.other_program() as other, lookalike.connect(place.url) as db:
        kinds = ("INT", "VARCHAR(20)", "DOUBLE", "DATE")
        columns = ", ".join(f"ADD c{i} {kinds[i % len(kinds)]}" for i in range(COLUMNS))
        other.execute(f"ALTER TABLE {TABLE} {columns}")
        other.execute(f"UPDATE {TABLE} SET c0 = id % 3, c1 = CONCAT('n', id % 5)")
        other.execute("COMMIT")
        collection = db.collection(TABLE)
        found = collection.search(data.query(3, DIM, "cosine"), k=N, where={"c0": 1, "c1": "n2"})
        wanted = {i for i in ids if i % 3 == 1 and i % 5 == 2}
        if {match.id for match in found} != wanted:
            yield f"{len(found)} rows pass a filter, not {len(wanted)}"
        collection.attributes.set([{"path": data.row_name("rows", 0), "c4": 9, "shelf": 2}])
        found = collection.search(data.query(3, DIM, "cosine"), k=5, where={"c4": 9, "shelf": 2})
        if [match.id for match in found] != ids[:1]:
            yield f"the row with attributes is {ids[0]}, found {found}"
        collection.add_embeddings(["one more"], data.embeddings("one more", 1, DIM))
        collection.remove_rows(ids[:1])
    yield from _is_whole(place.url, N)


def a_process_that_outlives_its_table(place: Place) -> Iterator[str]:
    """Who has searched before a table was dropped and made again searches the new one."""
    _fill(place.url, MANY)
    with lookalike.connect(place.url) as db, place.other_program() as other:
        collection = db.collection(TABLE)
        collection.search(data.query(4, DIM, "cosine"), k=5)
        other.execute("SET foreign_key_checks = 0")
        tables = [f"{TABLE}_files", f"{TABLE}_failures", TABLE]
        other.execute(f"DROP TABLE {', '.join([*tables, *(t for (t,) in _index_tables(other))])}")
        # Elsewhere in space: old centroids find little there.
        new = -data.embeddings("other rows", MANY, DIM)
        with lookalike.connect(place.url) as another:
            ids = another.collection(TABLE, dim=DIM).add_embeddings(["new"] * MANY, new)
        near = new[::100] + 0.01
        missed = [
            i
            for i, query in enumerate(near)
            if collection.search(query, k=10)[-1].similarity
            < collection.search(query, k=10, exact=True)[-1].similarity - 1e-2
        ]
        if len(missed) > 2:
            yield f"{len(missed)} of {len(near)} searches miss neighbours of {len(ids)} new rows"


SCENARIOS: tuple[Scenario, ...] = (
    tables_locked_by_another_program,
    a_reader_of_an_old_generation,
    children_that_go_with_the_row,
    children_that_keep_the_row,
    hundreds_of_columns,
    a_process_that_outlives_its_table,
)


def _fill(url: str, n: int = N) -> list[int]:
    """Make a collection with an index."""
    with lookalike.connect(url) as db:
        names, rows = data.row_names("rows", n), data.embeddings("rows", n, DIM)
        return db.collection(TABLE, dim=DIM).add_embeddings(names, rows)


def _is_whole(url: str, n_rows: int) -> Iterator[str]:
    with lookalike.connect(url) as db:
        collection = db.collection(TABLE)
        report = collection.index.check()
        if collection.count() != n_rows or report.codes != n_rows or not report.is_consistent:
            yield f"{collection.count()} rows, not {n_rows}; the index: {report}"


def _all_end(calls: list[Call], url: str, *, must_fail: bool = False) -> Iterator[str]:
    """Make calls side by side; each must end, with an error of one line or none."""
    threads = [threading.Thread(target=call.run, args=(url,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + LIMIT
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    for call in calls:
        if call.seconds is None:
            yield f"{call.name} does not end within {LIMIT:g} s"
        elif call.error is None and must_fail:
            yield f"{call.name} went through a lock"
        elif call.error is not None and not (must_fail and _is_clear(call.error)):
            yield f"{call.name}: {call.error!r}"


def _is_clear(error: Exception) -> bool:
    return (
        isinstance(error, DatabaseError) and "lock" in str(error).lower() and "\n" not in str(error)
    )


def _index_tables(cursor: Any) -> list[tuple[str]]:
    cursor.execute(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        f"AND table_name REGEXP '^{TABLE}_(codes|cells)_'"
    )
    return list(cursor.fetchall())


def _refer(cursor: Any, ids: list[int], on_delete: str) -> None:
    """Make a table of the user's own that refers to these rows."""
    cursor.execute(
        f"CREATE TABLE notes (pic INT NOT NULL, FOREIGN KEY (pic) REFERENCES {TABLE} (id) "
        f"ON DELETE {on_delete})"
    )
    cursor.execute(f"INSERT INTO notes VALUES {', '.join(f'({i})' for i in ids)}")
    cursor.execute("COMMIT")
