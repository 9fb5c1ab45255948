"""SQL of attributes: list, store, change, index and drop them.

An attribute is a user's own column in the collection's table, or a key of the JSON object in its
column `attributes`. `lookalike_attributes` lists the keys that lookalike stored.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from lookalike.core.errors import InputError
from lookalike.dialects.primitives import Lock, Primitives
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table

Kind = Literal["text", "number", "boolean", "list", "time"]

_NOTHING = "$[1]"
"""A path of nothing in an object."""

ATTRIBUTE_NAME = re.compile(r"\w(?:[\w .-]{0,62}[\w.-])?")
"""Allows no character that could end a quoted name or JSON path, and no operator of a condition."""

MAX_TEXT = 255
"""A text attribute is compared and indexed by this many characters; `~` searches all of it."""

JSON_TYPES: dict[Kind, tuple[str, ...]] = {
    "number": ("INTEGER", "UNSIGNED INTEGER", "DOUBLE", "DECIMAL"),
    "text": ("STRING",),
    "boolean": ("BOOLEAN",),
    "list": ("ARRAY",),
}
"""What JSON_TYPE returns for the values of each kind."""

_MAX_INDEX_NAME = 64


class Attribute(NamedTuple):
    """An attribute: its name, the kinds of its values, and whether it is a column.

    is_single: whether the column stores numbers as float32. is_built_in: whether lookalike itself
    stores it of every image, such as its name; those alone can be times.
    """

    name: str
    kinds: frozenset[Kind]
    is_column: bool
    is_single: bool = False
    is_built_in: bool = False


class AttributesSQL(Primitives):
    """Statements on attributes."""

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

    def lock_noted_attribute(self, table: Table, name: str) -> Statement:
        """Select the noted kinds of a key; nobody notes another one until the transaction ends."""
        return Statement(
            "SELECT kind FROM lookalike_attributes WHERE collection = %s AND name = %s "
            f"{self.locks['update']}",
            (table.name, name),
        )

    def forget_attribute(self, table: Table, name: str, *, kept: Sequence[Kind] = ()) -> Statement:
        """Delete the notes of a key, except those of some kinds."""
        others = f" AND kind NOT IN ({places(len(kept))})" if kept else ""
        return Statement(
            f"DELETE FROM lookalike_attributes WHERE collection = %s AND name = %s{others}",
            (table.name, name, *kept),
        )

    def note_attributes(self, table: Table, kinds: Sequence[tuple[str, Kind]]) -> Statement:
        return Statement(
            "INSERT IGNORE INTO lookalike_attributes (collection, name, kind) "
            f"VALUES {values(3, len(kinds))}",
            tuple(value for name, kind in kinds for value in (table.name, name, kind)),
        )

    def stored_attributes(self, table: Table) -> Statement:
        """Select (name, JSON type, rows) of every key. Reads the whole table."""
        return Statement(
            "SELECT k.name, JSON_TYPE(JSON_EXTRACT(v.attributes, "
            "CONCAT('$.', JSON_QUOTE(k.name)))) AS json_type, COUNT(*) "
            f"FROM {table.sql} AS v, JSON_TABLE(JSON_KEYS(v.attributes), '$[*]' COLUMNS "
            f"(name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE {self.exact_collation} "
            "PATH '$')) AS k GROUP BY k.name, json_type"
        )

    def count_keys(self, table: Table, keys: Sequence[tuple[Attribute, Kind]]) -> Statement:
        """Select the number of all values of keys, then that of each of some keys and kinds.

        Reads the whole table.
        """
        counts = (f", COALESCE(SUM({is_of_kind(key, kind)}), 0)" for key, kind in keys)
        return Statement(
            f"SELECT COALESCE(SUM(JSON_LENGTH(v.attributes)), 0){''.join(counts)} "
            f"FROM {table.sql} AS v"
        )

    def count_values(self, table: Table, columns: Sequence[Attribute]) -> Statement:
        """Select the number of values of each of a user's own columns. Reads the whole table."""
        values_ = (
            f"NULLIF({json_type(each)}, 'NULL')" if "list" in each.kinds else json_value(each)
            for each in columns
        )
        counts = ", ".join(f"COUNT({value})" for value in values_)
        return Statement(f"SELECT {counts} FROM {table.sql} AS v")

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
            patched = "JSON_MERGE_PATCH(COALESCE(v.attributes, JSON_OBJECT()), new.patch)"
            if not self.removes_by_patch:
                rows, removed = _with_removals_apart(rows)
                names += removed
                paths = "".join(f", new.{each}" for each in removed)
                patched = f"JSON_REMOVE({patched}{paths})" if removed else patched
            changes.append(f"v.attributes = {patched}")
        new = self.values_table("new", names, len(rows))
        return Statement(
            f"UPDATE {table.sql} AS v JOIN {new} ON v.{table.id} = new.id SET {', '.join(changes)}",
            tuple(value for row in rows for value in row),
        )

    # Change a key in all rows.

    def ids_with_attribute(self, table: Table, attribute: Attribute) -> Statement:
        """Select the ids of rows that have a key, in order. Reads the whole table."""
        return Statement(
            f"SELECT v.{table.id} FROM {table.sql} AS v "
            f"WHERE JSON_CONTAINS_PATH(v.attributes, 'one', {_path(attribute)}) "
            f"ORDER BY v.{table.id}"
        )

    def remove_attribute(self, table: Table, attribute: Attribute, ids: Sequence[int]) -> Statement:
        return Statement(
            f"UPDATE {table.sql} AS v SET v.attributes = "
            f"JSON_REMOVE(v.attributes, {_path(attribute)}) "
            f"WHERE v.{table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    def other_than_numbers(
        self, table: Table, attribute: Attribute, spelling: str | None
    ) -> Statement:
        """Select the id of a row whose key is no number. Reads the whole table if there is none.

        spelling: a regular expression of texts that count as numbers.
        """
        type_ = json_type(attribute)
        text = f"JSON_UNQUOTE({json_value(attribute)})"
        unless = "" if spelling is None else f" AND NOT ({type_} = 'STRING' AND {text} REGEXP %s)"
        return Statement(
            f"SELECT v.{table.id} FROM {table.sql} AS v "
            f"WHERE NOT {is_of_kind(attribute, 'number')} AND {type_} <> 'NULL'{unless} LIMIT 1",
            () if spelling is None else (spelling,),
        )

    def ids_with_text(self, table: Table, attribute: Attribute) -> Statement:
        """Select the ids of rows whose key is a text, in order. Reads the whole table."""
        return Statement(
            f"SELECT v.{table.id} FROM {table.sql} AS v "
            f"WHERE {json_type(attribute)} = 'STRING' ORDER BY v.{table.id}"
        )

    def make_numbers(self, table: Table, attribute: Attribute, ids: Sequence[int]) -> Statement:
        """Replace texts that spell numbers by these numbers."""
        number = f"JSON_EXTRACT(JSON_UNQUOTE({json_value(attribute)}), '$')"
        return Statement(
            f"UPDATE {table.sql} AS v SET v.attributes = "
            f"JSON_REPLACE(v.attributes, {_path(attribute)}, {number}) "
            f"WHERE v.{table.id} IN ({places(len(ids))}) AND {json_type(attribute)} = 'STRING'",
            tuple(ids),
        )

    # Index attributes.

    def indexed_columns(self, table: Table) -> Statement:
        """Select (index name, its first column or NULL for an expression)."""
        is_this, names = table.is_this
        return Statement(
            "SELECT index_name, column_name FROM information_schema.statistics "
            f"WHERE {is_this} AND seq_in_index = 1",
            names,
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

    def drop_index(self, table: Table, index: str) -> Statement:
        """Drop an index of lookalike's. index: a name that `attribute_index` returned."""
        return Statement(f"DROP INDEX `{index}` ON {table.sql}")


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


def _with_removals_apart(
    rows: Sequence[tuple[Any, ...]],
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Return rows of `update_attributes` with the paths to remove at their ends, and their names.

    All rows get as many: of no attribute where one has fewer.
    """
    patches = [json.loads(row[1]) for row in rows]
    removed = [
        [f'$."{name}"' for name, value in patch.items() if value is None] for patch in patches
    ]
    most = max(map(len, removed))
    apart = []
    for (row_id, _, *others), patch, paths in zip(rows, patches, removed, strict=True):
        kept = {name: value for name, value in patch.items() if value is not None}
        rest = [_NOTHING] * (most - len(paths))
        apart.append((row_id, json.dumps(kept, ensure_ascii=False), *others, *paths, *rest))
    return apart, [f"r{i}" for i in range(most)]


def json_value(attribute: Attribute) -> str:
    """Return the value of the row `v`: NULL if there is none, JSON's null if it is that."""
    if attribute.is_column:
        return f"v.{quote_column(attribute.name)}"
    return f"JSON_EXTRACT(v.attributes, {_path(attribute)})"


def json_type(attribute: Attribute) -> str:
    """Return the type of that value, 'NULL' for JSON's null."""
    return f"JSON_TYPE({json_value(attribute)})"


def is_of_kind(attribute: Attribute, *kinds: Kind) -> str:
    """Return the condition that it is of one of some kinds; NULL if there is none."""
    types = ", ".join(f"'{type_}'" for kind in kinds for type_ in JSON_TYPES[kind])
    return f"{json_type(attribute)} IN ({types})"


def expression(sql: Primitives, attribute: Attribute, kind: Kind, row: str) -> str:
    """Return the SQL of a value as filters compare it; row: as `v.`, or empty in an index."""
    if attribute.is_column:
        return row + quote_column(attribute.name)
    column, path = f"{row}attributes", _path(attribute)
    if kind == "list":
        return f"JSON_EXTRACT({column}, {path})"
    returned = "DOUBLE" if kind == "number" else f"CHAR({MAX_TEXT})"
    return sql.json_value(column, path, returned)


def _key(sql: Primitives, attribute: Attribute, kind: Kind) -> str:
    indexed = expression(sql, attribute, kind, "")
    if kind == "list":
        return sql.json_array_key(indexed, MAX_TEXT)
    return indexed if attribute.is_column else f"({indexed})"
