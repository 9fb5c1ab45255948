"""What every statement of lookalike relies on, set on connecting whatever the server's defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.dialects import Statement

LOCK_WAIT_SECONDS = 50
"""How long a statement waits for a lock, of a row or of a table, that another client holds."""

ALTER_WAIT_SECONDS = 10
"""The same where a table is altered: whoever comes meanwhile waits as well."""

SMALLEST_PACKET = 65_536
"""Of max_allowed_packet, in bytes: one below the largest embedding would make it NULL."""

SETTINGS: dict[str, int | str] = {
    "autocommit": 1,
    # MySQL's default but for zero dates, which tables of the user's own may have.
    "sql_mode": "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION",
    "transaction_isolation": "REPEATABLE-READ",
    "time_zone": "+00:00",
    # All rows of a result, from however many there are.
    "sql_select_limit": 2**63 - 1,
    "sql_big_selects": 1,
    "sql_safe_updates": 0,
    "sql_auto_is_null": 0,
    "max_execution_time": 0,
    "group_concat_max_len": 2**20,
    # How large tables are is asked of the engine, not of what was noted up to a day ago.
    "information_schema_stats_expiry": 0,
    # Side tables lose the rows that the collection loses, and a path is stored once.
    "foreign_key_checks": 1,
    "unique_checks": 1,
    # A lock by name is held while its connection waits for the processor; and a stream is read
    # as slowly as its rows are worked on.
    "wait_timeout": 28_800,
    "net_write_timeout": 600,
}
LOCK_WAITS = ("lock_wait_timeout", "innodb_lock_wait_timeout")
"""For locks of tables and of rows, in seconds: the server's, but not a year."""


@dataclass(frozen=True)
class Session:
    """What a session is set to.

    collation: of its character set utf8mb4: what texts are compared by where no column decides.
    without: settings that the server lacks.
    """

    collation: str = "utf8mb4_0900_ai_ci"
    without: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, int | str]:
        """The settings and their values."""
        kept = {name: value for name, value in SETTINGS.items() if name not in self.without}
        return {**kept, "collation_connection": self.collation}

    def set(self) -> Statement:
        """Set everything, for the connection's lifetime."""
        assigned = [f"SESSION {name} = %s" for name in self.settings]
        waits = [f"SESSION {name} = {_at_most(name)}" for name in LOCK_WAITS]
        longest = [LOCK_WAIT_SECONDS] * len(LOCK_WAITS)
        return Statement(f"SET {', '.join(assigned + waits)}", (*self.settings.values(), *longest))

    def read(self) -> Statement:
        """Return the values of the settings, the lock waits, and max_allowed_packet."""
        names = (*self.settings, *LOCK_WAITS, "max_allowed_packet")
        return Statement("SELECT " + ", ".join(f"@@SESSION.{name}" for name in names))

    def differing(self, values: Sequence[Any]) -> str | None:
        """Tell the first setting that is not as it was set, None where there is none."""
        *settings, table_wait, row_wait, _ = values
        for (name, value), found in zip(self.settings.items(), settings, strict=True):
            if _normal(found) != _normal(value):
                return f"{name} is {found}, not {value}"
        for name, found in zip(LOCK_WAITS, (table_wait, row_wait), strict=True):
            if found > LOCK_WAIT_SECONDS:
                return f"{name} is {found}, not {LOCK_WAIT_SECONDS} or less"
        return None


SESSIONS = (
    Session(),
    Session(without=("max_execution_time", "information_schema_stats_expiry")),  # MariaDB
    Session(collation="utf8mb4_general_ci"),  # seekdb
)
"""What a session is set to, in the order in which servers are asked to take it."""


KEEP_WRITES = Statement(
    "SET SESSION group_replication_consistency = IF(@@SESSION.group_replication_consistency = "
    "'EVENTUAL', 'BEFORE_ON_PRIMARY_FAILOVER', @@SESSION.group_replication_consistency)"
)
"""In a group: a new primary answers when it has all that the last one had acknowledged."""


def set_settings(settings: Mapping[str, int]) -> Statement:
    """Set what the sessions of one engine need beside."""
    assigned = ", ".join(f"SESSION {name} = %s" for name in settings)
    return Statement(f"SET {assigned}", tuple(settings.values()))


def set_lock_wait(seconds: int) -> Statement:
    """Wait at most so long for locks on whole tables, as those of ALTER and DROP TABLE are."""
    name = LOCK_WAITS[0]
    return Statement(f"SET SESSION {name} = {_at_most(name)}", (seconds,))


def _at_most(name: str) -> str:
    # A decimal, as LEAST makes of numbers with and without a sign, cannot be assigned.
    return f"CAST(LEAST(@@GLOBAL.{name}, %s) AS UNSIGNED)"


def _normal(value: Any) -> Any:
    return sorted(value.split(",")) if isinstance(value, str) else value
