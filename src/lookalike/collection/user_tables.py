"""Register a table of the user's own, keep its index true, and drop it again.

Their table is never altered: only triggers are attached to it, where the account may create them.
Each step can be repeated, so that an interrupted creation is finished by the next.
"""

from collections.abc import Callable

from lookalike.collection.scheduling import unschedule
from lookalike.core.errors import ConnectionFailed, DatabaseError, InputError, LookalikeError
from lookalike.database.connection import Connection
from lookalike.database.errors import DuplicateKey, MissingTable, Privilege, UntrustedFunctions
from lookalike.database.own_tables import (
    TRAINER_SECONDS,
    find_own_tables,
    no_training,
    noted_in,
)
from lookalike.database.schema import find_collection
from lookalike.database.user_tables import (
    OpenedTable,
    Wanted,
    describe,
    missing_triggers,
    open_registered,
    registered_tables,
)
from lookalike.dialects import EVENTS, Column, Dialect, Kept, UserTable, trigger_name

Notify = Callable[[str], None]


def register(
    connection: Connection, dialect: Dialect, wanted: Wanted, notify: Notify
) -> tuple[UserTable, bool]:
    """Return the registered table, and whether it is new.

    Raises InputError for a table that cannot be indexed, and for a name that is taken.
    """
    known = registered_tables(connection, dialect, wanted.registered)
    if known:
        _check_same(connection, known[0], wanted)
        if known[0].kept != "new":
            return known[0], False
        return _prepare_new(connection, dialect, known[0], notify), True  # it was interrupted
    table = describe(connection, dialect, wanted)
    _check_free(connection, dialect, table)
    for statement in (
        *dialect.create_schema(),
        dialect.create_levels(),
        dialect.create_thresholds(),
        *dialect.create_indexes(),
        *dialect.create_versions(),
        dialect.create_user_tables(),
    ):
        connection.execute(statement)
    table = _numbered(connection, dialect, table)
    return _prepare_new(connection, dialect, table, notify), True


def _numbered(connection: Connection, dialect: Dialect, table: UserTable) -> UserTable:
    """Register a table, with a number that no collection has in its name."""
    while True:
        try:
            connection.execute(dialect.register_user_table(table))
        except DuplicateKey as error:
            raise _taken(table.name, "another client has just registered it") from error
        numbered = registered_tables(connection, dialect, table.name)[0]
        if not connection.query(dialect.existing_tables([numbered.side_name])):
            return numbered
        connection.execute(dialect.forget_user_table(numbered))


def _prepare_new(
    connection: Connection, dialect: Dialect, table: UserTable, notify: Notify
) -> UserTable:
    """Prepare a new table; if that fails, nothing of it is left."""
    try:
        return prepare(connection, dialect, table, notify)
    except ConnectionFailed:
        raise
    except LookalikeError:
        drop(connection, dialect, table.name)
        raise


def _check_same(connection: Connection, known: UserTable, wanted: Wanted) -> None:
    """Raise InputError where a name is of another table, or of other columns."""
    if wanted == Wanted(known.name):
        return
    schema = None if wanted.schema == connection.url.database else wanted.schema
    pairs = (
        (known.vector, wanted.vector),
        (known.id_column, wanted.id),
        (known.name_column, wanted.name),
        (known.metric, wanted.metric),
    )
    if (known.schema, known.table) != (schema, wanted.table) or any(
        asked is not None and asked.lower() != str(stored).lower() for stored, asked in pairs
    ):
        columns = f"key {known.id_column}, {known.metric}"
        raise _taken(known.name, f"it is {known.shown}.{known.vector} ({columns})")


def _check_free(connection: Connection, dialect: Dialect, table: UserTable) -> None:
    if not table.name.strip() or len(table.name) > 64 or "\0" in table.name:
        raise InputError(f"{table.name!r} cannot be an index's name: use 1 to 64 characters")
    if table.schema is None and table.table.startswith("lookalike_"):
        raise InputError(f"table {table.table} is lookalike's own: index one of yours")
    collections = {row[0] for row in connection.query(dialect.collection_names())}
    is_itself = table.schema is None and table.table == table.name
    if table.name not in collections:
        return
    record = find_collection(connection, dialect, table.name)
    if record is not None and (record.has_files or not is_itself):
        raise _taken(table.name, "it is a collection's, whose index `add` keeps")


def _taken(name: str, why: str) -> InputError:
    return InputError(f"the name {name!r} is taken: {why}; choose another with --as (alias=)")


def prepare(
    connection: Connection, dialect: Dialect, table: UserTable, notify: Notify
) -> UserTable:
    """Create what keeps the index of a table true, as far as it is missing.

    Where the account may not create triggers, the tail does, and `notify` is told why; triggers
    that are there stay.
    """
    (key,) = (
        column
        for row in connection.query(dialect.describe_columns(table.original))
        if (column := Column(*row)).name == table.id_column
    )
    if table.is_mapped:
        connection.execute(dialect.create_keys(table, key))
        number_keys(connection, dialect, table)
    id_type = "BIGINT UNSIGNED" if table.is_mapped else key.type
    connection.execute(dialect.create_log(table, id_type))
    kept: Kept = "triggers"
    try:
        for event in EVENTS:
            database = connection.url.database
            missing = missing_triggers(connection, dialect, table)
            if trigger_name(table, event, database) in missing:
                connection.alter(dialect.create_trigger(table, event, database))
    except (Privilege, UntrustedFunctions) as error:
        if table.kept == "triggers":
            raise
        kept = "tail"
        drop_triggers(connection, dialect, table)
        connection.execute(dialect.drop_log(table))
        notify(
            f"{table.shown}: this account may not create triggers ({error}). Inserted rows are "
            "searched exactly until lookalike index refresh; changed vectors are found after "
            "lookalike index rebuild."
        )
    if table.is_mapped:  # rows that were inserted before there were triggers
        number_keys(connection, dialect, table)
    if kept != table.kept:
        connection.execute(dialect.set_kept(table, kept))
    return table._replace(kept=kept)


def number_keys(connection: Connection, dialect: Dialect, table: UserTable) -> None:
    """Number the keys that have no number yet, and show the columns that the table has now."""
    columns = [row[0] for row in connection.query(dialect.describe_columns(table.original))]
    connection.execute(dialect.create_rows(table, columns))
    connection.execute(dialect.number_keys(table))


def drop(connection: Connection, dialect: Dialect, name: str) -> UserTable:
    """Drop a registered table's event, triggers, index, side tables and records; the table stays.

    Raises InputError for a name that is not registered; nothing is dropped then.
    """
    known = registered_tables(connection, dialect, name)
    if not known:
        raise not_registered(connection, dialect, name)
    table, key = known[0], known[0].side_name
    with no_training(connection, dialect, key, TRAINER_SECONDS):
        unschedule(connection, dialect, table)
        drop_triggers(connection, dialect, table)
        own = find_own_tables(connection, dialect, key)
        if own.names:
            connection.alter(dialect.drop_tables(own.names))
        for statement in dialect.drop_sides(table):
            connection.alter(statement)
        noted = noted_in(connection, dialect, key)
        with connection.transaction():
            for shared, column in noted:
                connection.execute(dialect.forget_noted(key, shared, column))
            connection.execute(dialect.forget_user_table(table))
    return table


def drop_triggers(connection: Connection, dialect: Dialect, table: UserTable) -> None:
    """Drop the triggers of a table."""
    if table.schema is not None and not connection.value(dialect.has_schema(table.schema)):
        return
    there = connection.query(dialect.triggers_of(table, connection.url.database))
    if table.kept != "triggers" and not there:
        return
    for event in EVENTS:
        connection.alter(dialect.drop_trigger(table, event, connection.url.database))


def not_registered(connection: Connection, dialect: Dialect, name: str) -> InputError:
    """Return the error for a name that no table is registered by."""
    names = [table.name for table in registered_tables(connection, dialect)]
    told = f"the tables with an index are: {', '.join(names)}" if names else "none has one yet"
    return InputError(f"no table is registered as {name!r} in {connection.url.database}; {told}")


def problems_of(connection: Connection, dialect: Dialect, own: OpenedTable) -> tuple[str, ...]:
    """Return what is missing of what keeps the index of a table true, a sentence each."""
    missing: list[str] = []
    if own.table.kept == "triggers":
        missing = missing_triggers(connection, dialect, own.table)
    told = [f"trigger {name} is missing" for name in missing]
    if len(missing) == len(EVENTS):
        told = ["its triggers are missing, or this account, without TRIGGER, cannot see them"]
    if own.names.log and count_logged(connection, dialect, own) is None:
        told.append(f"its log {own.table.side_name}_changes is missing")
    return tuple(told)


def count_logged(connection: Connection, dialect: Dialect, own: OpenedTable) -> int | None:
    """Return how many rows the log has; None where the log is missing."""
    if not own.names.log:
        return 0
    try:
        return int(connection.value(dialect.count_logged(own.names)))
    except MissingTable:
        return None


def repaired(
    connection: Connection, dialect: Dialect, own: OpenedTable, notify: Notify
) -> OpenedTable:
    """Create what is missing, and return the table as it is kept now."""
    table = prepare(connection, dialect, own.table, notify)
    return open_registered(connection, dialect, table)


def make_ready(connection: Connection, dialect: Dialect, own: OpenedTable) -> bool:
    """Prepare to bring an index up to date; return whether its log tells every change.

    Raises DatabaseError for a log that somebody has dropped.
    """
    problems = problems_of(connection, dialect, own)
    if count_logged(connection, dialect, own) is None:
        raise DatabaseError(
            f"the log {own.table.side_name}_changes of {own.table.name!r} is missing: run "
            f"lookalike index rebuild --collection {own.table.name}"
        )
    is_told = bool(own.names.log) and not problems
    if own.table.is_mapped and not is_told:
        number_keys(connection, dialect, own.table)
    return is_told
