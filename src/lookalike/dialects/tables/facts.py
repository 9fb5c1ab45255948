"""SQL of facts: what `add` has read from each file and stored as attributes."""

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.shards import ShardsSQL


class StoredFacts(NamedTuple):
    """A row of `<collection>_facts`.

    content_hash, path: of the file that they are of. has_location: whether coordinates were read,
    too. facts: a JSON object.
    """

    row_id: int
    content_hash: bytes
    path: str
    has_location: bool
    facts: str


class FactsSQL(ShardsSQL):
    """Statements on `<collection>_facts`."""

    def create_facts(self, table: Table, id_type: str) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side('_facts')} (\n"
            f"    id {id_type} PRIMARY KEY,\n"
            "    content_hash BINARY(32) NOT NULL,\n"
            "    path_hash BINARY(32) NOT NULL,\n"
            "    has_location BOOLEAN NOT NULL,\n"
            f"    facts JSON NOT NULL{self.reference(table)}\n"
            ") ENGINE = InnoDB"
        )

    def has_facts(self, table: Table) -> Statement:
        """Select whether there are facts of any row, and whether with coordinates."""
        facts = f"SELECT 1 FROM {table.side('_facts')}"
        return Statement(f"SELECT EXISTS ({facts}), EXISTS ({facts} WHERE has_location)")

    def files_below_without_facts(
        self, table: Table, folder: str, after: int, limit: int, *, location: bool
    ) -> Statement:
        """Select (id, path, content_hash, size, mtime_ns) of files below a folder, by id.

        after: start after this id. Of each, the facts were never read, or those of other bytes or
        another path, or without the coordinates that are wanted now.
        """
        return Statement(
            f"{_without_facts(table)} AND f.id > %s AND LEFT(f.path, CHAR_LENGTH(%s)) = %s "
            "ORDER BY f.id LIMIT %s",
            (location, after, folder, folder, limit),
        )

    def files_without_facts(
        self, table: Table, paths: Sequence[str], *, location: bool
    ) -> Statement:
        """Select the same of some paths."""
        hashes = ", ".join(["UNHEX(SHA2(%s, 256))"] * len(paths))
        return Statement(
            f"{_without_facts(table)} AND f.path_hash IN ({hashes}) ORDER BY f.id",
            (location, *paths),
        )

    def lock_facts(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, path, content_hash, attributes, facts, has_location) and lock the rows."""
        return Statement(
            "SELECT f.id, f.path, f.content_hash, v.attributes, x.facts, "
            "COALESCE(x.has_location, FALSE) "
            f"FROM {table.sql} AS v JOIN {table.side('_files')} AS f ON f.id = v.{table.id} "
            f"LEFT JOIN {table.side('_facts')} AS x ON x.id = f.id "
            f"WHERE v.{table.id} IN ({places(len(ids))}) ORDER BY f.id {self.locks['update']}",
            tuple(ids),
        )

    def replace_facts(self, table: Table, rows: Sequence[StoredFacts]) -> Statement:
        row = "(%s, %s, UNHEX(SHA2(%s, 256)), %s, %s)"
        return Statement(
            f"REPLACE INTO {table.side('_facts')} "
            "(id, content_hash, path_hash, has_location, facts) "
            f"VALUES {', '.join([row] * len(rows))}",
            tuple(value for each in rows for value in each),
        )

    def forget_fact(self, table: Table, name: str) -> Statement:
        """Forget one fact of all rows, so that all their facts are read again when asked for."""
        return Statement(
            f"UPDATE {table.side('_facts')} SET content_hash = REPEAT(CHAR(0), 32), "
            "facts = JSON_REMOVE(facts, CONCAT('$.', JSON_QUOTE(%s)))",
            (name,),
        )


def _without_facts(table: Table) -> str:
    return (
        "SELECT f.id, f.path, f.content_hash, f.size, f.mtime_ns "
        f"FROM {table.side('_files')} AS f "
        f"LEFT JOIN {table.side('_facts')} AS x ON x.id = f.id "
        "WHERE (x.id IS NULL OR x.content_hash <> f.content_hash OR x.path_hash <> f.path_hash "
        "OR (%s AND NOT x.has_location))"
    )
