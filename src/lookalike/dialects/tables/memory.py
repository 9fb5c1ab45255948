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

    NOTHING = 0
    """No row is to be compared."""
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
    """A row of `candidates`.

    value: its embedding's bytes, or of a candidate the CRC32 of them. version: of the codes, as
    text, in the first rows.
    """

    about: int
    id: int | None
    image_name: str | None
    value: bytes | None
    version: str | None
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
        ids: Sequence[int],
        where: Filter | None = None,
        *,
        changed_since: Version | None,
        with_paths: bool,
        checksums: bool,
        max_tail: int,
        max_changed: int,
    ) -> Statement:
        """Select the rows that a search has to compare, in one snapshot, as `ComparedRow`.

        The statement is short on purpose: the server needs more time to parse it than to run it.

        Args:
            table: The table.
            ids: The candidates.
            where: A filter of rows.
            changed_since: Also select what has changed since this version.
            with_paths: Whether to select the paths of files too.
            checksums: Whether to select CRC32s of the candidates' embeddings.
            max_tail, max_changed: Select at most one row more of the tail, and of changed rows.
        """
        columns = _Columns(table, self.embedding_bytes(table, "v."), with_paths)
        parts = [self._asked(table, columns, ids, where, max_tail, checksums=checksums)]
        if table.log:
            parts.append(self._logged_candidates(table, columns, where, max_tail + 1))
        if changed_since is not None:
            parts.append(self._changed(table, columns, changed_since, where, max_changed + 2))
        return Statement(
            "\nUNION ALL\n".join(f"({part.sql})" for part in parts),
            tuple(value for part in parts for value in part.params),
        )

    def _asked(
        self,
        table: Table,
        columns: "_Columns",
        ids: Sequence[int],
        where: Filter | None,
        max_tail: int,
        *,
        checksums: bool,
    ) -> Statement:
        """Select the version, beside each of the candidates and of the rows without codes."""
        value, is_asked, passing = columns.embedding, "", and_(where)
        if ids:
            is_asked = f"v.{table.id} IN ({places(len(ids))}) OR "
        if checksums:
            value = f"IF(v.{table.id} > x.indexed_through, {value}, CRC32(v.{table.embedding}))"
        about = (
            f"IF(v.{table.id} IS NULL, {About.NOTHING:d}, "
            f"IF(v.{table.id} > x.indexed_through, {About.TAIL:d}, {About.CANDIDATE:d}))"
        )
        version = "CONCAT(n.origin, ' ', n.version, ' ', n.token)"
        return Statement(
            f"SELECT {about}, v.{table.id}, {columns.of(value, version)} FROM {VERSIONS} AS n\n"
            "LEFT JOIN lookalike_index_tails AS x ON x.collection = n.collection\n"
            f"LEFT JOIN {table.sql} AS v ON ({is_asked}v.{table.id} > x.indexed_through) "
            f"AND v.{table.embedding} IS NOT NULL{passing.sql}\n"
            f"WHERE n.collection = %s LIMIT {len(ids) + max_tail + 1:d}",
            (*ids, *passing.params, table.name),
        )

    def _logged_candidates(
        self, table: Table, columns: "_Columns", where: Filter | None, limit: int
    ) -> Statement:
        """Select the rows in the log of a user's own table, as if they had no codes."""
        passing = and_(where)
        return Statement(
            f"SELECT {About.TAIL:d}, v.{table.id}, {columns.of(columns.embedding, 'NULL')} "
            f"FROM (SELECT DISTINCT id FROM {table.log}) AS logged "
            f"STRAIGHT_JOIN {table.sql} AS v ON v.{table.id} = logged.id\n"
            f"WHERE v.{table.embedding} IS NOT NULL{passing.sql} LIMIT {limit:d}",
            passing.params,
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
            f"SELECT CASE WHEN log.version = %s THEN "
            f"IF(log.token = %s, {About.KNOWN:d}, {About.UNKNOWN:d}) "
            f"WHEN log.ids IS NULL THEN {About.UNKNOWN:d} ELSE {about} END, "
            f"changed.id, {columns.of(columns.embedding, 'NULL')} FROM {LOG} AS log\n"
            "LEFT JOIN JSON_TABLE(IF(log.version > %s, log.ids, NULL), "
            "'$[*]' COLUMNS (id BIGINT PATH '$')) AS changed ON TRUE\n"
            f"LEFT JOIN {table.sql} AS v ON v.{table.id} = changed.id\n"
            f"WHERE log.collection = %s AND log.version >= %s LIMIT {limit:d}",
            (number, version.token, *params, number, table.name, number),
        )


class _Columns(NamedTuple):
    """What is selected of a row `v`, besides what the row is about and its id."""

    table: Table
    embedding: str
    with_paths: bool

    def of(self, value: str, version: str) -> str:
        """Return image_name, value, version and path."""
        columns = [self.table.image_name("v."), value, version]
        if self.with_paths:  # by its key for each row, whatever the server believes of the sizes
            files = self.table.side("_files")
            columns.append(f"(SELECT path FROM {files} AS f WHERE f.id = v.{self.table.id})")
        return ", ".join(columns)
