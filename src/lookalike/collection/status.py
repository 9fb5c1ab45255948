"""What a collection holds: its rows, its index, its failures, its last run."""

from datetime import UTC, datetime
from pathlib import Path

from lookalike.core.types import Run, Status, StoredFailure
from lookalike.database.connection import Row
from lookalike.database.own_tables import find_own_tables
from lookalike.index.store import IndexStore
from lookalike.models.registry import precision_of


def read_status(index: IndexStore, model: str | None, *, has_tables: bool) -> Status:
    """Return what a collection holds; has_tables: whether `add` has made its side tables."""
    connection, dialect, table = index.connection, index.dialect, index.table
    indexed, n_cells = index.size()
    own = find_own_tables(connection, dialect, table)
    runs = connection.query(dialect.last_run(table)) if has_tables else []
    return Status(
        name=table,
        rows=int(connection.value(dialect.count_rows(table))),
        dim=index.dim,
        metric=index.metric,
        model=model,
        precision=precision_of(model) if model else None,
        size=int(connection.value(dialect.disk_size([table, *own.names]))),
        indexed=indexed,
        n_cells=n_cells,
        plan=index.plan(),
        failures=int(connection.value(dialect.count_failures(table))) if has_tables else 0,
        last_run=_run(runs[0]) if runs else None,
    )


def failures(index: IndexStore) -> list[StoredFailure]:
    """Return the files that could not be added and have not been since, by path."""
    rows = index.connection.query(index.dialect.failures(index.table))
    return [
        StoredFailure(Path(path), reason, size, mtime_ns, _in_utc(seen_at))
        for path, reason, size, mtime_ns, seen_at in rows
    ]


def _run(row: Row) -> Run:
    ended_at = None if row[1] is None else _in_utc(row[1])
    return Run(_in_utc(row[0]), ended_at, *row[2:])


def _in_utc(time: datetime) -> datetime:
    """Say what the session's times are of, so that they can be told in any zone."""
    return time.replace(tzinfo=UTC)
