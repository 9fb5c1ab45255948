"""The parts of SQL in which engines differ; all other statements are built from them."""

from typing import ClassVar, Literal

from lookalike.dialects.statement import places
from lookalike.dialects.table import Table

Lock = Literal["", "share", "share nowait", "update", "update nowait"]
"""How the rows that are read are locked until the transaction ends."""


class Primitives:
    """MySQL 9's; an engine overrides what it writes otherwise."""

    exact_collation = "utf8mb4_0900_bin"
    """Compares texts byte by byte, with trailing spaces."""
    folding_collation = "utf8mb4_0900_ai_ci"
    """Ignores letter case and accents."""
    locks: ClassVar[dict[Lock, str]] = {
        "": "",
        "share": "FOR SHARE",
        "share nowait": "FOR SHARE NOWAIT",
        "update": "FOR UPDATE",
        "update nowait": "FOR UPDATE NOWAIT",
    }
    """The clause of each lock."""

    def vector_type(self, dim: int) -> str:
        """The type of a column of embeddings."""
        return f"VECTOR({dim:d})"

    def embedding_bytes(self, table: Table, row: str = "") -> str:
        """The embedding of a row, such as `v.`, as bytes: some clients take a VECTOR for text."""
        return f"CAST({row}{table.embedding} AS BINARY)"

    def values_table(self, n_columns: int, n_rows: int) -> str:
        """A table of bound values, to be given a name and names of columns."""
        return f"(VALUES {', '.join([f'ROW({places(n_columns)})'] * n_rows)})"

    def json_value(self, column: str, path: str, type_: str) -> str:
        """The value at a path as a type, NULL if it is of another; an index may serve it."""
        return f"JSON_VALUE({column}, {path} RETURNING {type_})"

    def json_contains(self, array: str) -> str:
        """Whether a JSON array holds a bound value."""
        return f"%s MEMBER OF ({array})"

    def json_array_key(self, array: str, length: int) -> str:
        """The key of an index that serves `json_contains`."""
        return f"(CAST({array} AS CHAR({length}) ARRAY))"
