"""Which privileges the session's user holds, and how to name the account in a GRANT."""

import re

from lookalike.database.connection import Connection
from lookalike.dialects import Statement

_GRANT = re.compile(r"GRANT (.+?) ON (?:(\*|`(?:[^`]|``)*`)\.\*) TO ")


def held(connection: Connection, database: str) -> set[str]:
    """Return the session's privileges on everything and on a database, its active roles' too.

    Those on everything are there a second time, with the ending " ON *.*". Those on patterns of
    names do not count: a grant on the database itself puts them out of force.
    """
    roles = str(connection.value(Statement("SELECT CURRENT_ROLE()")))
    using = "" if roles == "NONE" else f" USING {roles}"
    found = set[str]()
    for (grant,) in connection.query(Statement(f"SHOW GRANTS FOR CURRENT_USER(){using}")):
        if not (granted := _GRANT.match(grant)):
            continue
        privileges = set(re.split(", ?", granted[1]))
        if granted[2] == "*":
            found |= privileges | {f"{name} ON *.*" for name in privileges}
        elif granted[2][1:-1].replace("``", "`").replace("\\", "") == database:
            found |= privileges
    return found


def account(connection: Connection) -> tuple[str, str]:
    """Return the session's account: its user's name, and the whole quoted as in a GRANT."""
    user, _, host = str(connection.value(Statement("SELECT CURRENT_USER()"))).rpartition("@")
    return user, f"{quoted(user, chr(39))}@{quoted(host, chr(39))}"


def quoted(name: str, sign: str) -> str:
    """Quote a name; the quotation mark itself is doubled."""
    return sign + name.replace(sign, 2 * sign) + sign
