"""SQL of copies: what tells the rows of two servers apart, and what makes them the same.

Every server digests its own rows, so that equal ones stay where they are. JSON is compared by the
client: each engine writes the same value in its own way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table

Kind = Literal["number", "time", "bytes", "text", "embedding", "json"]

_STORED_FILE: dict[str, Kind] = {"size": "number", "mtime_ns": "number"}


class Span(NamedTuple):
    """A range of keys: above `after`, and up to `through`; None is no limit."""

    after: Any
    through: Any

    @property
    def sql(self) -> tuple[str, tuple[Any, ...]]:
        """Return the condition of the column `{key}`, and the bound values."""
        limits = (("{key} > %s", self.after), ("{key} <= %s", self.through))
        given = [(condition, value) for condition, value in limits if value is not None]
        if not given:
            return "TRUE", ()
        return " AND ".join(condition for condition, _ in given), tuple(v for _, v in given)


@dataclass(frozen=True)
class Part:
    """A table of a collection, as it is copied.

    Attributes:
        suffix: Of the table's name; empty for the collection's own table.
        key: The column by whose order it is copied.
        columns: The kind of each column, the key's included.
        verb: How rows are inserted.
    """

    suffix: str
    key: str
    columns: dict[str, Kind]
    verb: str = "REPLACE"

    @property
    def json(self) -> tuple[str, ...]:
        """Return the columns that the client compares."""
        return tuple(name for name, kind in self.columns.items() if kind == "json")

    def sql(self, table: Table) -> str:
        """Return the quoted name of the table."""
        return table.side(self.suffix) if self.suffix else table.sql


PARTS = {
    part.suffix: part
    for part in (
        Part("", "id", {"id": "number", "image_name": "text", "embedding": "embedding"}, "INSERT"),
        # REPLACE takes a path from another row, which is then missed there and copied again.
        Part(
            "_files",
            "id",
            {"id": "number", "path": "text", "content_hash": "bytes", **_STORED_FILE},
        ),
        Part(
            "_facts",
            "id",
            {
                "id": "number",
                "content_hash": "bytes",
                "path_hash": "bytes",
                "has_location": "number",
                "facts": "json",
            },
        ),
        # Rows may have come or gone since theirs were copied: then there is another pass.
        Part("_distinct", "id", {"id": "number", "other_id": "number"}, "INSERT IGNORE"),
        Part(
            "_failures",
            "path_hash",
            {"path": "text", "reason": "text", **_STORED_FILE, "seen_at": "time"},
        ),
        Part(
            "_phashes",
            "content_hash",
            {
                "content_hash": "bytes",
                "width": "number",
                "height": "number",
                "phashes": "bytes",
                "thumbnail": "bytes",
            },
        ),
    )
}
"""The tables of a collection by their suffix; that of the collection may also have attributes."""

_CODED: dict[Kind, str] = {
    "number": "CAST({} AS CHAR)",
    "time": "CAST({} AS CHAR)",
    "bytes": "SHA2({}, 256)",
    "text": "SHA2(CONVERT({} USING utf8mb4), 256)",
    "embedding": "SHA2({}, 256)",
}


class CopyingSQL(Primitives):
    """Statements on the rows of both ends of a copy."""

    # What is there.

    def next_keys(self, table: Table, part: Part, after: Any, limit: int) -> Statement:
        """Select (the last, the number) of the next keys after one."""
        condition, bound = _where(part, Span(after, None))
        return Statement(
            f"SELECT MAX(k), COUNT(*) FROM (SELECT {part.key} AS k FROM {part.sql(table)} "
            f"WHERE {condition} ORDER BY {part.key} LIMIT {limit:d}) AS next_",
            bound,
        )

    def last_key(self, table: Table, part: Part) -> Statement:
        return Statement(f"SELECT MAX({part.key}) FROM {part.sql(table)}")

    def count_part(self, table: Table, part: Part) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {part.sql(table)}")

    def digest(self, table: Table, part: Part, span: Span) -> Statement:
        """Select (rows, 64 bits of a digest of all columns but JSON) of a span."""
        condition, bound = _where(part, span)
        coded = ", ".join(
            f"COALESCE({_CODED[kind].format(self._read(table, name, kind))}, '-')"
            for name, kind in part.columns.items()
            if kind != "json"
        )
        row = f"CONV(LEFT(SHA2(CONCAT_WS('|', {coded}), 256), 16), 16, 10)"
        return Statement(
            f"SELECT COUNT(*), COALESCE(BIT_XOR(CAST({row} AS UNSIGNED)), 0) "
            f"FROM {part.sql(table)} WHERE {condition}",
            bound,
        )

    def json_of(self, table: Table, part: Part, column: str, span: Span) -> Statement:
        """Select (key, JSON) of the rows of a span that have any, by key."""
        condition, bound = _where(part, span)
        return Statement(
            f"SELECT {part.key}, {column} FROM {part.sql(table)} "
            f"WHERE {condition} AND {column} IS NOT NULL ORDER BY {part.key}",
            bound,
        )

    def rows_of(self, table: Table, part: Part, span: Span) -> Statement:
        """Select all columns of the rows of a span, by key."""
        condition, bound = _where(part, span)
        columns = ", ".join(self._read(table, *column) for column in part.columns.items())
        return Statement(
            f"SELECT {columns} FROM {part.sql(table)} WHERE {condition} ORDER BY {part.key}", bound
        )

    def _read(self, table: Table, column: str, kind: Kind) -> str:
        return self.embedding_bytes(table) if kind == "embedding" else column

    def longest_name(self, table: Table) -> Statement:
        return Statement(f"SELECT MAX(CHAR_LENGTH({table.image_name()})) FROM {table.sql}")

    def next_id(self, table: Table) -> Statement:
        """Select the id that the next row gets; NULL where the server does not say."""
        is_this, names = table.is_this
        return Statement(
            f"SELECT auto_increment FROM information_schema.tables WHERE {is_this}", names
        )

    # Make it the same.

    def delete_span(
        self, table: Table, part: Part, span: Span, kept: Sequence[int] = ()
    ) -> Statement:
        """Delete the rows of a span, except those with some integer keys."""
        condition, bound = _where(part, span)
        # Literals: binding thousands would take longer than the statement.
        others = f" AND {part.key} NOT IN ({','.join(f'{key:d}' for key in kept)})" if kept else ""
        return Statement(f"DELETE FROM {part.sql(table)} WHERE {condition}{others}", bound)

    def store_rows(self, table: Table, part: Part, rows: Sequence[Sequence[Any]]) -> Statement:
        """Store rows as `rows_of` has returned them; those of the collection are updated."""
        columns = list(part.columns)
        sql = (
            f"{part.verb} INTO {part.sql(table)} ({', '.join(columns)}) "
            f"VALUES {values(len(columns), len(rows))}"
        )
        if part.verb == "INSERT":
            # No REPLACE: that would delete what other tables have about the row.
            updates = (f"{name} = VALUES({name})" for name in columns if name != part.key)
            sql += f" ON DUPLICATE KEY UPDATE {', '.join(updates)}"
        return Statement(sql, tuple(value for row in rows for value in row))

    def allow_id_zero(self) -> Statement:
        """Let an id of 0 be stored as such on this connection."""
        return Statement("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")

    def finish_copy(self, table: Table, next_id: int | None) -> Statement:
        """Remove the mark of an unfinished copy, and go on with the source's ids."""
        ids = f", AUTO_INCREMENT = {next_id:d}" if next_id is not None else ""
        return Statement(f"ALTER TABLE {table.sql} COMMENT = ''{ids}")

    # Records in shared tables.

    def noted(self, name: str, shared: str, key: str, columns: Sequence[str]) -> Statement:
        """Select some columns of a collection's records. shared, key: from `KEYS`."""
        chosen = ", ".join(f"`{column}`" for column in columns)
        return Statement(f"SELECT {chosen} FROM {shared} WHERE {key} = %s", (name,))

    def note(self, name: str, shared: str, key: str, columns: Sequence[str], row: Any) -> Statement:
        chosen = ", ".join(f"`{column}`" for column in columns)
        return Statement(
            f"REPLACE INTO {shared} ({key}, {chosen}) VALUES ({places(len(columns) + 1)})",
            (name, *row),
        )


def _where(part: Part, span: Span) -> tuple[str, tuple[Any, ...]]:
    condition, bound = span.sql
    return condition.format(key=part.key), bound
