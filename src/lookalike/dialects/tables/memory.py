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
        path, no_path = "", ""
        if with_paths:  # by its key for each row, whatever the server believes of the table's size
            path = f", (SELECT path FROM {table.side('_files')} AS f WHERE f.id = v.{table.id})"
            no_path = ", NULL"
        embedding = self.embedding_bytes(table, "v.")
        value = f"CRC32(v.{table.embedding})" if checksums else embedding
        name, passing = table.image_name("v."), and_(where)
        parts = [
            f"SELECT {About.VERSION:d}, origin, CONCAT(version, ' ', token), NULL{no_path} "
            f"FROM {VERSIONS} WHERE collection = %s"
        ]
        bound: list[object] = [table.name]
        if ids:
            parts.append(
                f"SELECT {About.CANDIDATE:d}, v.{table.id}, {name}, {value}{path} "
                f"FROM {table.sql} AS v "
                f"WHERE v.{table.id} IN ({places(len(ids))}){passing.sql}"
            )
            bound += [*ids, *passing.params]
        parts.append(
            f"(SELECT {About.TAIL:d}, v.{table.id}, {name}, {embedding}{path} "
            f"FROM {table.sql} AS v WHERE v.{table.id} > (SELECT indexed_through "
            "FROM lookalike_index_tails WHERE collection = %s) "
            f"AND v.{table.embedding} IS NOT NULL{passing.sql} LIMIT {max_tail + 1:d})"
        )
        bound += [table.name, *passing.params]
        passing_too = f"{About.CHANGED:d}"
        if where is not None:
            passing_too = f"IF({where.sql}, {About.CHANGED:d}, {About.HIDDEN:d})"
        parts.append(
            f"(SELECT CASE WHEN log.version = %s THEN "
            f"IF(log.token = %s, {About.KNOWN:d}, {About.UNKNOWN:d}) "
            f"WHEN log.ids IS NULL THEN {About.UNKNOWN:d} ELSE {passing_too} END, "
            f"changed.id, {name}, {embedding}{path} FROM {LOG} AS log "
            "LEFT JOIN JSON_TABLE(IF(log.version > %s, log.ids, NULL), "
            "'$[*]' COLUMNS (id BIGINT PATH '$')) AS changed ON TRUE "
            f"LEFT JOIN {table.sql} AS v ON v.{table.id} = changed.id "
            f"WHERE log.collection = %s AND log.version >= %s LIMIT {max_changed + 2:d})"
        )
        number = version.version
        bound += [number, version.token, *(where.params if where else ())]
        bound += [number, table.name, number]
        return Statement("\nUNION ALL\n".join(parts), tuple(bound))
