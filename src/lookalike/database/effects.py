"""What SQL of the user's own does to the connection that it runs on."""

import re
from enum import Enum

_IGNORED = re.compile(r"(?:\s|\(|--[ \t][^\n]*|#[^\n]*|/\*(?!!).*?\*/)*", re.DOTALL)
_WORDS = re.compile(r"([a-z]+)(?:\s+(@{0,2}[a-z_]+))?", re.IGNORECASE)

_WITHOUT = {
    *("SELECT", "WITH", "TABLE", "VALUES", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"),
    *("INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "CREATE", "ALTER", "DROP", "TRUNCATE"),
    *("RENAME", "ANALYZE", "OPTIMIZE", "CHECK", "GRANT", "REVOKE", "KILL"),
}
_ONLY = {
    *("SET", "USE", "LOCK", "UNLOCK", "START", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT"),
    *("RELEASE", "XA", "PREPARE", "EXECUTE", "DEALLOCATE", "HANDLER"),
}
_SERVERS = {"GLOBAL", "PERSIST", "PERSIST_ONLY", "PASSWORD", "@@GLOBAL", "@@PERSIST"}
"""What SET changes for all connections, as its second word."""

_LEAVES = re.compile(r"(?<!@)@[\w`'\"$.]|:=|_lock", re.IGNORECASE)
"""Variables of the user's, and functions that hold locks by name."""


class Effect(Enum):
    """What a statement leaves behind on its connection."""

    NONE = "nothing"
    PERHAPS = "perhaps a variable, a lock or another state"
    ONLY = "a state of the connection, and that is all that it does"


def effect_of(sql: str) -> Effect:
    """Return what a statement leaves behind; one that is not known may leave anything."""
    found = _WORDS.match(sql, _IGNORED.match(sql).end())  # type: ignore[union-attr]
    if found is None:
        return Effect.PERHAPS
    first, second = found[1].upper(), (found[2] or "").upper()
    if second == "TEMPORARY" or (first in _ONLY and second not in _SERVERS):
        return Effect.ONLY
    return Effect.NONE if first in _WITHOUT and not _LEAVES.search(sql) else Effect.PERHAPS
