"""Rows of spread collections are made and deleted without one transaction over all servers.

Spider commits on one shard after another, and the head last; a crash in between leaves a part. So
the ids of rows to be made or deleted are first noted on the head, over a second connection that
locks the notes until the first has committed, and deletes them then. Notes that nobody locks are of
a client, or a head, that died in between: `settle` deletes what there is of their rows. So a row
that was being made is not there, and one that was being deleted is gone.
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress

from lookalike.core.errors import DatabaseError
from lookalike.database.connection import Connection
from lookalike.database.errors import Busy, MissingTable
from lookalike.database.link import Link
from lookalike.database.table import VectorTable
from lookalike.dialects import Statement

_BATCH = 1000
_ATTEMPTS = 5


class Lease:
    """The ids that one transaction makes or deletes rows of, noted over a second connection."""

    def __init__(self, table: VectorTable) -> None:
        self._table = table
        self._ids: list[int] = []
        self._stack = ExitStack()
        self._link: Link = self._stack.enter_context(table.connection.beside())
        self._held = ExitStack()

    def __call__(self, is_committed: bool | None) -> None:
        """End it when the transaction has ended: the notes stay where its outcome is not known."""
        dialect, table = self._table.dialect, self._table
        with suppress(DatabaseError):
            if is_committed is None:
                self._link.close()
            for start in range(0, len(self._ids), _BATCH):
                if self._link.is_open:
                    _run(self._link, dialect.settle(table, self._ids[start : start + _BATCH]))
        with suppress(DatabaseError):
            self._held.close()
        self._stack.close()

    def make(self, n: int) -> list[int]:
        """Return consecutive ids of new rows."""
        table, dialect = self._table, self._table.dialect
        step = int(table.connection.value(dialect.id_step()))
        for _ in range(_ATTEMPTS):
            self._held.close()
            with self._link.running(dialect.make_ids(table, n)) as cursor:
                first = int(cursor.lastrowid)
            ids = list(range(first, first + step * n, step))
            if self._lock([*self._ids, *ids]):
                self._ids += ids
                return ids
        raise Busy(f"other clients keep removing the ids of {table.title!r}")

    def note(self, ids: Sequence[int]) -> None:
        """Note given ids, of rows that are made or deleted; waits for others who have them."""
        new = sorted(set(ids) - set(self._ids))
        for _ in range(_ATTEMPTS):
            self._held.close()
            for start in range(0, len(new), _BATCH):
                statement = self._table.dialect.note_ids(self._table, new[start : start + _BATCH])
                _run(self._link, statement)
            if self._lock([*self._ids, *new]):
                self._ids += new
                return
        raise Busy(f"other clients keep removing the ids of {self._table.title!r}")

    def _lock(self, ids: Sequence[int]) -> bool:
        """Lock the notes; return whether all are there still."""
        self._held.enter_context(self._link.transaction())
        locked = 0
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            locked += len(_run(self._link, self._table.dialect.lock_unsettled(self._table, part)))
        return locked == len(ids)


def lease(table: VectorTable) -> Lease:
    """Return the lease of the thread's transaction."""
    return table.connection.at_end(("lease", table.name), lambda: Lease(table))


def settle(table: VectorTable) -> int:
    """Delete the rows that nobody goes on making or deleting; return the number of their ids.

    Outside transactions, before rows are made or deleted.
    """
    settled = 0
    while table.shards and (found := _settle_some(table)):
        settled += found
    return settled


def _settle_some(table: VectorTable) -> int:
    dialect = table.dialect
    with table.connection.beside() as link, link.transaction():
        ids = [row[0] for row in _run(link, dialect.lock_abandoned(table, _BATCH))]
        if ids:
            with table.connection.transaction():
                delete_beside(table.connection, table, ids)
                table.connection.execute(dialect.delete_rows(table, ids))
            _run(link, dialect.settle(table, ids))
    return len(ids)


def delete_beside(connection: Connection, table: VectorTable, ids: Sequence[int]) -> None:
    """Delete what belongs to rows of a spread collection, in the caller's transaction."""
    for statement in table.dialect.delete_beside(table, ids):
        with suppress(MissingTable):
            connection.execute(statement)


def _run(link: Link, statement: Statement) -> list[tuple[int, ...]]:
    with link.running(statement) as cursor:
        return list(cursor.fetchall())
