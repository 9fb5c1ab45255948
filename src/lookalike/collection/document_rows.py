"""Store documents in the rows of a collection, and find them by their ids."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike.attributes.files import RESERVED_NAMES, AttributeRow, AttributeTable, rows_of
from lookalike.attributes.store import Plan, attributes_of, writing
from lookalike.collection import items
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import check_many, check_text
from lookalike.core.errors import DatabaseError, InputError
from lookalike.core.paths import absolute
from lookalike.core.remote import located
from lookalike.core.vectors import FloatArray, check_embeddings, check_lengths
from lookalike.database.session import LOCK_WAIT_SECONDS
from lookalike.database.table import VectorTable
from lookalike.index.rows import MAX_NAME, insert_rows, put_rows
from lookalike.index.store import IndexStore

TEXT, METADATA = "document_text", "document_metadata"
"""The attributes that hold a document: its text, and its metadata as JSON."""

_RESERVED = {*RESERVED_NAMES, TEXT, METADATA}
_BATCH = 1000


@dataclass(frozen=True)
class Given:
    """Documents to store, each with its key and its attributes."""

    keys: Sequence[str]
    attributes: AttributeTable


def attribute_name(name: str) -> str:
    """Return the attribute of metadata: its name, unless a collection has that for itself."""
    return f"metadata.{name}" if name.lower() in _RESERVED else name


def checked(
    keys: Sequence[str],
    texts: Sequence[str],
    metadata: Sequence[Mapping[str, Any]] | None,
    unfiltered: frozenset[str] = frozenset(),
) -> Given:
    """Return documents with their attributes. Raises InputError for what cannot be stored."""
    for given, what in ((keys, "ids"), (texts, "texts"), (metadata, "metadata")):
        if given is None:
            continue
        check_many(what, given, what)
        if len(given) != len(keys):
            raise InputError(f"{len(given)} {what} do not fit {len(keys)} ids")
    for key in keys:
        check_text("an id", key)
        if not 1 <= len(key) <= MAX_NAME:
            raise InputError(f"the id {key[:60]!r} has {len(key)} characters; give 1 to {MAX_NAME}")
    for text in texts:
        check_text("a text", text)
    every = metadata or [{}] * len(keys)
    rows = [_attributes(*each, unfiltered) for each in zip(keys, texts, every, strict=True)]
    return Given(list(keys), rows_of(rows))


def checked_images(
    paths: Sequence[str | os.PathLike[str]],
    texts: Sequence[str],
    metadata: Sequence[Mapping[str, Any]] | None,
) -> Given:
    """Return images as documents, whose keys are their absolute paths. Raises InputError."""
    check_many("paths", paths, "paths")
    keys = [absolute(path) for path in paths]
    shown = checked([key[-MAX_NAME:] for key in keys], texts, metadata)
    return Given(keys, shown.attributes)


def _attributes(
    key: str, text: str, metadata: Mapping[str, Any], unfiltered: frozenset[str]
) -> dict[str, Any]:
    """Return the attributes of a document: its text, its metadata, and what filters compare."""
    try:
        written = json.dumps(dict(metadata), ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise InputError(f"the metadata of {key!r} is not JSON: {error}") from error
    values = {
        attribute_name(name): value
        for name, value in metadata.items()
        if name not in unfiltered and _is_filterable(name, value)
    }
    return {**values, TEXT: text, METADATA: written}


def _is_filterable(name: object, value: object) -> bool:
    """Whether filters can compare metadata: what cannot be an attribute is only stored."""
    if value is None or value == [] or not isinstance(name, str):
        return False
    try:
        rows_of([{attribute_name(name): value}])
    except InputError:
        return False
    return True


def put(state: CollectionState, given: Given, embeddings: npt.ArrayLike) -> list[int]:
    """Store documents, all or none, and return the ids of their rows; known keys are replaced.

    Writers take turns, so that a key has one row.
    """
    if not given.keys:
        return []
    dim = state.dim
    if dim is None and state.request.model is not None:
        dim = state.model.get().dim
    array = np.atleast_2d(np.asarray(embeddings, np.float32))
    checked = check_embeddings(array, dim or array.shape[-1])
    if len(checked) != len(given.keys):
        raise InputError(f"{len(checked)} embeddings do not fit {len(given.keys)} ids")
    check_lengths(checked, state.dialect.lengths, state.dialect.name)
    items.create(state, checked.shape[1])
    last = {key: place for place, key in enumerate(given.keys)}
    places = list(last.values())
    rows = [given.attributes.rows[place] for place in places]
    with _alone(state.table):
        ids = _write(state.table, state.index, list(last), rows, checked[places])
    stored = dict(zip(last, ids, strict=True))
    state.index.advance_tail(ids)
    state.maintain()
    return [stored[key] for key in given.keys]


def _write(
    table: VectorTable,
    index: IndexStore,
    keys: Sequence[str],
    rows: Sequence[AttributeRow],
    embeddings: FloatArray,
) -> list[int]:
    known = _texts_of(table, keys)
    old = [place for place, key in enumerate(keys) if key in known]
    new = [place for place, key in enumerate(keys) if key not in known]
    ids = dict.fromkeys(keys, 0) | known
    plan = _plan(table, rows)
    with writing(table, plan):
        index.hold()
        old_ids = [known[keys[place]] for place in old]
        rows = _replacing(table, [ids[key] for key in keys], rows)
        if old:
            put_rows(index, old_ids, [keys[place] for place in old], embeddings[old])
        if new:
            inserted = insert_rows(index, [keys[place] for place in new], embeddings[new])
            ids |= {keys[place]: row_id for place, row_id in zip(new, inserted, strict=True)}
        plan.write([(ids[key], row) for key, row in zip(keys, rows, strict=True)])
    return [ids[key] for key in keys]


def describe(state: CollectionState, given: Given) -> None:
    """Set the attributes of stored images, whose keys are paths, all or none."""
    if not given.keys:
        return
    state.require_collection()
    table = state.table
    known = _images_of(table, given.keys)
    if missing := [key for key in given.keys if key not in known]:
        raise InputError(f"collection {table.title!r} has no image of {missing[0]}: add it first")
    by_key = dict(zip(given.keys, given.attributes.rows, strict=True))
    ids = [known[key] for key in by_key]
    plan = _plan(table, list(by_key.values()))
    with writing(table, plan):
        rows = _replacing(table, ids, list(by_key.values()))
        plan.write(list(zip(ids, rows, strict=True)))


def _plan(table: VectorTable, rows: Sequence[AttributeRow]) -> Plan:
    given = rows_of([])
    return Plan(table, replace(given, rows=list(rows)), rows)


def _replacing(
    table: VectorTable, ids: Sequence[int], rows: Sequence[AttributeRow]
) -> list[AttributeRow]:
    """Lock rows, and return their attributes with the removal of what replaced metadata left."""
    there = [row_id for row_id in ids if row_id]
    connection, dialect = table.connection, table.dialect
    connection.query_parts(there, lambda part: dialect.lock_rows(table, part))
    before = attributes_of(table, there)
    changed = []
    for row_id, row in zip(ids, rows, strict=True):
        written = before.get(row_id, {})
        names = {attribute_name(name) for name in json.loads(written.get(METADATA, "{}"))}
        gone = (names & written.keys()) - row.values.keys()
        changed.append(replace(row, values={**dict.fromkeys(sorted(gone)), **row.values}))
    return changed


@contextmanager
def _alone(table: VectorTable) -> Iterator[None]:
    """Keep other clients from storing documents: names of rows have no unique index."""
    dialect = table.dialect
    lock = dialect.documents_lock(table, LOCK_WAIT_SECONDS)
    with table.connection.named_lock(lock, dialect.documents_unlock(table)) as is_ours:
        if not is_ours:
            raise DatabaseError(
                f"other clients have stored documents in {table.title!r} for "
                f"{LOCK_WAIT_SECONDS} seconds; try again"
            )
        yield


def ids_of(table: VectorTable, keys: Sequence[str]) -> dict[str, int]:
    """Return the row ids of documents by key, in the order of keys; unknown keys are left out."""
    check_many("ids", keys, "ids")
    for key in keys:
        check_text("an id", key)
    known = _images_of(table, keys) | _texts_of(table, keys)
    return {key: known[key] for key in keys if key in known}


def _texts_of(table: VectorTable, keys: Sequence[str]) -> dict[str, int]:
    """Return the ids of rows without a file by name; of several with one name the first."""
    connection, dialect = table.connection, table.dialect
    rows = [
        (row_id, name)
        for start in range(0, len(keys), _BATCH)
        for row_id, name in connection.query_parts(
            keys[start : start + _BATCH], lambda part: dialect.ids_by_names(table, part)
        )
    ]
    wanted = set(keys)  # the server ignores letter case
    ids = sorted((row_id for row_id, name in rows if name in wanted), reverse=True)
    if table.has_files and ids:
        files = connection.query_parts(ids, lambda part: dialect.paths(table, part))
        with_file = {row[0] for row in files}
        ids = [row_id for row_id in ids if row_id not in with_file]
    names = dict(rows)
    return {names[row_id]: row_id for row_id in ids}


def _images_of(table: VectorTable, keys: Sequence[str]) -> dict[str, int]:
    """Return the ids of stored files by path."""
    paths = [key for key in keys if located(key).is_absolute()]
    if not table.has_files or not paths:
        return {}
    found = table.connection.query_parts(paths, lambda part: table.dialect.known_files(table, part))
    return {path: row_id for path, row_id, *_ in found}


def read(state: CollectionState, ids: Sequence[int]) -> list[items.Item]:
    """Return rows with their attributes, in the order of ids."""
    return items.get(state, ids, ["attributes"]) if ids else []
