"""MariaDB's Spider: a table on the head whose partitions are tables of other servers."""

import re
from typing import ClassVar

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.shards import ShardsSQL

_NOTE = re.compile(r'server "([^"]+)"')

_LONGEST = 7 * 86_400
"""Seconds that a statement on a shard may take: an index is built in one."""


class SpiderSQL(ShardsSQL, Primitives):
    """Statements that create spread tables, and those that run on one shard.

    Rows are spread by the remainder of their ids, evenly where these are consecutive; PARTITION BY
    KEY is skewed. Ids are made on the head: Spider finds out the next AUTO_INCREMENT by reading a
    whole row of each shard, which fails for a vector.
    """

    shard_settings: ClassVar[dict[str, int]] = {
        "spider_conn_recycle_mode": 1,  # else each query makes a new connection to each shard
        "spider_direct_dup_insert": 1,  # the shard finds duplicate keys; the head cannot
        "spider_bgs_mode": 1,  # shards search at the same time
        # Spider writes some expressions wrongly for the shards, and leaves out every COLLATE: the
        # head sorts, cuts and counts, except for searches.
        "spider_direct_order_limit": 0,
        "spider_direct_aggregate": 0,
        "spider_disable_group_by_handler": 1,
        "max_tmp_session_space_usage": 0,  # threads of Spider leave counts of it that are wrong
        "spider_internal_xa": 0,  # its records collide for shards of one host, and outlive crashes
    }

    def can_spread(self) -> Statement:
        return Statement(
            "SELECT EXISTS (SELECT 1 FROM information_schema.engines "
            "WHERE engine = 'SPIDER' AND support IN ('YES', 'DEFAULT'))"
        )

    def two_phase_commit(self) -> Statement:
        """Select whether Spider takes part in two-phase commits of the head.

        Then the head's own part of a transaction is not on disk when its commit returns.
        """
        return Statement("SELECT @@spider_support_xa")

    def create_spread(self, table: Table, dim: int, id_type: str) -> list[Statement]:
        columns = (
            f"    {table.id} {id_type} PRIMARY KEY,\n"
            f"    {table.image_name()} VARCHAR(255),\n"
            f"    {table.embedding} {self.vector_type(dim)},\n"
            "    attributes JSON,\n"
            f"    KEY image_name ({table.image_name()})\n"
        )
        made = f"CREATE TABLE IF NOT EXISTS {table.sql} (\n{columns})"
        partitions = ", ".join(
            f"PARTITION p{number} COMMENT = 'server \"{shard}\"'"
            for number, shard in enumerate(table.shards)
        )
        head = (
            f"{made} ENGINE = SPIDER CHARACTER SET utf8mb4 "
            f'COMMENT = \'wrapper "mariadb", table "{table.name}"\'\n'
            f"PARTITION BY HASH ({table.id}) ({partitions})"
        )
        remote = f"{made} ENGINE = InnoDB CHARACTER SET utf8mb4"
        return [*(self.on_shard(shard, remote) for shard in table.shards), Statement(head)]

    def drop_on_shards(self, table: Table) -> list[Statement]:
        return [self.on_shard(shard, f"DROP TABLE IF EXISTS {table.sql}") for shard in table.shards]

    def shards(self, name: str) -> Statement:
        return Statement(
            "SELECT partition_comment FROM information_schema.partitions "
            "WHERE table_schema = DATABASE() AND table_name = %s "
            "AND partition_comment LIKE 'server \"%%' ORDER BY partition_ordinal_position",
            (name,),
        )

    def pushed(self, table: Table, statement: Statement) -> Statement:
        if not table.shards:
            return statement
        # A long list of ids would become a table of the head, and all embeddings be read there.
        settings = (
            f"spider_direct_order_limit = {2**63 - 1:d}, in_predicate_conversion_threshold = 0"
        )
        sql = statement.sql.removeprefix("SET STATEMENT ")
        joint = " FOR " if sql == statement.sql else ", "
        return Statement(f"SET STATEMENT {settings}{joint}{sql}", statement.params)

    def all_shards(self) -> Statement:
        return Statement(
            "SELECT DISTINCT partition_comment FROM information_schema.partitions "
            "WHERE table_schema = DATABASE() AND partition_comment LIKE 'server \"%'"
        )

    def shard_of(self, note: str | None) -> str | None:
        found = _NOTE.search(note or "")
        return found[1] if found else None

    def on_shard(self, shard: str, sql: str, into: str = "") -> Statement:
        where = f'server "{shard}", net_read_timeout "{_LONGEST}"'
        return Statement("SELECT spider_direct_sql(%s, %s, %s)", (sql, into, where))

    def on_shards(self, table: Table, change: str) -> list[Statement]:
        """Alter the table on each shard."""
        sql = f"ALTER TABLE {table.sql} {change}"
        return [self.on_shard(shard, sql) for shard in table.shards]

    def has_table_on_shard(self, table: Table) -> str:
        return f"SELECT COUNT(*) FROM information_schema.tables WHERE {_is_this(table)}"

    def count_rows_on_shard(self, table: Table) -> str:
        return f"SELECT COUNT(*) FROM {table.sql}"

    def count_indexes_on_shard(self, table: Table) -> str:
        return (
            "SELECT COUNT(DISTINCT index_name) FROM information_schema.statistics "
            f"WHERE {_is_this(table)} AND index_type = 'VECTOR'"
        )


def _is_this(table: Table) -> str:
    return f"table_schema = DATABASE() AND table_name = '{table.name}'"
