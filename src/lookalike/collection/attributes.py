"""Attributes of a collection's images, for filters."""

import os
from collections.abc import Iterable, Mapping
from typing import Any

from lookalike.attributes.catalog import count_attributes, find_attributes, make_index
from lookalike.attributes.changes import drop_attribute
from lookalike.attributes.conditions import Where
from lookalike.attributes.counting import value_counts
from lookalike.attributes.files import (
    AttributeSource,
    AttributeTable,
    read_attributes,
    rows_of,
)
from lookalike.attributes.store import attributes_of, store_attributes, update_attributes
from lookalike.collection.state import CollectionState
from lookalike.core.errors import InputError
from lookalike.core.reports import AttributesReport, AttributeStatus
from lookalike.core.types import ValueCount
from lookalike.index.rows import checked_ids, records


class CollectionAttributes:
    """`collection.attributes`: set, read, list, count, index and drop attributes."""

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
        self._state.require_collection()
        given = source if isinstance(source, AttributeTable) else read_attributes(source)
        return store_attributes(self._state.table, given, folders)

    def update(self, changes: Mapping[int, Mapping[str, Any]]) -> int:
        """Set attributes of stored images by id, all or none; return the number of images.

        Args:
            changes: The attributes to set, by id; the others stay. None removes one.

        Raises:
            InputError: An id is not stored, or a value cannot be stored.

        Example:
            >>> shapes = db.collection("shapes", dim=2)
            >>> (row_id,) = shapes.upsert([[1, 0]], attributes=[{"price": 5, "old": True}])
            >>> shapes.attributes.update({row_id: {"price": 6, "old": None}})
            1
            >>> shapes.attributes.get([row_id])
            {1: {'price': 6}}
        """
        self._state.require_collection()
        table, ids = self._state.table, checked_ids(changes)
        given = rows_of(list(changes.values()))
        with update_attributes(table, given) as write:
            stored = {record.id for record in records(table, ids)}
            for row_id in ids:
                if row_id not in stored:
                    raise InputError(f"collection {table.title!r} has no image with id {row_id}")
            write(ids)
        return len(ids)

    def get(self, ids: Iterable[int]) -> dict[int, dict[str, Any]]:
        """Return attributes of stored images by id; unknown ids are skipped."""
        return attributes_of(self._state.table, list(ids))

    def counts(self, name: str, *, where: Where | None = None, limit: int = 20) -> list[ValueCount]:
        """Return an attribute's values with their numbers of images, the most frequent first.

        Of lists, each of their values is counted. Reads the whole table, or that of the files.

        Args:
            name: An attribute; or image_name, path, modified, folder (the name of the file's
                folder) or suffix (of its name, in lower case, without the dot), where no attribute
                has that name.
            where: Count only images that pass these conditions, as in `search`.
            limit: Most values.

        Raises:
            InputError: There is no such attribute, or a condition is not valid.
        """
        return value_counts(self._state.table, name, where, limit)

    def list(self) -> list[AttributeStatus]:
        """Return all attributes by name, with the number of rows that have each.

        Reads the whole table.
        """
        return count_attributes(self._state.table)

    def find(self, *names: str) -> dict[str, str]:
        """Return the names of attributes as they are stored, by the names that were asked for.

        Names of columns may differ in letter case.

        Raises:
            InputError: No image has one of them; the message names the nearest.
        """
        found = find_attributes(self._state.table, names)
        return {name: attribute.name for name, attribute in found.items()}

    def drop(self, name: str, *, dry_run: bool = False) -> int:
        """Remove an attribute from all images, and its database indexes.

        Repeat the call if it was interrupted: it finishes.

        Args:
            name: The attribute.
            dry_run: Change nothing.

        Returns:
            The number of images that had it.

        Raises:
            InputError: No image has this attribute, or it is a column of your own: that stays.
        """
        self._state.require_collection()
        return drop_attribute(self._state.table, name, dry_run=dry_run)

    def index(self, name: str) -> bool:
        """Index an attribute in the database; return False if it is already indexed.

        Raises:
            InputError: No image has this attribute.
        """
        self._state.require_collection()
        return make_index(self._state.table, name)
