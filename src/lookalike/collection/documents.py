"""A collection's rows as documents: texts and images with text ids and metadata."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from lookalike.attributes.conditions import Where
from lookalike.collection import browsing, document_rows, querying
from lookalike.collection.document_filters import known_conditions
from lookalike.collection.document_rows import METADATA, TEXT
from lookalike.collection.items import Item
from lookalike.collection.state import CollectionState
from lookalike.core.types import Match
from lookalike.database.schema import find_collection
from lookalike.index.rows import delete_rows
from lookalike.search.source import AnyQuery


@dataclass(frozen=True)
class Document:
    """A stored text or image with its metadata.

    Attributes:
        key: A text's own id; the path of an image's file; None for a row without a name.
        text: The text; of an image without one its name.
        metadata: As it was stored; of images also "path". Of rows that were not stored as
            documents their attributes.
        id: Row id.
        path: The image's file; None for a text.
        similarity: By the collection's metric, larger is nearer; None where nothing was searched.
    """

    key: str | None
    text: str
    metadata: dict[str, Any]
    id: int
    path: Path | None = None
    similarity: float | None = None


class CollectionDocuments:
    """`collection.documents`: store, get, search and delete documents.

    A text's id is its row's name, an image's the path of its file. Text and metadata are
    attributes; filters use all metadata that can be an attribute.
    """

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def put(
        self,
        keys: Sequence[str],
        embeddings: npt.ArrayLike,
        texts: Sequence[str],
        metadata: Sequence[Mapping[str, Any]] | None = None,
        *,
        unfiltered: Iterable[str] = (),
    ) -> list[int]:
        """Store texts, all or none, and return their row ids; known ids are replaced.

        Args:
            keys: The texts' ids, 255 characters at most; of one that comes twice the last counts.
            embeddings: Shape (n, dim).
            texts: The texts.
            metadata: One JSON object each.
            unfiltered: Names of metadata that filters do not need.

        Raises:
            EmbeddingError: Another shape, NaN, infinity or an all-zero row.
            InputError: The lengths differ, or an id or metadata cannot be stored.

        Example:
            >>> notes = db.collection("notes").documents
            >>> notes.put(["a", "b"], [[1, 0], [0, 1]], ["east", "north"], [{"page": 1}, {}])
            [1, 2]
            >>> [document.text for document in notes.search([1, 0.2], where={"page": 1})]
            ['east']
        """
        given = document_rows.checked(keys, texts, metadata, frozenset(unfiltered))
        return document_rows.put(self._state, given, embeddings)

    def describe(
        self,
        paths: Sequence[str | os.PathLike[str]],
        texts: Sequence[str],
        metadata: Sequence[Mapping[str, Any]] | None = None,
    ) -> list[str]:
        """Set text and metadata of stored images by path, all or none; return their keys.

        Raises:
            InputError: An image is not stored, the lengths differ, or metadata cannot be stored.
        """
        given = document_rows.checked_images(paths, texts, metadata)
        document_rows.describe(self._state, given)
        return list(given.keys)

    def get(self, keys: Iterable[str]) -> list[Document]:
        """Return documents by id, in the order of ids; unknown ids are skipped."""
        if not self._is_there():
            return []
        known = document_rows.ids_of(self._state.table, list(keys))
        return self._documents(list(known.values()))

    def find(self, where: Where | None = None) -> list[Document]:
        """Return all documents that pass conditions, by row id."""
        return self._documents(self._ids(where))

    def search(
        self,
        query: AnyQuery,
        *,
        k: int = 10,
        where: Where | None = None,
    ) -> list[Document]:
        """Return the k documents most similar to a query, as for `Collection.search`, best first.

        where: conditions as in `Collection.search`, on metadata too; what no document has, is
            missing. For metadata that a row cannot have as an attribute, there are none.
        """
        if not self._is_there():
            return []
        passing = known_conditions(self._state.table, where)
        if passing is None:
            return []
        (found,) = querying.search_many(
            self._state, [query], k=k, where=list(passing), include=["attributes"]
        )
        return [_document(match, match.attributes or {}, match.similarity) for match in found]

    def delete(self, keys: Iterable[str]) -> int:
        """Delete documents by id, all or none, and return their number; files stay."""
        if not self._is_there():
            return 0
        return self._remove(list(document_rows.ids_of(self._state.table, list(keys)).values()))

    def delete_where(self, where: Where | None) -> int:
        """Delete all rows that pass conditions, or all rows, and return their number."""
        return self._remove(self._ids(where))

    def _ids(self, where: Where | None) -> list[int]:
        if not self._is_there():
            return []
        passing = known_conditions(self._state.table, where)
        if passing is None:
            return []
        return browsing.all_ids(self._state, list(passing))

    def _remove(self, ids: list[int]) -> int:
        self._state.require_collection()
        return delete_rows(self._state.index, ids) if ids else 0

    def _documents(self, ids: Sequence[int]) -> list[Document]:
        found = document_rows.read(self._state, ids)
        return [_document(item, item.attributes, None) for item in found]

    def _is_there(self) -> bool:
        """Whether the collection exists; another client may have created it."""
        state = self._state
        if state.record is None:
            state.record = find_collection(state.connection, state.dialect, state.name)
        return state.record is not None


def _document(row: Item | Match, attributes: Mapping[str, Any], near: float | None) -> Document:
    rest = dict(attributes)
    text, stored = rest.pop(TEXT, None), rest.pop(METADATA, None)
    metadata = rest if stored is None else json.loads(stored)
    key = row.image_name or None
    if row.path is not None:
        key = str(row.path)
        metadata = {"path": key} | metadata
    return Document(key, row.image_name if text is None else text, metadata, row.id, row.path, near)
