"""Read a collection's status: rows, index, failures, last run."""

from datetime import UTC, datetime

from lookalike.attributes.catalog import count_attributes
from lookalike.core.remote import located
from lookalike.core.reports import Run, Status, StoredFailure
from lookalike.database.connection import Row
from lookalike.database.own_tables import find_own_tables
from lookalike.database.table import VectorTable
from lookalike.index.holding import HeldIndex
from lookalike.index.kinds import existing_kind
from lookalike.index.store import IndexStore
from lookalike.models.registry import precision_of
from lookalike.screening.thresholds import stored_min_similarity


def read_status(
    index: IndexStore,
    model: str | None,
    held: HeldIndex | None = None,
    copy_of: str | None = None,
) -> Status:
    """Return a collection's status."""
    table = index.table
    connection, dialect = table.connection, table.dialect
    kind, (indexed, n_cells) = existing_kind(index), index.size()
    rows = int(connection.value(dialect.count_rows(table)))
    own = find_own_tables(connection, dialect, table.name)
    runs = connection.query(dialect.last_run(table)) if table.has_files else []
    return Status(
        name=table.title,
        rows=rows,
        dim=table.dim,
        metric=table.metric,
        model=model,
        precision=precision_of(model) if model else None,
        size=int(connection.value(dialect.disk_size([table.name, *own.names]))),
        indexed=rows if kind == "server" else indexed,
        n_cells=n_cells,
        plan=index.plan(),
        failures=int(connection.value(dialect.count_failures(table))) if table.has_files else 0,
        last_run=_run(runs[0]) if runs else None,
        threshold=stored_min_similarity(table),
        attributes=tuple(count_attributes(table)),
        held=held.status() if held else None,
        copy_of=copy_of,
        index=kind,
    )


def read_failures(table: VectorTable) -> list[StoredFailure]:
    """Return the files that could not be added, and have not been added since, by path."""
    rows = table.connection.query(table.dialect.failures(table))
    return [
        StoredFailure(located(path), reason, size, mtime_ns, _in_utc(seen_at))
        for path, reason, size, mtime_ns, seen_at in rows
    ]


def _run(row: Row) -> Run:
    ended_at = None if row[1] is None else _in_utc(row[1])
    return Run(_in_utc(row[0]), ended_at, *row[2:])


def _in_utc(time: datetime) -> datetime:
    """Mark a time of the session as UTC, so that it can be converted to any zone."""
    return time.replace(tzinfo=UTC)
