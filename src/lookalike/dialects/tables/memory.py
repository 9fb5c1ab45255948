"""SQL for searches whose candidates are chosen in memory."""

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_
from lookalike.dialects.tables.versions import LOG, VERSIONS, Version

STATE, CANDIDATE, TAIL, CHANGED = range(4)
"""What a row of `candidates` is about: the copy, a row by id, one above the last processed id, or
one that has changed since the copy's version and may be gone."""


class CopyState(NamedTuple):
    """What has become of the codes since a copy was read.

    is_known: whether the copy's version belongs to their history. all_changed: whether the log
    since then does not tell which rows have changed.
    """

    origin: int
    version: int
    token: int
    generation: int
    is_known: bool
    all_changed: bool


class ComparedRow(NamedTuple):
    """A row of `candidates`; only STATE has a state. passes: whether it passes the filter."""

    about: int
    id: int
    image_name: str | None
    embedding: bytes | None
    passes: bool
    state: CopyState | None


class MemorySQL(Primitives):
    """Statements that compare a copy in memory with the table."""

    def copy_state(self, table: Table, version: Version) -> Statement:
        """Select the `CopyState` of a copy of this version."""
        known = (table.name, version.version, version.token)
        return Statement(
            "SELECT v.origin, v.version, v.token, i.generation,\n"
            "    (v.version = %s AND v.token = %s) OR EXISTS (SELECT 1 FROM "
            f"{LOG} WHERE collection = %s AND version = %s AND token = %s) AS is_known,\n"
            f"    EXISTS (SELECT 1 FROM {LOG}\n"
            "        WHERE collection = %s AND version > %s AND ids IS NULL) AS all_changed\n"
            f"FROM {VERSIONS} AS v JOIN lookalike_indexes AS i ON i.collection = v.collection\n"
            "WHERE v.collection = %s",
            (version.version, version.token, *known, table.name, version.version, table.name),
        )

    def changed_ids(self, table: Table, version: Version, limit: int | None = None) -> Statement:
        """Select the ids that changed since a version."""
        most = "" if limit is None else f" LIMIT {limit:d}"
        return Statement(
            f"SELECT DISTINCT changed.id FROM {LOG} AS log\n"
            "JOIN JSON_TABLE(log.ids, '$[*]' COLUMNS (id BIGINT PATH '$')) AS changed\n"
            f"WHERE log.collection = %s AND log.version > %s{most}",
            (table.name, version.version),
        )

    def candidates(
        self,
        table: Table,
        version: Version,
        ids: Sequence[int],
        where: Filter | None,
        *,
        max_tail: int,
        max_changed: int,
    ) -> Statement:
        """Select the rows that a search has to compare, in one snapshot, as `ComparedRow`.

        where: filter of rows. Of TAIL and CHANGED one row more than the maximum is selected.
        """
        state = self.copy_state(table, version)
        changed = self.changed_ids(table, version, max_changed + 1)
        passing = and_(where)
        columns = f"{table.image_name('v.')}, {self.embedding_bytes(table, 'v.')}"
        nothing = ", NULL" * len(CopyState._fields)
        parts = [f"SELECT {STATE}, NULL, NULL, NULL, NULL, state.* FROM ({state.sql}) AS state"]
        bound = [*state.params]
        if ids:
            parts.append(
                f"SELECT {CANDIDATE}, v.{table.id}, {columns}, 1{nothing} FROM {table.sql} AS v "
                f"WHERE v.{table.id} IN ({places(len(ids))}){passing.sql}"
            )
            bound += [*ids, *passing.params]
        parts.append(
            f"(SELECT {TAIL}, v.{table.id}, {columns}, 1{nothing} FROM {table.sql} AS v "
            f"WHERE v.{table.embedding} IS NOT NULL{passing.sql} AND v.{table.id} >\n"
            "    (SELECT indexed_through FROM lookalike_index_tails WHERE collection = %s) "
            f"LIMIT {max_tail + 1:d})"
        )
        bound += [*passing.params, table.name]
        passes = Filter("1", ()) if where is None else where
        parts.append(
            f"SELECT {CHANGED}, changed.id, {columns}, ({passes.sql}){nothing} "
            f"FROM ({changed.sql}) AS changed LEFT JOIN {table.sql} AS v "
            f"ON v.{table.id} = changed.id"
        )
        bound += [*passes.params, *changed.params]
        return Statement("\nUNION ALL\n".join(parts), tuple(bound))
