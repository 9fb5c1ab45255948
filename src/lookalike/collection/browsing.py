"""Browse stored images without a query: in an order, by pages, counted, with their files."""

from collections.abc import Iterable, Sequence

from lookalike.attributes.catalog import filter_of
from lookalike.attributes.conditions import Where
from lookalike.attributes.counting import time_of
from lookalike.collection import items
from lookalike.collection.ordering import order_of
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import check_int
from lookalike.core.errors import InputError
from lookalike.core.remote import located
from lookalike.core.types import StoredFile
from lookalike.database.table import VectorTable
from lookalike.dialects import Filter, Order
from lookalike.index.rows import checked_ids

MOST_ITEMS = 10_000
"""Rows of one page."""


def browse(
    state: CollectionState,
    where: Where | None,
    order_by: str,
    k: int,
    offset: int,
    include: Sequence[str],
) -> list[items.Item]:
    """Return stored images that pass, in an order; those without a value come last."""
    items.check_include(include)
    check_int("k", k)
    check_int("offset", offset)
    if not 1 <= k <= MOST_ITEMS:
        raise InputError(f"k is {k}; ask for 1 to {MOST_ITEMS:,} images")
    if offset < 0:
        raise InputError(f"offset is {offset}; give 0 or more")
    if state.record is None:
        return []
    table = state.table
    order, passing = order_of(table, order_by), filter_of(table, where)
    return items.get(state, _ids(table, order, passing, k, offset), include)


def _ids(
    table: VectorTable, order: Order, passing: Filter | None, k: int, offset: int
) -> list[int]:
    """Return the ids of a page: rows with a value, and after the last of them the others."""
    connection, dialect = table.connection, table.dialect
    ids = [row[0] for row in connection.query(dialect.browse(table, order, passing, k, offset))]
    if len(ids) < k and order.attribute is not None:
        valued = offset + len(ids)
        if not ids and offset:
            valued = int(connection.value(dialect.count_valued(table, order, passing)))
        rest = dialect.browse_valueless(
            table, order, passing, k - len(ids), max(0, offset - valued)
        )
        ids += [row[0] for row in connection.query(rest)]
    return ids


def all_ids(state: CollectionState, where: Where | None) -> list[int]:
    """Return the ids of all rows that pass, ascending."""
    table, ids = state.table, list[int]()
    order, passing = order_of(table, "id"), filter_of(table, where)
    while part := _ids(table, order, passing, MOST_ITEMS, len(ids)):
        ids += part
    return ids


def count(state: CollectionState, where: Where | None) -> int:
    """Return the number of stored images that pass."""
    if state.record is None:
        return 0
    table = state.table
    passing = filter_of(table, where)
    if passing is None:
        return int(table.connection.value(table.dialect.count_rows(table)))
    return int(table.connection.value(table.dialect.count_matching(table, passing)))


def files(state: CollectionState, ids: Iterable[int]) -> dict[int, StoredFile]:
    """Return the files of stored images by id; those without a file are left out."""
    wanted = checked_ids(ids)
    if not wanted or not state.has_files:
        return {}
    table = state.table
    rows = table.connection.query_parts(wanted, lambda part: table.dialect.files(table, part))
    return {
        row_id: StoredFile(located(path), size, time_of(mtime_ns), content_hash)
        for row_id, path, content_hash, size, mtime_ns in rows
    }
