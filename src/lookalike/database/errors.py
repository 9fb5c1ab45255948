"""The driver's errors, translated once: numbers to classes, and each message with its remedy."""

from collections.abc import Mapping

import pymysql

from lookalike.core.errors import ConnectionFailed, DatabaseError
from lookalike.database.url import DatabaseURL

_ROOM = "have an administrator SET PERSIST max_allowed_packet = 67108864, and connect again"
_LOCKED = "another client locks a row or table in an open transaction: end that transaction"


class MissingTable(DatabaseError):
    """A table does not exist, or no longer."""


class MissingRoutine(DatabaseError):
    """A stored procedure or function does not exist."""


class Duplicate(DatabaseError):
    """What a statement creates is there already."""


class DuplicateKey(Duplicate):
    """A row with this key."""


class DuplicateColumn(Duplicate):
    """A column with this name."""


class DuplicateIndex(Duplicate):
    """An index with this name."""


class Busy(DatabaseError):
    """Another client's transaction holds a lock; the same statement may succeed later."""


class LockTimeout(Busy):
    """The lock was not released in time."""


class Deadlock(Busy):
    """The server ended this transaction, so that another one can go on."""


class WouldWait(Busy):
    """A statement with NOWAIT would have to wait."""


class Privilege(DatabaseError):
    """The user lacks a privilege."""


class UntrustedFunctions(DatabaseError):
    """Only users with SUPER create functions, as the server writes a binary log."""


class LibraryNotOpened(DatabaseError):
    """The server cannot open the library of a loadable function."""


class ReadOnly(DatabaseError):
    """The transaction or the server is read-only."""


class Unavailable(DatabaseError):
    """The server or its cluster is not ready, and may be soon."""


class ShardLost(Unavailable):
    """The server of a shard cannot be reached, or has hung up."""


class ReadOnlyServer(ReadOnly, Unavailable):
    """The server is read-only, perhaps until a cluster has chosen a new primary."""


class PoolExhausted(DatabaseError):
    """All connections of this program are in use."""


class TooLarge(DatabaseError):
    """A statement is longer than the server's max_allowed_packet."""


class UnknownVariable(DatabaseError):
    """The server has no system variable of this name."""


class UnknownCollation(DatabaseError):
    """The server has no collation of this name."""


class LoginRefused(ConnectionFailed):
    """The server refuses this user or password."""


class UnknownDatabase(ConnectionFailed):
    """The server has no database of this name."""


class ConnectionLost(ConnectionFailed):
    """The server cannot be reached, or hung up; it may be back later."""


Kinds = Mapping[int, type[DatabaseError]]

MYSQL: Kinds = {
    1146: MissingTable,
    1305: MissingRoutine,
    1060: DuplicateColumn,
    1061: DuplicateIndex,
    1062: DuplicateKey,
    1205: LockTimeout,
    1213: Deadlock,
    # TiDB: another transaction has written the rows, or altered the table, meanwhile
    **dict.fromkeys((8002, 8022, 8028, 9007), Deadlock),
    3572: WouldWait,
    **dict.fromkeys((1044, 1142, 1143, 1227, 1370, 1410), Privilege),
    1419: UntrustedFunctions,
    1126: LibraryNotOpened,
    1792: ReadOnly,
    **dict.fromkeys((1290, 1836), ReadOnlyServer),
    **dict.fromkeys((1040, 3100, 3101), Unavailable),  # too many connections; no primary
    # Spider: not connected, or no longer; and what it says of a broken connection
    **dict.fromkeys((1429, 12701, 1158, 1159, 1160, 1161), ShardLost),
    1153: TooLarge,
    1193: UnknownVariable,
    1273: UnknownCollation,
    **dict.fromkeys((1045, 1698, 3118, 3159), LoginRefused),
    1049: UnknownDatabase,
    # no connection, a lost one, a server that shuts down or has waited too long for us
    **dict.fromkeys((0, 2002, 2003, 2005, 2006, 2013, 2055, 1053, 4031), ConnectionLost),
}
"""MySQL's error numbers, those of its clients, and of other engines those that MySQL has not."""


def translated(
    error: Exception, url: DatabaseURL, *, is_lost: bool = False, kinds: Kinds = MYSQL
) -> DatabaseError:
    """Return the DatabaseError that says what an error of the driver means, and what to do.

    is_lost: whether the connection is known to be gone, whatever the driver has raised.
    """
    code = error.args[0] if error.args and isinstance(error.args[0], int) else None
    reason = str(error.args[-1] if error.args else error).strip()
    is_drivers = isinstance(error, pymysql.MySQLError)
    kind = kinds.get(code, DatabaseError) if code is not None else DatabaseError
    is_known_to_fail = kind in (TooLarge, LoginRefused, UnknownDatabase)
    if not is_known_to_fail and (is_lost or not is_drivers):
        kind = ConnectionFailed if isinstance(error, RuntimeError) else ConnectionLost
        if not reason or not (is_drivers or isinstance(error, OSError | RuntimeError)):
            reason = "the connection was lost"  # perhaps while an answer was read
    return kind(_message(kind, reason, url), code=code)


def too_large(size: int, most: int) -> TooLarge:
    """Return the error for a statement of so many bytes, which is not sent."""
    return TooLarge(_too_large(f"{size:,} bytes, of {most:,}"))


def _message(kind: type[DatabaseError], reason: str, url: DatabaseURL) -> str:
    if kind is TooLarge:
        return _too_large(reason)
    if kind is LoginRefused:
        return f"{url} refused user {url.user!r}: {reason}; check the user and its password"
    if kind is UnknownDatabase:
        return (
            f"there is no database {url.database!r} at {url}: "
            f"create it with CREATE DATABASE {url.database}"
        )
    if issubclass(kind, ConnectionFailed):
        return f"cannot reach {url}: {reason}; is the server running there?"
    if kind is ShardLost:
        return f"a shard of {url} cannot be reached: {reason}; is its server running?"
    if kind is Privilege:
        return f"user {url.user!r} lacks a privilege: {reason}; have an administrator GRANT it"
    ending = f"; {_LOCKED}" if kind is LockTimeout else ""
    return f"the database refused a statement: {reason}{ending}"


def _too_large(reason: str) -> str:
    return f"a statement is too large for the server's max_allowed_packet: {reason}; {_ROOM}"
