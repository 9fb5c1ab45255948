"""The processes that know nothing of lookalike: they use the driver and the collection's table."""

import time
from collections.abc import Callable
from typing import Any

import pymysql

from tests.torture import data
from tests.torture.actor import Actor, Lost, Rows
from tests.torture.journal import DONE, FAILED, UNDONE

IDS_FROM = 100_000
"""Ids that the server makes begin here: below there is room for explicit ones."""

_LOCKS = {1205, 1213, 3572}
_REFUSED = {1290, 1836, 1223, 1412, 1146}  # read-only, the table was altered or is not there
_FULL = {3, 28, 1021, 1026, 1030, 1114, 3675}
_GONE = {0, 2002, 2003, 2006, 2013, 2014, 2055, 1053, 4031}


class Foreign(Actor):
    """Inserts, updates and deletes embeddings, in transactions short and long."""

    _driver: "pymysql.Connection[Any] | None" = None
    _explicit = 0

    def connect(self) -> None:
        self.close()
        target = self.target
        try:
            self._driver = pymysql.connect(
                unix_socket=str(target.socket),
                user="root",
                database=target.database,
                charset="utf8mb4",
                autocommit=False,
            )
        except pymysql.err.OperationalError as error:
            raise Lost from error

    def close(self) -> None:
        """Close the connection, if it is open."""
        if self._driver is not None and self._driver.open:
            self._driver.close()

    def act(self) -> None:
        actions: tuple[tuple[Callable[[], None], int], ...] = (
            (self._insert, 5),
            (self._insert_slowly, 3),
            (self._insert_explicitly, 1),
            (self._delete, 2),
            (self._delete_cluster, 1),
            (self._replace, 1),
            (self._update, 1),
            (self._lock_tables, 1),
        )
        action = self.rng.choices([a[0] for a in actions], [a[1] for a in actions])[0]
        action()
        time.sleep(self.rng.random() * 0.1)

    # Actions.

    def _insert(self) -> None:
        self._add(self.rng.choice((1, 3, 40)), kind=data.ZERO if self.rng.random() < 0.1 else "")

    def _insert_slowly(self) -> None:
        """Insert in a long transaction, so that ids below others' are committed after them."""
        self._add(self.rng.choice((1, 5)), pause=self.rng.random() * 1.5)

    def _insert_explicitly(self) -> None:
        """Insert where no AUTO_INCREMENT would: below zero or below all others."""
        self._explicit += 1
        # Processes of one round have numbers of their own, and so have their ids.
        number = int(self.name.removeprefix("foreign")) * 500 + self._explicit
        self._add(1, first=self.rng.choice((-number, number)))

    def _delete(self) -> None:
        self._delete_rows(self._some(self.rng.choice((1, 20, 100))))

    def _delete_cluster(self) -> None:
        """Delete many neighbours of one another."""
        rows = self._some(3000)
        if not rows:
            return
        clusters = self._clusters(rows)
        wanted = self.rng.choice(clusters)
        near = zip(rows, clusters, strict=True)
        self._delete_rows([row for row, cluster in near if cluster == wanted])

    def _replace(self) -> None:
        """Delete a row and insert another one with its id."""
        rows = self._some(1)
        if not rows:
            return
        (row_id, name), batch = rows[0], self.new_batch()

        def change(cursor: Any) -> dict[str, Any]:
            if not cursor.execute(
                f"DELETE FROM {self.target.collection} WHERE id = %s AND image_name = %s",
                (row_id, name),
            ):
                return {"replaced": False}
            self._insert_rows(cursor, batch, 1, row_id)
            return {"replaced": True}

        self._do("replace", change, batch=batch, n=1, ids=[row_id], names=[name])

    def _update(self) -> None:
        """Give rows other embeddings, or none."""
        rows, key = self._some(5), None if self.rng.random() < 0.3 else self.new_batch()
        if not rows:
            return
        names = [name for _, name in rows]

        def change(cursor: Any) -> dict[str, Any]:
            vectors = [None] * len(names)
            if key is not None:
                vectors = [v.tobytes() for v in self._vectors(key, len(names))]
            for name, vector in zip(names, vectors, strict=True):
                cursor.execute(
                    f"UPDATE {self.target.collection} SET embedding = %s WHERE image_name = %s",
                    (vector, name),
                )
            return {}

        self._do("update", change, names=names, ids=[row[0] for row in rows], key=key)

    def _lock_tables(self) -> None:
        batch = self.new_batch()

        def change(cursor: Any) -> dict[str, Any]:
            cursor.execute(f"LOCK TABLES {self.target.collection} WRITE")
            self._insert_rows(cursor, batch, 1)
            time.sleep(self.rng.random() * 0.5)
            return {}

        self._do("add", change, batch=batch, n=1)
        if self._driver is not None and self._driver.open:
            self._query("UNLOCK TABLES")

    # What they are made of.

    def _add(self, n: int, *, first: int | None = None, pause: float = 0.0, kind: str = "") -> None:
        batch = self.new_batch() + kind

        def change(cursor: Any) -> dict[str, Any]:
            self._insert_rows(cursor, batch, n, first)
            time.sleep(pause)
            return {}

        ids = [] if first is None else [first]
        self._do("add", change, batch=batch, n=n, explicit=ids)

    def _delete_rows(self, rows: Rows) -> None:
        if not rows:
            return

        def change(cursor: Any) -> dict[str, Any]:
            places = ", ".join(["(%s, %s)"] * len(rows))
            cursor.execute(
                f"DELETE FROM {self.target.collection} WHERE (id, image_name) IN ({places})",
                [value for row in rows for value in row],
            )
            return {}

        # By their names: another row that has taken an id meanwhile stays.
        self._do("delete", change, names=[name for _, name in rows])

    def _insert_rows(self, cursor: Any, batch: str, n: int, first: int | None = None) -> None:
        names, vectors = data.row_names(batch, n), self._vectors(batch, n)
        for name, vector in zip(names, vectors, strict=True):
            cursor.execute(
                f"INSERT INTO {self.target.collection} (id, image_name, embedding) "
                "VALUES (%s, %s, %s)",
                (first, name, vector.tobytes()),
            )

    def _vectors(self, key: str, n: int) -> data.Vectors:
        return data.embeddings(key, n, self.target.dim)

    def _clusters(self, rows: Rows) -> list[int]:
        """Return the clusters that rows belong to, by their names."""
        numbers = [int(name.partition(":")[2].partition(" ")[0]) for _, name in rows]
        batches = [data.batch_of(name) for _, name in rows]
        largest: dict[str, int] = {}
        for batch, number in zip(batches, numbers, strict=True):
            largest[batch] = max(number, largest.get(batch, 0))
        # The first clusters of a batch are the same, however many rows it has.
        found = {b: data.clusters_of(b, n + 1, self.target.dim) for b, n in largest.items()}
        return [int(found[b][i]) for b, i in zip(batches, numbers, strict=True)]

    def _some(self, n: int) -> Rows:
        """Return up to n rows, from some id on."""
        table = self.target.collection
        ((low, high),) = self._query(f"SELECT MIN(id), MAX(id) FROM {table}") or [(None, None)]
        if low is None:
            return []
        # The ids that the server makes, and now and then the explicit ones.
        low = max(low, IDS_FROM) if high >= IDS_FROM and self.rng.random() < 0.8 else low
        start = self.rng.randint(low, high)
        rows = self._query(
            f"SELECT id, image_name FROM {table} WHERE id >= {start} ORDER BY id LIMIT {n}"
        )
        return [row for row in rows if row[1]]

    # The driver.

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement by itself; return no rows where it fails."""
        assert self._driver is not None
        try:
            with self._driver.cursor() as cursor:
                cursor.execute(sql)
                rows = list(cursor.fetchall())
            self._driver.commit()
        except pymysql.err.MySQLError as error:
            self._recover(error)
            return []
        return rows

    def _do(self, kind: str, change: Callable[[Any], dict[str, Any]], **given: Any) -> None:
        """Run a transaction, and commit it or, now and then, roll it back."""
        assert self._driver is not None
        self.journal.begin(kind, given)
        outcome = UNDONE
        try:
            with self._driver.cursor() as cursor:
                result = change(cursor)
            if self.rng.random() < 0.15:
                self._driver.rollback()
                self.journal.end(UNDONE, {})
                return
            outcome = FAILED  # from now on nobody knows
            self._driver.commit()
        except pymysql.err.MySQLError as error:
            self.journal.end(outcome, {"says": str(error)})
            self._recover(error)
        else:
            self.journal.end(DONE, result)

    def _recover(self, error: Exception) -> None:
        """Go on after what may happen to any client, with a new connection where need be."""
        code = error.args[0] if error.args else 0
        if code not in _LOCKS | _REFUSED | _FULL | _GONE:
            self.journal.begin("mistake", {})
            self.journal.end(FAILED, {"says": repr(error)})
        if code not in _LOCKS:
            raise Lost from error
        assert self._driver is not None
        try:
            self._driver.rollback()
        except pymysql.err.MySQLError as lost:  # the server was killed meanwhile
            raise Lost from lost


class Idler(Foreign):
    """Reads the tables of the index's generation, and leaves its transaction open for a while."""

    def act(self) -> None:
        assert self._driver is not None
        found = self._query(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
            f"AND table_name LIKE '{self.target.collection}\\_codes\\_%'"
        )
        tables = [row[0] for row in found] + [self.target.collection]
        try:
            with self._driver.cursor() as cursor:
                for table in tables:
                    cursor.execute(f"SELECT COUNT(*) FROM {table}")
            time.sleep(self.rng.random() * 3)
            self._driver.rollback()
        except pymysql.err.MySQLError as error:
            self._recover(error)
        time.sleep(self.rng.random() * 0.5)
