"""SQL of collections whose rows are spread over several servers, the shards.

The collection's table on the head has no rows itself; side tables are ordinary ones there. No
foreign key can refer to it, so what belongs to a row is deleted with it. No transaction covers
several servers either: `<collection>_unsettled` has the ids of rows that are being made or deleted.
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from lookalike.core.errors import InputError
from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table

SHARD_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""The name of a server as CREATE SERVER takes it, without what ends a quoted one."""

UNSETTLED = "_unsettled"
ANSWERS = "lookalike_answers"

_BESIDE = (("_files", "id"), ("_facts", "id"), ("_distinct", "id"), ("_distinct", "other_id"))
"""Side tables, and their columns that refer to rows."""


class ShardsSQL(Primitives):
    """Statements on spread tables; those that create and reach shards are an engine's own."""

    shard_settings: ClassVar[dict[str, int]] = {}
    """What a session is set to where the server can spread tables; empty where none can."""

    def can_spread(self) -> Statement:
        """Select whether the server can spread tables."""
        raise NotImplementedError

    def create_spread(self, table: Table, dim: int, id_type: str) -> list[Statement]:
        """Create a collection's table on its shards, then on the head."""
        raise NotImplementedError

    def drop_on_shards(self, table: Table) -> list[Statement]:
        raise NotImplementedError

    def shards(self, name: str) -> Statement:
        """Select the notes on the partitions of a table, in their order."""
        raise NotImplementedError

    def pushed(self, table: Table, statement: Statement) -> Statement:
        """Return the statement with its ORDER BY and LIMIT run on each shard."""
        return statement

    def on_head(self, table: Table, condition: str) -> str:
        """Return a condition that shards do not check: they would read another one.

        What refers to a table of the head cannot be sent to them; no id is negative.
        """
        if not table.shards:
            return condition
        return f"(({condition}) OR v.id IN (SELECT -u.id FROM {table.side(UNSETTLED)} AS u))"

    def all_shards(self) -> Statement:
        """Select the notes on the partitions of all spread tables of the database."""
        raise NotImplementedError

    def two_phase_commit(self) -> Statement:
        """Select whether what is committed may be lost in a crash of the head."""
        raise NotImplementedError

    def shard_of(self, note: str | None) -> str | None:
        """Return the server that the note on a partition names; None if it names none."""
        raise NotImplementedError

    def on_shard(self, shard: str, sql: str, into: str = "") -> Statement:
        """Run a statement on a shard. into: a temporary table that gets its rows."""
        raise NotImplementedError

    def has_table_on_shard(self, table: Table) -> str:
        """Return the SQL that counts the tables of this name on a shard."""
        raise NotImplementedError

    def count_rows_on_shard(self, table: Table) -> str:
        raise NotImplementedError

    def count_indexes_on_shard(self, table: Table) -> str:
        """Return the SQL that counts the shard's own vector indexes of the table."""
        raise NotImplementedError

    def create_answers(self) -> Statement:
        """Create a temporary table for the number that a shard answers."""
        return Statement(f"CREATE TEMPORARY TABLE {ANSWERS} (n BIGINT NOT NULL)")

    def answers(self) -> Statement:
        return Statement(f"SELECT n FROM {ANSWERS}")

    def forget_answers(self) -> Statement:
        return Statement(f"DELETE FROM {ANSWERS}")

    # Rows that are being made or deleted.

    def create_unsettled(self, table: Table, id_type: str) -> Statement:
        """Create the table of unsettled ids; it also numbers the rows."""
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.side(UNSETTLED)} (\n"
            f"    id {id_type} PRIMARY KEY AUTO_INCREMENT\n"
            ") ENGINE = InnoDB"
        )

    def make_ids(self, table: Table, n: int) -> Statement:
        """Make consecutive ids of new rows."""
        rows = ", ".join(["(NULL)"] * n)
        return Statement(f"INSERT INTO {table.side(UNSETTLED)} (id) VALUES {rows}")

    def note_ids(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"INSERT IGNORE INTO {table.side(UNSETTLED)} (id) VALUES {values(1, len(ids))}",
            tuple(ids),
        )

    def lock_unsettled(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"SELECT id FROM {table.side(UNSETTLED)} WHERE id IN ({places(len(ids))}) "
            f"{self.locks['update']}",
            tuple(ids),
        )

    def lock_abandoned(self, table: Table, limit: int) -> Statement:
        """Select unsettled ids that no client is working on, and lock them."""
        return Statement(
            f"SELECT id FROM {table.side(UNSETTLED)} LIMIT {limit:d} "
            f"{self.locks['update']} SKIP LOCKED"
        )

    def settle(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"DELETE FROM {table.side(UNSETTLED)} WHERE id IN ({places(len(ids))})", tuple(ids)
        )

    # What a foreign key would do.

    def reference(self, table: Table, column: str = "id") -> str:
        """Return the foreign key of a side table to the rows, with the comma before it."""
        if table.shards:
            return ""
        target = f"{table.sql} ({table.id})"
        return f",\n    FOREIGN KEY ({column}) REFERENCES {target} ON DELETE CASCADE"

    def delete_beside(self, table: Table, ids: Sequence[int]) -> list[Statement]:
        """Delete what belongs to rows; some of these tables may be missing."""
        return [
            Statement(
                f"DELETE FROM {table.side(suffix)} WHERE {column} IN ({places(len(ids))})",
                tuple(ids),
            )
            for suffix, column in _BESIDE
        ]


def check_shards(shards: Sequence[str]) -> tuple[str, ...]:
    """Return the names of at least two servers. Raises InputError for others."""
    if isinstance(shards, str) or not all(isinstance(name, str) for name in shards):
        raise InputError("shards are the names of servers: give a list of them")
    for name in shards:
        if not SHARD_NAME.fullmatch(name):
            raise InputError(f"{name!r} is not the name of a server, as CREATE SERVER takes it")
    if len({name.lower() for name in shards}) < max(2, len(shards)):
        raise InputError("name two shards or more, each once")
    return tuple(shards)
