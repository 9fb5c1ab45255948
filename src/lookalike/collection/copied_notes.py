"""Copy what shared tables know of a collection: model, metric, threshold, kinds of attributes."""

from lookalike.database.connection import Row
from lookalike.database.own_tables import shared_tables
from lookalike.database.table import VectorTable
from lookalike.dialects import COPIED_NOTES, KEYS, MEASURED_NOTES, REGISTRY, Table

_KEYS = dict(KEYS)


def copy_notes(source: VectorTable, target: VectorTable) -> None:
    """Replace the target's records by the source's."""
    connection, dialect = target.connection, target.dialect
    with connection.transaction():
        for shared in (*COPIED_NOTES, *MEASURED_NOTES):
            columns = _columns(target, shared)
            rows = _notes(source, shared, columns)
            if shared == REGISTRY and not rows:
                continue  # a table that lookalike has not made; its copy is a collection
            key = _KEYS[shared]
            connection.execute(dialect.forget_noted(target.name, shared, key))
            for row in rows:
                connection.execute(dialect.note(target.name, shared, key, columns, row))


def differing_note(source: VectorTable, target: VectorTable) -> str | None:
    """Return the shared table whose records differ, None where there is none.

    What is only measured, such as levels, does not count.
    """
    for shared in COPIED_NOTES:
        columns = _columns(target, shared)
        here, there = (_notes(each, shared, columns) for each in (source, target))
        if here != there and not (shared == REGISTRY and not here):
            return shared
    return None


def _columns(table: VectorTable, shared: str) -> list[str]:
    found = table.connection.query(table.dialect.table_columns(Table(shared)))
    return [row[0] for row in found if row[0] != _KEYS[shared]]


def _notes(table: VectorTable, shared: str, columns: list[str]) -> list[Row]:
    connection, dialect = table.connection, table.dialect
    if shared not in dict(shared_tables(connection, dialect)):
        return []
    key = _KEYS[shared]
    return sorted(connection.query(dialect.noted(table.name, shared, key, columns)), key=repr)
