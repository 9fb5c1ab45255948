"""SQL for searches whose candidates are chosen in memory."""

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_
from lookalike.dialects.tables.versions import LOG, VERSIONS, Version


class About(IntEnum):
    """What a row of `candidates` tells."""

    VERSION = 0
    """The version of the codes: the origin as id, and "version token" as image_name."""
    CANDIDATE = 1
    """A row that was asked for by id."""
    TAIL = 2
    """A row above the last processed id, which has no code yet."""
    CHANGED = 3
    """A row that has changed since the copy's version, or the id of one that is gone."""
    HIDDEN = 4
    """The same, but the row does not pass the filter."""
    KNOWN = 5
    """The copy's version belongs to the history."""
    UNKNOWN = 6
    """It does not, or since then more has changed than the log tells."""


class ComparedRow(NamedTuple):
    """A row of `candidates`; value: its embedding's bytes, or of a candidate the CRC32 of them."""

    about: int
    id: int
    image_name: str | None
    value: bytes | None
    path: str | None = None


class MemorySQL(Primitives):
    """Statements that compare a copy in memory with the table."""

    def log_since(self, table: Table, version: Version) -> Statement:
        """Select version, token and the JSON of the ids since a version, and of itself."""
        return Statement(
            f"SELECT version, token, ids FROM {LOG} WHERE collection = %s AND version >= %s "
            "ORDER BY version",
            (table.name, version.version),
        )

    def candidates(
        self,
        table: Table,
        version: Version,
        ids: Sequence[int],
        where: Filter | None = None,
        *,
        with_paths: bool,
        checksums: bool,
        max_tail: int,
        max_changed: int,
    ) -> Statement:
        """Select the rows that a search has to compare, in one snapshot, as `ComparedRow`.

        The statement is short on purpose: the server needs more time to parse it than to run it.

        Args:
            table: The table.
            version: The copy's.
            ids: The candidates.
            where: A filter of rows.
            with_paths: Whether to select the paths of files too.
            checksums: Whether to select CRC32s of the candidates' embeddings.
            max_tail, max_changed: Select at most one row more of the tail, and of changed rows.
        """
        columns = _Columns(table, self.embedding_bytes(table, "v."), with_paths)
        parts = [self._version(table, columns)]
        if ids:
            parts.append(self._asked(table, columns, ids, where, checksums=checksums))
        parts += [
            self._tail(table, columns, where, max_tail + 1),
            self._changed(table, columns, version, where, max_changed + 2),
        ]
        return Statement(
            "\nUNION ALL\n".join(part.sql for part in parts),
            tuple(value for part in parts for value in part.params),
        )

    def _version(self, table: Table, columns: "_Columns") -> Statement:
        return Statement(
            f"SELECT {About.VERSION:d}, origin, CONCAT(version, ' ', token), "
            f"NULL{', NULL' if columns.with_paths else ''} FROM {VERSIONS} WHERE collection = %s",
            (table.name,),
        )

    def _asked(
        self,
        table: Table,
        columns: "_Columns",
        ids: Sequence[int],
        where: Filter | None,
        *,
        checksums: bool,
    ) -> Statement:
        value, passing = f"CRC32(v.{table.embedding})" if checksums else None, and_(where)
        return Statement(
            f"SELECT {About.CANDIDATE:d}, v.{table.id}, {columns.of(value)} "
            f"FROM {table.sql} AS v WHERE v.{table.id} IN ({places(len(ids))}){passing.sql}",
            (*ids, *passing.params),
        )

    def _tail(
        self, table: Table, columns: "_Columns", where: Filter | None, limit: int
    ) -> Statement:
        passing = and_(where)
        return Statement(
            f"(SELECT {About.TAIL:d}, v.{table.id}, {columns.of()} FROM {table.sql} AS v "
            f"WHERE v.{table.id} > (SELECT indexed_through FROM lookalike_index_tails "
            f"WHERE collection = %s) AND v.{table.embedding} IS NOT NULL{passing.sql} "
            f"LIMIT {limit:d})",
            (table.name, *passing.params),
        )

    def _changed(
        self,
        table: Table,
        columns: "_Columns",
        version: Version,
        where: Filter | None,
        limit: int,
    ) -> Statement:
        about, params = f"{About.CHANGED:d}", ()
        if where is not None:
            about, params = f"IF({where.sql}, {About.CHANGED:d}, {About.HIDDEN:d})", where.params
        number = version.version
        return Statement(
            f"(SELECT CASE WHEN log.version = %s THEN "
            f"IF(log.token = %s, {About.KNOWN:d}, {About.UNKNOWN:d}) "
            f"WHEN log.ids IS NULL THEN {About.UNKNOWN:d} ELSE {about} END, "
            f"changed.id, {columns.of()} FROM {LOG} AS log "
            "LEFT JOIN JSON_TABLE(IF(log.version > %s, log.ids, NULL), "
            "'$[*]' COLUMNS (id BIGINT PATH '$')) AS changed ON TRUE "
            f"LEFT JOIN {table.sql} AS v ON v.{table.id} = changed.id "
            f"WHERE log.collection = %s AND log.version >= %s LIMIT {limit:d})",
            (number, version.token, *params, number, table.name, number),
        )


class _Columns(NamedTuple):
    """What is selected of a row `v`, besides what the row is about and its id."""

    table: Table
    embedding: str
    with_paths: bool

    def of(self, value: str | None = None) -> str:
        """Return name, value and path; value: instead of the embedding."""
        columns = [self.table.image_name("v."), value or self.embedding]
        if self.with_paths:  # by its key for each row, whatever the server believes of the sizes
            files = self.table.side("_files")
            columns.append(f"(SELECT path FROM {files} AS f WHERE f.id = v.{self.table.id})")
        return ", ".join(columns)
