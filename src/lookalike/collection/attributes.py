"""Attributes of a collection's images, for filters."""

import os
from collections.abc import Iterable
from typing import Any

from lookalike.attributes.catalog import make_index
from lookalike.attributes.files import AttributeSource, AttributeTable, read_attributes
from lookalike.attributes.store import attributes_of, store_attributes
from lookalike.collection.state import CollectionState
from lookalike.core.reports import AttributesReport


class CollectionAttributes:
    """`collection.attributes`: set, read and index attributes."""

    def __init__(self, state: CollectionState) -> None:
        self._state = state

    def set(
        self, source: AttributeSource | AttributeTable, *folders: str | os.PathLike[str]
    ) -> AttributesReport:
        """Set attributes of stored images, all or none.

        Args:
            source: A file as for `read_attributes`, or rows with a "path".
            folders: Folders to which paths may also be relative.

        Raises:
            InputError: A value cannot be stored, or no row's image is stored.
            MissingExtra: A Parquet file needs the extra `parquet`.
        """
        given = source if isinstance(source, AttributeTable) else read_attributes(source)
        return store_attributes(self._state.table, given, folders)

    def get(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return attributes of stored images by id; unknown ids are skipped."""
        return attributes_of(self._state.table, list(ids))

    def index(self, name: str) -> bool:
        """Index an attribute in the database; return False if it is already indexed.

        Raises:
            InputError: No image has this attribute.
        """
        return make_index(self._state.table, name)
