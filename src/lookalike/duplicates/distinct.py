"""What people have decided: images that are no duplicates of one another."""

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

from lookalike.core.errors import InputError
from lookalike.database.errors import MissingTable
from lookalike.database.table import VectorTable
from lookalike.index.rows import find


def distinct_images(table: VectorTable) -> list[tuple[int, int]]:
    """Return the pairs of ids that were decided to be distinct, the smaller first."""
    try:
        rows = table.connection.query(table.dialect.distinct(table))
    except MissingTable:
        return []
    return [(row[0], row[1]) for row in rows]


def mark_distinct(table: VectorTable, ids: Sequence[int], id_type: str) -> None:
    """Remember that none of these stored images is a duplicate of another of them.

    id_type: the SQL type of the collection's ids.
    """
    pairs = _pairs(ids)
    connection, dialect = table.connection, table.dialect
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


def one_image_each(table: VectorTable, images: Sequence[int | str | os.PathLike[str]]) -> list[int]:
    """Return the ids of stored images, each given by id, path or name.

    Raises InputError for what is not stored, and for a folder of several images.
    """
    ids = []
    for image in images:
        if isinstance(image, str) and not image.isdecimal() and Path(image).is_file():
            image = Path(image)  # one that is not stored is not looked for by name
        found = find(table, [image])
        if len(found) > 1:
            raise InputError(f"{image} is a folder of {len(found):,} stored images: give one image")
        ids += found
    return ids


def _pairs(ids: Sequence[int]) -> list[tuple[int, int]]:
    pairs = list(combinations(sorted(set(ids)), 2))
    if not pairs:
        raise InputError("name at least two different images")
    return pairs
