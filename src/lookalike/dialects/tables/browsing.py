"""SQL of browsing: rows in an order, without a query; how many there are, and of which values."""

from typing import Any, NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import (
    Attribute,
    Kind,
    expression,
    is_of_kind,
    json_type,
    json_value,
)
from lookalike.dialects.tables.filters import (
    FOLDER,
    IMAGE_NAME,
    MODIFIED,
    OF_FILE,
    PATH,
    SUFFIX,
    Filter,
    and_,
    file_value,
)
from lookalike.dialects.tables.shards import ShardsSQL

_AFTER_NUMBERS: tuple[Kind, Kind] = ("text", "list")
"""Of values of several kinds, numbers and truths come first, then these."""


class Order(NamedTuple):
    """What rows are ordered by: an attribute, or the id where that is None.

    is_descending: whether the largest come first.
    """

    attribute: Attribute | None
    is_descending: bool


class BrowsingSQL(ShardsSQL):
    """Statements that read rows of a collection's table `v` in an order, or count them."""

    def count_matching(self, table: Table, where: Filter) -> Statement:
        rows = _passing(table, None, where)
        return Statement(f"SELECT {rows.hint}COUNT(*) FROM {rows.sql}", rows.params)

    def browse(
        self, table: Table, order: Order, where: Filter | None, limit: int, offset: int
    ) -> Statement:
        """Select the ids of rows that have a value, by value, then by id in the same direction."""
        rows = _valued(self, table, order, where)
        direction = " DESC" if order.is_descending else ""
        keys = [f"{key}{direction}" for key in (*_order_keys(self, table, order), rows.id)]
        return Statement(
            f"SELECT {rows.hint}{rows.id} FROM {rows.sql} ORDER BY {', '.join(keys)} "
            "LIMIT %s OFFSET %s",
            (*rows.params, limit, offset),
        )

    def count_valued(self, table: Table, order: Order, where: Filter | None) -> Statement:
        """Select the number of rows that have a value."""
        rows = _valued(self, table, order, where)
        return Statement(f"SELECT {rows.hint}COUNT(*) FROM {rows.sql}", rows.params)

    def browse_valueless(
        self, table: Table, order: Order, where: Filter | None, limit: int, offset: int
    ) -> Statement:
        """Select the ids of rows without a value, by id."""
        assert order.attribute is not None  # each row has an id
        if order.attribute in OF_FILE:
            value = file_value(self, order.attribute)
            missing = (
                f"NOT EXISTS (SELECT 1 FROM {table.side('_files')} AS f "
                f"WHERE f.id = v.{table.id} AND {value} IS NOT NULL)"
            )
        else:
            missing = self.on_head(table, f"NOT ({_has_value(table, order.attribute)})")
        passing = and_(where)
        direction = " DESC" if order.is_descending else ""
        return Statement(
            f"SELECT v.{table.id} FROM {table.sql} AS v WHERE {missing}{passing.sql} "
            f"ORDER BY v.{table.id}{direction} LIMIT %s OFFSET %s",
            (*passing.params, limit, offset),
        )

    def count_each_value(
        self, table: Table, attribute: Attribute, where: Filter | None, limit: int
    ) -> Statement:
        """Select (value, rows) of an attribute's values, the most frequent first.

        Of attributes in JSON, and of lists' items, the value is JSON. Reads the whole table, or
        that of files.
        """
        rows = _passing(table, attribute, where)
        value, counted, grouped = _value(self, table, attribute), "COUNT(*)", "found"
        if "list" in attribute.kinds:
            items, value = self.items_table(value)
            rows = rows._replace(source=f"{rows.source} JOIN {items}")
            counted = f"COUNT(DISTINCT v.{table.id})"
        # After grouping: a condition on the value itself would compute each twice.
        if not attribute.is_column or "list" in attribute.kinds:
            has_value = "JSON_TYPE(found) <> 'NULL'"
        else:
            has_value = "found <> ''" if attribute == IMAGE_NAME else "found IS NOT NULL"
        if attribute == IMAGE_NAME:  # as it is filtered by, whatever the column's collation
            value, grouped = f"MIN({value})", self.exact(value)
        elif attribute in (FOLDER, SUFFIX):  # what is compared byte by byte may be no text
            value, grouped = f"MIN(CONVERT({value} USING utf8mb4))", value
        return Statement(
            f"SELECT {rows.hint}{value} AS found, {counted} AS n FROM {rows.sql} "
            f"GROUP BY {grouped} HAVING {has_value} ORDER BY n DESC, found LIMIT %s",
            (*rows.params, limit),
        )


class _Rows(NamedTuple):
    """Rows to read: tables and conditions, with the values bound, and the column of the ids."""

    source: str
    conditions: tuple[str, ...]
    params: tuple[Any, ...]
    id: str
    hint: str = ""

    @property
    def sql(self) -> str:
        if not self.conditions:
            return self.source
        return f"{self.source} WHERE {' AND '.join(self.conditions)}"


def _passing(table: Table, attribute: Attribute | None, where: Filter | None) -> _Rows:
    """Return the rows that pass, and whose attribute may be read; None: their ids alone."""
    is_of_file = attribute in OF_FILE
    files, rows = f"{table.side('_files')} AS f", f"{table.sql} AS v"
    if where is None:
        return _Rows(files, (), (), "f.id") if is_of_file else _Rows(rows, (), (), _id(table))
    if where.on_file and (is_of_file or attribute is None):
        return _Rows(files, (where.on_file,), where.params, "f.id")
    if is_of_file:
        joined = f"{files} JOIN {rows} ON {_id(table)} = f.id"
        return _Rows(joined, (where.sql,), where.params, _id(table))
    return _Rows(rows, (where.sql,), where.params, _id(table), where.hint)


def _valued(sql: ShardsSQL, table: Table, order: Order, where: Filter | None) -> _Rows:
    """Return the rows that have a value and pass."""
    rows, attribute = _passing(table, order.attribute, where), order.attribute
    if attribute is None or attribute in (PATH, MODIFIED):  # every id, and every file, has one
        return rows
    if attribute in OF_FILE:
        has_value = f"{file_value(sql, attribute)} IS NOT NULL"
    else:
        has_value = sql.on_head(table, _has_value(table, attribute))
    return rows._replace(conditions=(*rows.conditions, has_value))


def _id(table: Table) -> str:
    return f"v.{table.id}"


def _has_value(table: Table, attribute: Attribute) -> str:
    """Return the condition, never NULL, that a row has a value that is in its own table."""
    if attribute == IMAGE_NAME:
        return f"COALESCE({table.image_name('v.')}, '') <> ''"
    if attribute.is_column and "list" not in attribute.kinds:
        return f"{json_value(attribute)} IS NOT NULL"
    return f"COALESCE({json_type(attribute)}, 'NULL') <> 'NULL'"


def _value(sql: Primitives, table: Table, attribute: Attribute) -> str:
    if attribute in OF_FILE:
        return file_value(sql, attribute)
    return table.image_name("v.") if attribute == IMAGE_NAME else json_value(attribute)


def _order_keys(sql: Primitives, table: Table, order: Order) -> list[str]:
    """Return what rows are ordered by, before their ids."""
    attribute = order.attribute
    if attribute is None:
        return []
    if attribute.is_column and "list" not in attribute.kinds:
        return [_value(sql, table, attribute)]
    number, text, items = (
        expression(sql, attribute, "number", "v."),
        expression(sql, attribute, "text", "v."),
        f"CAST({json_value(attribute)} AS CHAR)",
    )
    if len(attribute.kinds) == 1:
        (kind,) = attribute.kinds
        return [{"number": number, "list": items}.get(kind, text)]
    is_text, is_list = (is_of_kind(attribute, kind) for kind in _AFTER_NUMBERS)
    rank = f"CASE WHEN {is_text} THEN 1 WHEN {is_list} THEN 2 ELSE 0 END"
    return [rank, f"IF({rank} = 0, {number}, NULL)", text, items]
