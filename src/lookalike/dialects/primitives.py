"""The parts of SQL that differ between engines; all other statements are built from them."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from lookalike.dialects.statement import places
from lookalike.dialects.table import Table

Lock = Literal["", "share", "share nowait", "update", "update nowait"]
"""How to lock the rows that are read until the transaction ends."""


class Primitives:
    """MySQL 9's SQL; other engines override the parts that differ."""

    exact_collation = "utf8mb4_0900_bin"
    """Compares texts byte by byte, including trailing spaces."""
    folding_collation = "utf8mb4_0900_ai_ci"
    """Ignores letter case and accents."""
    ascii = "CHARACTER SET ascii"
    """Of columns that hold names of lookalike's own."""
    computed_key = "PRIMARY KEY"
    """The key of a table by a computed column."""
    column_type = "column_type"
    """A column's type in information_schema, such as `vector(3)`."""
    view_security = "SQL SECURITY INVOKER"
    """With whose rights a view reads."""
    removes_by_patch = True
    """Whether JSON_MERGE_PATCH may remove keys of an object."""
    visible_index = "is_visible = 'YES'"
    """The condition that queries may use an index, in information_schema.statistics."""
    locks: ClassVar[dict[Lock, str]] = {
        "": "",
        "share": "FOR SHARE",
        "share nowait": "FOR SHARE NOWAIT",
        "update": "FOR UPDATE",
        "update nowait": "FOR UPDATE NOWAIT",
    }
    """The SQL clause of each lock."""

    def exact(self, text: str) -> str:
        """Return a text that is compared byte by byte."""
        return f"{text} COLLATE {self.exact_collation}"

    def folded(self, text: str) -> str:
        """Return a text that is compared without letter case and accents."""
        return f"{text} COLLATE {self.folding_collation}"

    def vector_type(self, dim: int) -> str:
        """Return the type of an embedding column."""
        return f"VECTOR({dim:d})"

    def vector(self, embedding: bytes) -> bytes | str:
        """Return what is bound for an embedding."""
        return embedding

    def vector_bytes(self, column: str) -> str:
        """Return a VECTOR column as bytes; some clients take a VECTOR for text.

        Servers that cannot make bytes of one send all its digits as text, which `unpack` reads.
        """
        return f"CAST({column} AS BINARY)"

    def embedding_bytes(self, table: Table, row: str = "") -> str:
        """Return a row's embedding as bytes. row: as `v.`."""
        return self.vector_bytes(f"{row}{table.embedding}")

    def values_table(self, name: str, columns: Sequence[str], n_rows: int) -> str:
        """Return a table of bound values, with its name and those of its columns."""
        rows = ", ".join([f"ROW({places(len(columns))})"] * n_rows)
        return f"(VALUES {rows}) AS {name} ({', '.join(columns)})"

    def json_value(self, column: str, path: str, type_: str) -> str:
        """Return the value at a path as a type, NULL for another type; an index can be used."""
        return f"JSON_VALUE({column}, {path} RETURNING {type_})"

    def json_items(self, value: str) -> str:
        """Return a value and the path of its items, for JSON_TABLE; what is no list is an item."""
        return f"{value}, '$[0 to last]'"

    def items_table(self, value: str) -> tuple[str, str]:
        """Return a table to join that has a row for each item, and the SQL of the item."""
        return f"JSON_TABLE({self.json_items(value)} COLUMNS (value JSON PATH '$')) AS item", (
            "item.value"
        )

    def json_contains(self, array: str) -> str:
        """Return the condition that a JSON array contains a bound value."""
        return f"%s MEMBER OF ({array})"

    def json_array_key(self, array: str, length: int) -> str:
        """Return the key of an index that `json_contains` can use."""
        return f"(CAST({array} AS CHAR({length}) ARRAY))"
