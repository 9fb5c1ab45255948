"""SQL of versions: what copies of an index in memory are kept fresh by.

A row of `lookalike_index_versions` counts the transactions that changed the codes of a collection,
or its generation. `lookalike_index_log` has the ids that each of them changed; NULL means all. The
token of a transaction is random: in another history, as after a restore, a version has another
token. The origin is the token of the first version: a collection that was made again has another.

A transaction writes both last, so the lock of the version's row is held for the commit alone, and
versions are committed in their order. Whoever sees a version sees the log up to it.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table

VERSIONS = "lookalike_index_versions"
LOG = "lookalike_index_log"

_COLLECTION = "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"


class Version(NamedTuple):
    """A state of a collection's codes."""

    origin: int
    version: int
    token: int


class VersionsSQL:
    """Statements about versions and their log."""

    def create_versions(self) -> list[Statement]:
        return [
            Statement(
                f"CREATE TABLE IF NOT EXISTS {VERSIONS} (\n"
                f"    collection {_COLLECTION} PRIMARY KEY,\n"
                "    origin BIGINT NOT NULL,\n"
                "    version BIGINT UNSIGNED NOT NULL,\n"
                "    token BIGINT NOT NULL\n"
                ") ENGINE = InnoDB"
            ),
            Statement(
                f"CREATE TABLE IF NOT EXISTS {LOG} (\n"
                f"    collection {_COLLECTION},\n"
                "    version BIGINT UNSIGNED NOT NULL,\n"
                "    token BIGINT NOT NULL,\n"
                "    n_ids INT UNSIGNED NOT NULL,\n"
                "    ids JSON,\n"
                "    PRIMARY KEY (collection, version)\n"
                ") ENGINE = InnoDB"
            ),
        ]

    def codes_version(self, table: Table) -> Statement:
        """Select the `Version`."""
        return Statement(
            f"SELECT origin, version, token FROM {VERSIONS} WHERE collection = %s", (table.name,)
        )

    def several_primaries(self) -> Statement:
        """Select a row if the server is in a group in which several may write."""
        return Statement(
            "SHOW GLOBAL VARIABLES WHERE variable_name = 'group_replication_single_primary_mode' "
            "AND value = 'OFF'"
        )

    def start_versions(self, table: Table, token: int) -> Statement:
        return Statement(
            f"INSERT IGNORE INTO {VERSIONS} (collection, origin, version, token) "
            "VALUES (%s, %s, 1, %s)",
            (table.name, token, token),
        )

    def next_version(self, table: Table, token: int) -> Statement:
        return Statement(
            f"UPDATE {VERSIONS} SET version = version + 1, token = %s WHERE collection = %s",
            (token, table.name),
        )

    def log_version(self, table: Table, ids: Sequence[int] | None) -> Statement:
        """Log the version that this transaction has made. ids: that it changed; None: all."""
        return Statement(
            f"INSERT INTO {LOG} (collection, version, token, n_ids, ids) "
            f"SELECT collection, version, token, %s, %s FROM {VERSIONS} WHERE collection = %s "
            "ON DUPLICATE KEY UPDATE token = VALUES(token), n_ids = VALUES(n_ids), "
            "ids = VALUES(ids)",
            (len(ids or ()), None if ids is None else json.dumps(ids), table.name),
        )

    def forget_log(self, table: Table) -> Statement:
        return Statement(f"DELETE FROM {LOG} WHERE collection = %s", (table.name,))

    def read_uncommitted(self) -> Statement:
        """Let this connection read uncommitted rows."""
        return Statement("SET SESSION TRANSACTION ISOLATION LEVEL READ UNCOMMITTED")

    def read_committed(self) -> Statement:
        """Let this connection read what was committed before each statement."""
        return Statement("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")

    def oldest_to_keep(self, table: Table, ids: int) -> Statement:
        """Select the last version whose log can go if that many ids after it are kept."""
        return Statement(
            "SELECT MAX(version) FROM (\n"
            "    SELECT version, n_ids, SUM(n_ids) OVER (ORDER BY version DESC) AS total\n"
            f"    FROM {LOG} WHERE collection = %s\n"
            ") AS log WHERE total - n_ids > %s",
            (table.name, ids),
        )

    def prune_log(self, table: Table, through: int, limit: int) -> Statement:
        return Statement(
            f"DELETE FROM {LOG} WHERE collection = %s AND version <= %s ORDER BY version LIMIT %s",
            (table.name, through, limit),
        )
