"""Count the values of an attribute: how many images have each."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from lookalike.attributes.catalog import built_in_names, filter_of, find_attributes
from lookalike.attributes.conditions import Where
from lookalike.attributes.store import read_column
from lookalike.core.arguments import check_int, check_text
from lookalike.core.errors import InputError
from lookalike.core.types import ValueCount
from lookalike.database.table import VectorTable
from lookalike.dialects import MODIFIED, Attribute

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def value_counts(
    table: VectorTable, name: str, where: Where | None, limit: int
) -> list[ValueCount]:
    """Return the values of an attribute with their numbers of rows, the most frequent first.

    Raises InputError for an unknown name or limit.
    """
    check_text("the name of an attribute", name)
    check_int("limit", limit)
    if limit < 1:
        raise InputError(f"limit is {limit}; ask for 1 value or more")
    attribute = find_attributes(table, [name], built_in_names(table))[name]
    passing = filter_of(table, where)
    rows = table.connection.query(table.dialect.count_each_value(table, attribute, passing, limit))
    return [ValueCount(_read(attribute, value), int(n)) for value, n in rows]


def _read(attribute: Attribute, value: Any) -> Any:
    if attribute == MODIFIED:
        return time_of(value)
    if attribute.is_column and "list" not in attribute.kinds:
        return read_column(attribute, value)
    return json.loads(value)


def time_of(mtime_ns: int) -> datetime:
    """Return nanoseconds since 1970 as a time in UTC, to the microsecond."""
    return _EPOCH + timedelta(microseconds=mtime_ns // 1000)
