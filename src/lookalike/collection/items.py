"""Store and read embeddings that users bring: `upsert` and `get`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lookalike.attributes.files import rows_of
from lookalike.attributes.store import attributes_of, update_attributes
from lookalike.collection.state import CollectionState
from lookalike.core.arguments import check_int, check_many, check_text
from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.vectors import FloatArray, check_embeddings, check_lengths, ids_array, unpack
from lookalike.database.leases import settle
from lookalike.index.rows import checked_ids, insert_rows, put_rows, records

INCLUDABLE = ("embedding", "attributes")


@dataclass(frozen=True, eq=False)
class Item:
    """A stored image.

    Attributes:
        id: Row id.
        image_name: Name of the row, "" if it has none.
        path: Its file; None if only its embedding is stored.
        embedding: Shape (dim,), float32; None if not requested, or if the row has none.
        attributes: Empty unless requested.
    """

    id: int
    image_name: str
    path: Path | None
    embedding: FloatArray | None
    attributes: dict[str, Any]


def upsert(
    state: CollectionState,
    embeddings: npt.ArrayLike,
    names: Sequence[str] | None,
    ids: Sequence[int] | None,
    attributes: Sequence[dict[str, Any]] | None,
) -> list[int]:
    """Store embeddings, all or none, and return the ids of their rows."""
    for given, what in ((names, "names"), (attributes, "attributes"), (ids, "ids")):
        if given is not None:
            check_many(what, given, what)
    for name in names or ():
        check_text("a name", name)
    for row_id in [] if ids is None else ids:
        check_int("an id", row_id)
    dim = state.dim or state.model.get().dim
    checked = check_embeddings(embeddings, dim)
    for given, what in ((names, "names"), (attributes, "attributes"), (ids, "ids")):
        if given is not None and len(given) != len(checked):
            raise EmbeddingError(f"{len(given)} {what} do not fit {len(checked)} embeddings")
    if ids is not None and len(set(ids)) != len(ids):
        twice = next(row_id for row_id in ids if list(ids).count(row_id) > 1)
        raise InputError(f"id {twice} comes twice")
    check_lengths(checked, state.dialect.lengths, state.dialect.name)
    given_attributes = None if attributes is None else rows_of(attributes)
    create(state, dim)
    table, index = state.table, state.index
    settle(table)
    with update_attributes(table, given_attributes) as set_attributes:
        if ids is None:
            stored = insert_rows(index, names or [""] * len(checked), checked)
        else:
            stored = ids_array(ids).tolist()
            put_rows(index, stored, names, checked)
        set_attributes(stored)
    index.advance_tail(stored)
    state.maintain()
    return stored


def create(state: CollectionState, dim: int) -> None:
    """Create the collection's tables, those that are missing, for embeddings that users bring."""
    model_id = state.model_id
    if model_id is None and state.request.model is not None:
        model_id = state.model.get().id
    state.create(dim, model_id)


def check_include(include: Sequence[str]) -> None:
    """Raise InputError for what items cannot include."""
    check_many("include", include, "names")
    for each in include:
        if each not in INCLUDABLE:
            raise InputError(f"{each!r} cannot be included; give {' or '.join(INCLUDABLE)}")


def get(state: CollectionState, ids: Iterable[int], include: Sequence[str]) -> list[Item]:
    """Return stored images by id, in the order of ids; unknown ids are skipped."""
    check_include(include)
    table, ids = state.table, checked_ids(ids)
    found = records(table, ids)
    embeddings: dict[int, FloatArray] = {}
    if "embedding" in include and found:
        rows = table.connection.query_parts(ids, lambda part: table.dialect.embeddings(table, part))
        known = [row for row in rows if row[1] is not None]
        unpacked = unpack([row[1] for row in known], table.dim)
        embeddings = dict(zip((row[0] for row in known), unpacked, strict=True))
    attributes = attributes_of(table, ids) if "attributes" in include else {}
    return [
        Item(
            record.id,
            record.image_name,
            record.path,
            embeddings.get(record.id),
            attributes.get(record.id, {}),
        )
        for record in found
    ]
