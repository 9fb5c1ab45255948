"""SQL of attributes: store them, filter by them, index them.

An attribute is a user's own column in the collection's table, or a key of the JSON object in its
column `attributes`. `lookalike_attributes` lists the keys that lookalike stored. Statements with a
filter call the collection's table `v`.
"""

import ctypes
import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from lookalike.core.errors import InputError
from lookalike.dialects.primitives import Lock, Primitives
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table

Kind = Literal["text", "number", "boolean", "list"]

ATTRIBUTE_NAME = re.compile(r"\w(?:[\w .-]{0,62}[\w.-])?")
"""Allows no character that could end a quoted name or JSON path, and no operator of a condition."""

MAX_TEXT = 255
"""A text attribute is compared and indexed by this many characters; `~` searches all of it."""

_MAX_INDEX_NAME = 64
_TYPES = {
    "number": "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'",
    "text": "'STRING', 'BOOLEAN'",
    "list": "'ARRAY'",
}


class Attribute(NamedTuple):
    """An attribute: its name, the kinds of its values, and whether it is a column.

    is_single: whether the column stores numbers as float32.
    """

    name: str
    kinds: frozenset[Kind]
    is_column: bool
    is_single: bool = False


class Comparison(NamedTuple):
    """One test of an attribute's values of one kind.

    operator: in, <, <=, >, >=, `:` (the list holds it) or `~` (the text contains it).
    """

    attribute: Attribute
    kind: Kind
    operator: str
    values: tuple[str | int | float, ...]


class Clause(NamedTuple):
    """One condition: any of the comparisons holds, or, if negated, none does."""

    alternatives: tuple[Comparison, ...]
    is_negated: bool


class Filter(NamedTuple):
    """A condition on the row `v` of a collection's table, and the values bound to it."""

    sql: str
    params: tuple[Any, ...]


def and_(where: Filter | None) -> Filter:
    """Return the filter as SQL to append to another condition; empty for None."""
    return Filter("", ()) if where is None else Filter(f" AND {where.sql}", where.params)


class AttributesSQL(Primitives):
    """Statements on attributes, and the filters of searches."""

    # List attributes.

    def create_attributes(self) -> Statement:
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_attributes (\n"
            "    collection VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,\n"
            f"    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE {self.exact_collation} NOT NULL,\n"
            "    kind VARCHAR(8) NOT NULL,\n"
            "    PRIMARY KEY (collection, name, kind)\n"
            ") ENGINE = InnoDB"
        )

    def noted_attributes(self, table: Table) -> Statement:
        return Statement(
            "SELECT name, kind FROM lookalike_attributes WHERE collection = %s", (table.name,)
        )

    def note_attributes(self, table: Table, kinds: Sequence[tuple[str, Kind]]) -> Statement:
        return Statement(
            "INSERT IGNORE INTO lookalike_attributes (collection, name, kind) "
            f"VALUES {values(3, len(kinds))}",
            tuple(value for name, kind in kinds for value in (table.name, name, kind)),
        )

    def stored_attributes(self, table: Table) -> Statement:
        """Select (name, JSON type) of every key. Reads the whole table."""
        return Statement(
            "SELECT DISTINCT k.name, JSON_TYPE(JSON_EXTRACT(v.attributes, "
            "CONCAT('$.', JSON_QUOTE(k.name)))) "
            f"FROM {table.sql} AS v, JSON_TABLE(JSON_KEYS(v.attributes), '$[*]' COLUMNS "
            f"(name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE {self.exact_collation} "
            "PATH '$')) AS k"
        )

    def add_attributes_column(self, table: Table) -> Statement:
        # By default MySQL uses ALGORITHM=INSTANT if possible.
        return Statement(f"ALTER TABLE {table.sql} ADD COLUMN attributes JSON")

    # Read and store attributes.

    def attributes_of(self, table: Table, columns: Sequence[str], ids: Sequence[int]) -> Statement:
        """Select (id, each column's value) of rows."""
        chosen = ", ".join([table.id, *map(quote_column, columns)])
        return Statement(
            f"SELECT {chosen} FROM {table.sql} WHERE {table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    def ids_by_names(self, table: Table, names: Sequence[str], *, lock: Lock = "") -> Statement:
        """Select (id, image_name) of rows with one of these names, ignoring letter case."""
        return Statement(
            f"SELECT {table.id}, {table.image_name()} FROM {table.sql} "
            f"WHERE {table.image_name()} IN ({places(len(names))}) {self.locks[lock]}",
            tuple(names),
        )

    def update_attributes(
        self, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
    ) -> Statement:
        """Set attributes of rows (id, patch, each column's value).

        patch: a JSON object of keys to set, or, with null, to remove; None changes nothing.
        """
        names = ["id", "patch", *(f"c{i}" for i in range(len(columns)))]
        changes = [f"v.{quote_column(name)} = new.c{i}" for i, name in enumerate(columns)]
        if rows[0][1] is not None:
            changes.append(
                "v.attributes = JSON_MERGE_PATCH(COALESCE(v.attributes, JSON_OBJECT()), new.patch)"
            )
        new = self.values_table(len(names), len(rows))
        return Statement(
            f"UPDATE {table.sql} AS v JOIN {new} "
            f"AS new ({', '.join(names)}) ON v.{table.id} = new.id SET {', '.join(changes)}",
            tuple(value for row in rows for value in row),
        )

    # Index attributes.

    def indexed_columns(self, table: Table) -> Statement:
        """Select (index name, its first column or NULL for an expression)."""
        return Statement(
            "SELECT index_name, column_name FROM information_schema.statistics WHERE "
            "table_schema = DATABASE() AND table_name = %s AND seq_in_index = 1",
            (table.name,),
        )

    def create_attribute_index(
        self, table: Table, attribute: Attribute, kind: Kind, *, is_long: bool
    ) -> Statement:
        """Create an index on the expression that filters compare for this kind.

        is_long: whether the column's values, such as TEXT, are too long for a key.
        """
        key = _key(self, attribute, kind) + (f"({MAX_TEXT})" if is_long else "")
        return Statement(
            f"CREATE INDEX `{attribute_index(attribute, kind)}` ON {table.sql} ({key})"
        )

    # Filters.

    def filter(self, clauses: Sequence[Clause]) -> Filter:
        """Return the conjunction of clauses; a row without a value matches no condition on it."""
        parts = [_clause(self, clause) for clause in clauses]
        return Filter(
            " AND ".join(f"({sql})" for sql, _ in parts), tuple(v for _, p in parts for v in p)
        )

    def explain_filter(self, table: Table, where: Filter) -> Statement:
        """Return the EXPLAIN table of the search for matching rows."""
        return Statement(
            f"EXPLAIN FORMAT=TRADITIONAL SELECT v.{table.id}, v.{table.embedding} "
            f"FROM {table.sql} AS v WHERE {where.sql}",
            where.params,
        )

    def sample_filter(
        self,
        table: Table,
        where: Filter,
        ids: Sequence[int],
        *,
        generation: int,
        cells: Sequence[int],
        every: int,
    ) -> Statement:
        """Select (rows, matching rows) among some ids, and among 1 row in `every` of some cells."""
        counts = f"SELECT COUNT(*), COALESCE(SUM({where.sql}), 0)"
        return Statement(
            f"{counts} FROM {table.sql} AS v WHERE v.{table.id} IN ({places(len(ids))})\n"
            f"UNION ALL\n{counts} FROM {table.side(f'_codes_{generation:d}')} AS c "
            f"JOIN {table.sql} AS v ON v.{table.id} = c.id "
            f"WHERE c.cell IN ({places(len(cells))}) AND CRC32(c.id) %% %s = 0",
            (*where.params, *ids, *where.params, *cells, every),
        )


def quote_column(name: str) -> str:
    """Return a user's column as a quoted identifier. Raises InputError."""
    if not ATTRIBUTE_NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot be an attribute's name: {NAME_RULE}")
    return f"`{name}`"


NAME_RULE = "use letters, digits, spaces and _ . -, 64 at most, and a letter or digit first"


def attribute_index(attribute: Attribute, kind: Kind) -> str:
    """Return the name of lookalike's index on values of one kind."""
    name = f"lookalike_{kind}_{attribute.name}"
    if len(name) > _MAX_INDEX_NAME:
        digest = hashlib.sha256(attribute.name.encode()).hexdigest()
        name = f"lookalike_{kind}_{digest[:32]}"
    return name


def _path(attribute: Attribute) -> str:
    """Return the attribute's JSON path as a literal: an index serves only the identical text."""
    return f"'$.\"{quote_column(attribute.name)[1:-1]}\"'"


def _expression(sql: Primitives, attribute: Attribute, kind: Kind, row: str) -> str:
    """Return the SQL whose value is compared."""
    if attribute.is_column:
        return row + quote_column(attribute.name)
    column, path = f"{row}attributes", _path(attribute)
    if kind == "list":
        return f"JSON_EXTRACT({column}, {path})"
    returned = "DOUBLE" if kind == "number" else f"CHAR({MAX_TEXT})"
    return sql.json_value(column, path, returned)


def _key(sql: Primitives, attribute: Attribute, kind: Kind) -> str:
    expression = _expression(sql, attribute, kind, "")
    if kind == "list":
        return sql.json_array_key(expression, MAX_TEXT)
    return expression if attribute.is_column else f"({expression})"


def _clause(sql: Primitives, clause: Clause) -> tuple[str, list[Any]]:
    parts = [_comparison(sql, each) for each in clause.alternatives]
    any_of = " OR ".join(text for text, _ in parts)
    params = [value for _, bound in parts for value in bound]
    # NULL for a row without a value, so it matches neither a condition nor its negation.
    return (f"NOT ({any_of})" if clause.is_negated else any_of), params


def _comparison(sql: Primitives, comparison: Comparison) -> tuple[str, list[Any]]:
    attribute, kind, operator, compared = comparison
    expression = _expression(sql, attribute, kind, "v.")
    # MySQL does not use an index on a DOUBLE for integers.
    is_double = kind == "number" and not attribute.is_column
    bound = [float(value) for value in compared] if is_double else list(compared)
    if attribute.is_single:
        bound = [_single(float(value)) for value in compared]
    if operator == ":":
        test = sql.json_contains(expression)
    elif operator == "~":
        whole = expression
        if not attribute.is_column:
            path = _path(attribute)
            whole = f"JSON_UNQUOTE(JSON_EXTRACT(v.attributes, {path}))"
            whole = f"{whole} COLLATE {sql.folding_collation}"
        test = f"LOCATE(%s, {whole}) > 0"
    elif operator == "in":
        several = len(bound) > 1
        test = f"{expression} IN ({places(len(bound))})" if several else f"{expression} = %s"
    else:
        test = f"{expression} {operator} %s"
    return _of_kind(attribute, kind, test), bound


def _single(value: float) -> float:
    """Round to float32: MySQL compares as float64, and a stored FLOAT 19.99 is not 19.99."""
    rounded = ctypes.c_float(value).value
    return value if math.isinf(rounded) else rounded


def _of_kind(attribute: Attribute, kind: Kind, sql: str) -> str:
    """Restrict a comparison to its own kind if the attribute has values of several kinds."""
    if attribute.is_column or len(attribute.kinds) == 1:
        return sql
    types = _TYPES[kind]
    return f"({sql} AND JSON_TYPE(JSON_EXTRACT(v.attributes, {_path(attribute)})) IN ({types}))"
