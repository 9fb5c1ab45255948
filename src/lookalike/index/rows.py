"""Insert, look up and delete rows of a collection, with their codes."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from lookalike.core.arguments import check_int, check_many, wrong
from lookalike.core.errors import InputError
from lookalike.core.paths import absolute
from lookalike.core.remote import located
from lookalike.core.types import ImageRecord, Match
from lookalike.core.vectors import FloatArray, check_embedding, ids_array, pack, unpack
from lookalike.database.leases import delete_beside, lease, settle
from lookalike.database.table import VectorTable
from lookalike.dialects import Statement
from lookalike.index.names import id_of
from lookalike.index.store import IndexStore

MAX_NAME = 255
"""The length of the article's image_name column, in characters."""

_BATCH = 1000
_MAX_INSERT_BYTES = 8_000_000


def stored_name(name: str) -> str:
    """Return the name as the image_name column can store it: its last 255 characters."""
    return name[-MAX_NAME:]


def insert_rows(store: IndexStore, names: Sequence[str], embeddings: FloatArray) -> list[int]:
    """Insert names and embeddings (n, dim) with their codes, and return the ids.

    Runs in the caller's transaction, because it takes several statements.
    """
    step = 0
    if not store.table.shards:
        step = int(store.table.connection.value(store.table.dialect.id_step()))
    size = max(1, min(_BATCH, _MAX_INSERT_BYTES // (4 * store.table.dim)))
    ids: list[int] = []
    for start in range(0, len(names), size):
        part = slice(start, start + size)
        ids += _insert_batch(store, names[part], embeddings[part], step)
    return ids


def _insert_batch(
    store: IndexStore, names: Sequence[str], embeddings: FloatArray, id_step: int
) -> list[int]:
    table, ids = store.table, list[int]()
    rows = [
        (stored_name(name), pack(embedding))
        for name, embedding in zip(names, embeddings, strict=True)
    ]

    def make(part: Sequence[tuple[str, bytes]]) -> Statement:
        return table.dialect.insert_embeddings(table, part)

    if table.shards:
        ids = lease(table).make(len(rows))
        numbered = [(row_id, *row) for row_id, row in zip(ids, rows, strict=True)]
        table.connection.execute_parts(
            numbered, lambda part: table.dialect.insert_with_ids(table, part)
        )
        rows = []
    for part in table.connection.parts(rows, make):
        first = table.connection.insert(make(part))
        ids += range(first, first + id_step * len(part), id_step)
    ids_array(ids)  # raises for ids that no search could return
    store.insert(ids, embeddings)
    return ids


def put_rows(
    store: IndexStore, ids: Sequence[int], names: Sequence[str] | None, embeddings: FloatArray
) -> None:
    """Create rows with these ids, or replace existing ones, with their codes.

    Runs in the caller's transaction. Existing rows keep their names if names is None. Raises
    InputError for the row of a file, because its embedding belongs to the file.
    """
    table = store.table
    connection, dialect = table.connection, table.dialect
    store.hold()
    for start in range(0, len(ids), _BATCH):
        part = slice(start, start + _BATCH)
        _refuse_files(table, ids[part])
        there = {row[0] for row in connection.query(dialect.lock_rows(table, ids[part]))}
        store.remove([row_id for row_id in ids[part] if row_id in there])
        if table.shards:
            lease(table).note([row_id for row_id in ids[part] if row_id not in there])
        rows = [
            (row_id, stored_name(names[place]) if names else None, pack(embeddings[place]))
            for place, row_id in enumerate(ids[part], start)
        ]
        connection.execute_parts(
            [row for row in rows if row[0] not in there],
            lambda new: dialect.insert_with_ids(table, new),
        )
        for row_id, name, packed in rows:
            if row_id in there:
                connection.execute(dialect.update_embedding(table, row_id, packed))
                if name is not None:
                    connection.execute(dialect.update_name(table, row_id, name))
        store.insert(ids[part], embeddings[part])


def _refuse_files(table: VectorTable, ids: Sequence[int]) -> None:
    if not table.has_files:
        return
    for row_id, path in table.connection.query(table.dialect.paths(table, ids)):
        raise InputError(
            f"row {row_id} is of the file {path}: its embedding is the file's; remove the row "
            "first, or choose another id"
        )


def delete_rows(store: IndexStore, ids: Sequence[int]) -> int:
    """Delete the rows with these ids and their codes, all or none; return their number."""
    table, deleted = store.table, 0
    settle(table)
    with table.connection.transaction():
        for start in range(0, len(ids), _BATCH):
            part = ids[start : start + _BATCH]
            store.remove(part)
            deleted += _delete(table, part)
    store.prune_log()
    return deleted


def _delete(table: VectorTable, ids: Sequence[int]) -> int:
    connection, dialect = table.connection, table.dialect
    if not table.shards:
        return connection.execute(dialect.delete_rows(table, ids))
    # Spider counts wrongly what it deletes.
    there = [row[0] for row in connection.query(dialect.lock_rows(table, ids))]
    if there:
        lease(table).note(there)
        connection.execute(dialect.delete_rows(table, there))
        delete_beside(connection, table, there)
    return len(there)


def embedding_of(table: VectorTable, row_id: int) -> FloatArray:
    """Return the embedding, shape (dim,), of a stored image. Raises InputError if there is none."""
    rows = table.connection.query(table.dialect.embeddings(table, [row_id]))
    if not rows or rows[0][1] is None:
        raise InputError(f"collection {table.title!r} has no image with id {row_id}")
    return check_embedding(unpack([rows[0][1]], table.dim)[0], table.dim)


def ids_of_content(table: VectorTable, content_hash: bytes) -> list[int]:
    """Return the ids of stored files with this content, by SHA-256."""
    statement = table.dialect.ids_by_content(table, content_hash)
    return [row[0] for row in table.connection.query(statement)]


def checked_ids(ids: Iterable[int]) -> list[int]:
    """Return ids as a list. Raises InputError for anything else."""
    check_many("ids", ids, "ids")
    wanted = list(ids)
    for row_id in wanted:
        check_int("an id", row_id)
    return wanted


def records(table: VectorTable, ids: Iterable[int]) -> list[ImageRecord]:
    """Return stored images by id, in the order of ids; unknown ids are skipped."""
    wanted = checked_ids(ids)
    if not wanted:
        return []
    connection, dialect = table.connection, table.dialect
    found = connection.query_parts(wanted, lambda part: dialect.records(table, part))
    names: dict[int, str | None] = dict(found)
    paths: dict[int, str] = {}
    if table.has_files:
        paths = dict(connection.query_parts(wanted, lambda part: dialect.paths(table, part)))
    return [
        ImageRecord(i, names[i] or "", located(paths[i]) if i in paths else None)
        for i in wanted
        if i in names
    ]


def with_paths(table: VectorTable, matches: Sequence[Match]) -> list[Match]:
    """Return matches with the paths of their files."""
    if not table.has_files or not matches:
        return list(matches)
    found = table.connection.query_parts(
        [match.id for match in matches], lambda part: table.dialect.paths(table, part)
    )
    paths: dict[int, str] = dict(found)
    return [
        replace(match, path=located(paths[match.id])) if match.id in paths else match
        for match in matches
    ]


def with_keys(table: VectorTable, matches: Sequence[Match]) -> list[Match]:
    """Return matches with the keys of their rows, where a mapping table numbers them."""
    if table.source is None or not table.keys or not matches:
        return list(matches)
    found = table.connection.query_parts(
        list({match.id for match in matches}), lambda part: table.dialect.key_values(table, part)
    )
    field = "id" if table.source.has_integers else "key"
    keys: dict[int, Any] = dict(found)
    return [
        replace(match, **{field: keys[match.id]}) if match.id in keys else match
        for match in matches
    ]


def number_of(table: VectorTable, key: int | str) -> int | None:
    """Return the number of a key in the mapping table; None without one."""
    if table.source is None or not table.keys:
        return None
    if table.source.has_integers != isinstance(key, int):
        return None
    found = table.connection.value(table.dialect.ids_of_key(table, key))
    return None if found is None else int(found)


def find(table: VectorTable, targets: Iterable[int | str | os.PathLike[str]]) -> list[int]:
    """Return the ids of rows given by id, file path, folder or name, each once.

    Raises InputError for a target that is not stored.
    """
    ids = (row_id for target in targets for row_id in _ids_of(table, target))
    return list(dict.fromkeys(ids))


def _ids_of(table: VectorTable, target: int | str | os.PathLike[str]) -> list[int]:
    if isinstance(target, bool) or not isinstance(target, int | str | os.PathLike):
        raise wrong("a stored image", target, "an id, a path or a name")
    connection, dialect = table.connection, table.dialect
    if table.has_files and not isinstance(target, int):
        path = absolute(target)
        known = connection.query(dialect.known_files(table, [path]))
        ids = [row[1] for row in known] or [row[0] for row in files_below(table, path)]
        if ids:
            return ids
        if isinstance(target, os.PathLike):
            raise InputError(f"no image is stored of {target}")
    row_id = target if isinstance(target, int) else id_of(table, str(target))
    if not connection.query(dialect.records(table, [row_id])):
        raise InputError(f"collection {table.title!r} has no image with id {row_id}")
    return [row_id]


def files_below(table: VectorTable, folder: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Yield (id, path) of the stored files below a folder, by id."""
    prefix, after = f"{os.fspath(folder).rstrip('/')}/", 0
    while rows := table.connection.query(table.dialect.files_below(table, prefix, after, _BATCH)):
        yield from rows
        after = rows[-1][0]
