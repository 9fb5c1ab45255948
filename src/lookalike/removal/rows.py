"""Rows with all that belongs to them: codes, file, facts and decisions, taken out and put back."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from lookalike.attributes.files import AttributeRow, AttributeTable
from lookalike.attributes.store import Plan, writing
from lookalike.core.remote import located
from lookalike.core.removals import TakenFacts, TakenFile, TakenRow
from lookalike.core.vectors import of_server
from lookalike.database.connection import Row
from lookalike.database.errors import MissingTable
from lookalike.database.leases import delete_beside, lease, settle
from lookalike.database.table import VectorTable
from lookalike.dialects import KeptColumn, Lock, Statement, StoredFile
from lookalike.index.store import IndexStore

_BATCH = 1000

Pair = tuple[int, int]


def take_rows(index: IndexStore, ids: Sequence[int]) -> list[TakenRow]:
    """Delete rows with all that belongs to them, all or none, and return it; by id."""
    table, taken = index.table, list[TakenRow]()
    columns = _columns(table)
    settle(table)
    with table.connection.transaction():
        index.hold()
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            found = _read(table, columns, part)
            taken += found
            index.remove(part)
            if table.shards and found:
                lease(table).note([row.id for row in found])
            table.connection.execute(table.dialect.delete_rows(table, part))
            if table.shards:
                delete_beside(table.connection, table, part)
    index.prune_log()
    return taken


def _columns(table: VectorTable) -> list[KeptColumn]:
    rows = table.connection.query(table.dialect.columns_to_keep(table))
    return [KeptColumn(*row) for row in rows]


def _read(table: VectorTable, columns: Sequence[KeptColumn], ids: Sequence[int]) -> list[TakenRow]:
    """Return rows that are locked from here on."""
    dialect, connection = table.dialect, table.connection
    rows = connection.query(dialect.lock_whole_rows(table, columns, ids))
    files = facts = {}
    if table.has_files:
        files = _by_id(table, ids, dialect.lock_whole_files)
        facts = _by_id(table, ids, dialect.lock_whole_facts)
    distinct: dict[int, list[int]] = defaultdict(list)
    with suppress(MissingTable):
        for one, other in connection.query(dialect.distinct_from(table, ids)):
            distinct[one].append(other)
    return [
        TakenRow(
            row_id,
            {
                column.name: of_server(value) if column.is_vector and value is not None else value
                for column, value in zip(columns, values, strict=True)
            },
            TakenFile(located(files[row_id][0]), *files[row_id][1:]) if row_id in files else None,
            TakenFacts(*facts[row_id]) if row_id in facts else None,
            tuple(distinct[row_id]),
        )
        for row_id, *values in rows
    ]


def _by_id(
    table: VectorTable, ids: Sequence[int], make: Callable[[VectorTable, Sequence[int]], Statement]
) -> dict[int, Row]:
    try:
        return {row[0]: row[1:] for row in table.connection.query(make(table, ids))}
    except MissingTable:
        return {}


def put_back_rows(
    index: IndexStore, rows: Sequence[TakenRow], waiting: set[Pair]
) -> dict[int, str]:
    """Insert rows with all that belonged to them, in one transaction.

    Returns why some are left out, by id. waiting: decisions about a row that is not there, to be
    made when it is put back.
    """
    table, failed = index.table, dict[int, str]()
    there = _columns(table)
    plan = _plan(table, rows, {column.name for column in there})
    settle(table)
    with writing(table, plan):
        index.hold()
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            failed |= hindrances(table, part, is_locking=True)
            free = [row for row in part if row.id not in failed]
            if free:
                _insert(index, free, there)
        pairs = {_pair(row.id, other) for row in rows for other in row.distinct}
        made = _decide(table, waiting | pairs)
    waiting |= pairs
    waiting -= made
    return failed


def hindrances(
    table: VectorTable, rows: Sequence[TakenRow], *, is_locking: bool = False
) -> dict[int, str]:
    """Return why rows cannot be put back, by id: of others that have their ids or paths now."""
    dialect, connection = table.dialect, table.connection
    ids = [row.id for row in rows]
    locked = dialect.lock_rows if is_locking else dialect.records
    failed = {row[0]: "its id is in use" for row in connection.query(locked(table, ids))}
    paths = {str(row.file.path): row.id for row in rows if row.file}
    if paths:
        lock: Lock = "update" if is_locking else ""
        for path, row_id, *_ in connection.query_parts(
            list(paths), lambda part: dialect.known_files(table, part, lock=lock)
        ):
            is_same = paths[path] == row_id
            failed[paths[path]] = (
                "it is there" if is_same else f"image {row_id} has its path now, {path}"
            )
    return failed


def _insert(index: IndexStore, rows: Sequence[TakenRow], there: Sequence[KeptColumn]) -> None:
    table = index.table
    dialect, connection = table.dialect, table.connection
    columns = [column for column in there if column.name in rows[0].columns]
    if table.shards:
        lease(table).note([row.id for row in rows])
    whole = [(row.id, *(row.columns[column.name] for column in columns)) for row in rows]
    connection.execute_parts(whole, lambda part: dialect.insert_whole_rows(table, columns, part))
    files = [
        (row.id, StoredFile(row.file.path, row.file.content_hash, row.file.size, row.file.mtime_ns))
        for row in rows
        if row.file
    ]
    connection.execute_parts(files, lambda part: dialect.insert_files(table, part))
    facts = [
        (row.id, each.content_hash, each.path_hash, each.has_location, each.facts)
        for row in rows
        if (each := row.facts)
    ]
    with suppress(MissingTable):
        connection.execute_parts(facts, lambda part: dialect.insert_whole_facts(table, part))
    packed = [(row.id, row.columns[table.embedding_column]) for row in rows]
    ids, embeddings = table.indexable(packed)
    index.insert(ids.tolist(), embeddings)


def _decide(table: VectorTable, pairs: Iterable[Pair]) -> set[Pair]:
    """Note pairs as distinct whose images are there, and return them."""
    wanted = sorted(pairs)
    if not wanted:
        return set()
    dialect, connection = table.dialect, table.connection
    ids = sorted({row_id for pair in wanted for row_id in pair})
    rows = connection.query_parts(ids, lambda part: dialect.lock_rows(table, part))
    there = {row[0] for row in rows}
    made = [pair for pair in wanted if there.issuperset(pair)]
    with suppress(MissingTable):
        connection.execute_parts(made, lambda part: dialect.insert_distinct(table, part))
    return set(made)


def _pair(one: int, other: int) -> Pair:
    return min(one, other), max(one, other)


def _plan(table: VectorTable, rows: Sequence[TakenRow], columns: set[str]) -> Plan | None:
    """Return the attributes to note, where somebody has dropped them meanwhile."""
    objects = [_attributes_of(row, {name.casefold() for name in columns}) for row in rows]
    given = [AttributeRow("", "", each, {}) for each in objects if each]
    return Plan(table, AttributeTable("", Path("/"), given), given) if given else None


def _attributes_of(row: TakenRow, columns: set[str]) -> dict[str, Any]:
    """Return the attributes that are kept in JSON, and that no column hides."""
    stored = row.columns.get("attributes")
    try:
        found = json.loads(stored) if isinstance(stored, str) else {}
    except ValueError:  # a text column of the user's own
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: value
        for name, value in found.items()
        if name.casefold() not in columns and isinstance(value, str | int | float | list)
    }
