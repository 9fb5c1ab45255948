"""Let the server itself refresh the index of a table of the user's own, by an event."""

from lookalike.core.errors import DatabaseError, InputError
from lookalike.database.connection import Connection
from lookalike.database.errors import MissingRoutine, Privilege
from lookalike.database.privileges import account, quoted
from lookalike.dialects import Dialect, UserTable

LONGEST = 86_400


def schedule(connection: Connection, dialect: Dialect, table: UserTable, seconds: int) -> None:
    """Refresh an index now, and every so many seconds, inside the server.

    Raises InputError for a number out of range, and DatabaseError where the server cannot: the
    message says what to do. Nothing is changed then.
    """
    if not 1 <= seconds <= LONGEST:
        raise InputError(f"every {seconds} seconds: give 1 to {LONGEST}")
    if table.is_mapped and table.kept != "triggers":
        raise InputError(
            f"{table.shown} has keys that need numbers, and no triggers that give them: "
            "from time to time run lookalike index refresh"
        )
    if not connection.value(dialect.has_scheduler()):
        raise DatabaseError(
            "the server's event scheduler is off: have an administrator run "
            "SET PERSIST event_scheduler = ON;"
        )
    try:
        connection.query(dialect.refresh_inside(table))
    except MissingRoutine as error:
        raise DatabaseError(
            "the server has no procedure that refreshes: run lookalike install-functions",
            code=error.code,
        ) from error
    unschedule(connection, dialect, table)
    database = connection.url.database
    try:
        connection.alter(dialect.create_event(table, seconds, database))
    except Privilege as error:
        user, grantee = account(connection)
        raise DatabaseError(
            f"user {user!r} may not create events: have an administrator run "
            f"GRANT EVENT ON {quoted(database, '`')}.* TO {grantee};",
            code=error.code,
        ) from error


def unschedule(connection: Connection, dialect: Dialect, table: UserTable) -> None:
    """Drop the event of a table, if there is one."""
    if dialect.has_functions and connection.query(dialect.event_of(table)):
        connection.alter(dialect.drop_event(table))


def scheduled(connection: Connection, dialect: Dialect, table: UserTable) -> str | None:
    """Return how often the server refreshes an index, as "every 60 seconds"; None for never."""
    if not dialect.has_functions:
        return None
    for number, unit, is_enabled in connection.query(dialect.event_of(table)):
        text = f"every {number} {unit.lower()}{'' if number == '1' else 's'}"
        if not is_enabled:
            return f"{text}, but the event is disabled"
        is_on = connection.value(dialect.has_scheduler())
        return text if is_on else f"{text}, but the event scheduler is off"
    return None
