"""What people have decided: images that are no duplicates of one another."""

from collections.abc import Sequence
from itertools import combinations

from lookalike.core.errors import InputError
from lookalike.database.errors import MissingTable
from lookalike.database.table import VectorTable


def distinct_images(table: VectorTable) -> list[tuple[int, int]]:
    """Return the pairs of ids that were decided to be distinct, the smaller first."""
    try:
        rows = table.connection.query(table.dialect.distinct(table))
    except MissingTable:
        return []
    return [(row[0], row[1]) for row in rows]


def mark_distinct(table: VectorTable, ids: Sequence[int], id_type: str) -> None:
    """Remember that none of these images is a duplicate of another of them.

    id_type: the SQL type of the collection's ids. Raises InputError for an id that is not stored.
    """
    pairs = _pairs(ids)
    connection, dialect = table.connection, table.dialect
    found = connection.query_parts(ids, lambda part: dialect.records(table, part))
    stored = {row[0] for row in found}
    for row_id in ids:
        if row_id not in stored:
            raise InputError(f"collection {table!r} has no image with id {row_id}")
    connection.execute(dialect.create_distinct(table, id_type))
    with connection.transaction():
        connection.execute_parts(pairs, lambda part: dialect.insert_distinct(table, part))


def unmark_distinct(table: VectorTable, ids: Sequence[int]) -> int:
    """Forget such decisions about each two of these images; return how many there were."""
    pairs = _pairs(ids)
    if not set(pairs) & set(distinct_images(table)):
        return 0
    connection, dialect = table.connection, table.dialect
    with connection.transaction():
        return connection.execute_parts(pairs, lambda part: dialect.delete_distinct(table, part))


def _pairs(ids: Sequence[int]) -> list[tuple[int, int]]:
    pairs = list(combinations(sorted(set(ids)), 2))
    if not pairs:
        raise InputError("name at least two different ids")
    return pairs
