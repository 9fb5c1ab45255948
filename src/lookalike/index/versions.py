"""Versions: note which codes a transaction changes, so that copies in memory stay fresh.

See `dialects.tables.versions` for the tables, and `search.held` for who reads them.
"""

import secrets
from collections.abc import Iterable
from contextlib import suppress

from lookalike.database.errors import MissingTable
from lookalike.database.table import VectorTable

MAX_LOGGED = 10_000
"""A transaction that changes more ids logs no ids: copies are loaded anew."""

LEAST_KEPT, KEPT_SHARE = 100_000, 0.25
"""How many ids the log keeps: at least so many, and so large a share of the rows."""

_PRUNED = 1000
_PRUNING_EACH = 10_000


def note_changes(table: VectorTable, ids: Iterable[int] | None) -> None:
    """Note ids whose codes the thread's transaction changes; None: those of all rows."""
    changes = table.connection.at_commit(("versions", table.name), lambda: _Changes(table))
    if ids is None:
        changes.ids = None
    elif changes.ids is not None:
        changes.ids.update(ids)


class _Changes:
    """What a transaction changes; called when it commits."""

    def __init__(self, table: VectorTable) -> None:
        self._table = table
        self.ids: set[int] | None = set()

    def __call__(self) -> None:
        connection, dialect, table = self._table.connection, self._table.dialect, self._table
        ids = self.ids
        if ids is not None and not ids:
            return
        if ids is not None and len(ids) > MAX_LOGGED:
            ids = None
        # Without these tables, as in a database that was restored in part, no copy is fresh: SQL
        # searches until the next training makes them.
        with suppress(MissingTable):
            if connection.execute(dialect.next_version(table, _token())):
                connection.execute(dialect.log_version(table, None if ids is None else sorted(ids)))
            else:
                _start(table)


def _token() -> int:
    return secrets.randbits(62) + 1


def start_versions(table: VectorTable) -> None:
    """Begin the versions of a collection that has none."""
    with table.connection.transaction():
        _start(table)


def _start(table: VectorTable) -> None:
    connection, dialect = table.connection, table.dialect
    if connection.execute(dialect.start_versions(table, _token())):
        connection.execute(dialect.forget_log(table))  # of another history, if any is left
        connection.execute(dialect.log_version(table, None))


def is_pruning_due(changed: int) -> bool:
    """Whether to prune the log after this many changes: by chance, once in 10,000 on average.

    So the log stays short also where each process changes few rows.
    """
    return secrets.randbelow(_PRUNING_EACH) < changed


def prune_log(table: VectorTable, *, least: int = LEAST_KEPT) -> None:
    """Delete what the log need not keep; least: how many ids it keeps at least."""
    connection, dialect = table.connection, table.dialect
    kept = max(least, int(KEPT_SHARE * table.id_range()))
    through = connection.value(dialect.oldest_to_keep(table, kept))
    if through is None:
        return
    with connection.apart():
        # No lock on the gaps, into which other transactions insert.
        connection.execute(dialect.read_committed())
        while connection.execute(dialect.prune_log(table, through, _PRUNED)):
            pass
