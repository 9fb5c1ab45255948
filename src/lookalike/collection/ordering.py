"""Orders of stored images: by id, by an attribute, or by what lookalike itself stores of them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lookalike.attributes.catalog import built_in_names, find_attributes
from lookalike.attributes.store import attributes_of
from lookalike.core.arguments import check_text
from lookalike.core.types import Match
from lookalike.database.table import VectorTable
from lookalike.dialects import FOLDER, IMAGE_NAME, MODIFIED, PATH, SUFFIX, Order

_OF_PATH: dict[str, Callable[[Path], str]] = {
    PATH.name: str,
    FOLDER.name: lambda path: path.parent.name,
    SUFFIX.name: lambda path: path.suffix[1:].lower(),
}


def order_of(table: VectorTable, order_by: str) -> Order:
    """Return what `order_by` asks for: a name, with "-" before it for the largest first.

    Raises InputError for a name that is neither an attribute nor built in.
    """
    check_text("order_by", order_by)
    name = order_by.removeprefix("-")
    is_descending = name != order_by
    if name == "id":
        return Order(None, is_descending)
    known = find_attributes(table, [name], built_in_names(table))
    return Order(known[name], is_descending)


def values_of(table: VectorTable, order: Order, matches: Sequence[Match]) -> dict[int, Any]:
    """Return the values by which matches are ordered, by id; those without one are left out.

    The matches must have their paths.
    """
    attribute = order.attribute
    if attribute is None:
        return {match.id: match.id for match in matches}
    if attribute == IMAGE_NAME:  # as the column is ordered
        return {match.id: match.image_name.casefold() for match in matches if match.image_name}
    if attribute.is_built_in and attribute != MODIFIED:
        read = _OF_PATH[attribute.name]
        known = {match.id: read(match.path) for match in matches if match.path}
        return {row_id: value for row_id, value in known.items() if value}
    ids = list({match.id for match in matches})
    if attribute == MODIFIED:
        rows = table.connection.query_parts(ids, lambda part: table.dialect.files(table, part))
        return {row[0]: row[4] for row in rows}
    found = attributes_of(table, ids)
    values = ((row_id, each.get(attribute.name)) for row_id, each in found.items())
    return {row_id: value for row_id, value in values if value is not None}
