"""Rename a collection; at any moment, a complete one has the old or the new name.

First the old name's records are copied to the new name, then all tables are renamed in one
statement, then the index tables' comments are updated and the old records deleted. Repeat an
interrupted call to finish it.
"""

from lookalike.core.errors import InputError
from lookalike.database.connection import Connection
from lookalike.database.own_tables import (
    TRAINER_SECONDS,
    find_own_tables,
    no_training,
    noted_in,
    shared_tables,
    unknown,
)
from lookalike.database.schema import check_new_name, find_collection
from lookalike.database.user_tables import registered_tables
from lookalike.dialects import (
    OF_ONE_NAME,
    REGISTRY,
    SHARED_TABLES,
    SIDE_TABLES,
    Dialect,
    Table,
    quote_name,
)


def rename_collection(
    connection: Connection,
    dialect: Dialect,
    old: str,
    new: str,
    *,
    trainer_seconds: int = TRAINER_SECONDS,
) -> None:
    """Rename a collection and everything that belongs to it.

    trainer_seconds: how long to wait for a client that trains its index.

    Raises InputError if there is no such collection, or the new name is taken or invalid.
    """
    quote_name(new)
    record = find_collection(connection, dialect, old)
    if record is not None and record.own is not None:
        raise InputError(
            f"{old!r} is a table of your own: create its index again with --as {new}, after "
            f"lookalike index drop {old}"
        )
    if record is not None and record.shards:
        raise InputError(
            f"{old!r} is spread over {', '.join(record.shards)}, whose tables have its name: it "
            "cannot be renamed"
        )
    if registered_tables(connection, dialect, new):
        raise InputError(f"the name {new!r} is taken by a table of your own; give another")
    if connection.value(dialect.lower_case_names()) == 1:
        old, new = old.lower(), new.lower()
    elif record is not None:
        old = record.name
    if old == new:
        raise InputError(f"collection {old!r} already has this name; give another")
    if record is None and not _is_cut_short(connection, dialect, old, new):
        raise unknown(connection, dialect, old)
    with (
        no_training(connection, dialect, old, trainer_seconds),
        no_training(connection, dialect, new, trainer_seconds),
    ):
        if record is not None:
            own = find_own_tables(connection, dialect, old)
            names = [(old, new), *((table, new + table[len(old) :]) for table in own.names)]
            _check_free(connection, dialect, new, [name for _, name in names])
            _note(connection, dialect, old, new)
            connection.alter(dialect.rename_tables(names))
        _finish(connection, dialect, old, new)


def _is_cut_short(connection: Connection, dialect: Dialect, old: str, new: str) -> bool:
    """Whether an earlier call renamed the tables but left the old name's records."""
    if not noted_in(connection, dialect, old) or find_collection(connection, dialect, new) is None:
        return False
    if REGISTRY not in dict(shared_tables(connection, dialect)):
        return True  # a user's own table
    one, other = (connection.query(dialect.registration(name)) for name in (old, new))
    return one == other


def _check_free(connection: Connection, dialect: Dialect, new: str, names: list[str]) -> None:
    """Raise InputError if a table has one of the names, or one that will be needed."""
    check_new_name(connection, dialect, new)
    wanted = {*names, *(f"{new}{suffix}" for suffix in SIDE_TABLES)}
    taken = {row[0] for row in connection.query(dialect.existing_tables(sorted(wanted)))}
    if taken := taken | (wanted & set(SHARED_TABLES)):
        raise InputError(
            f"a table {min(taken, key=len)!r} exists already; give another name than {new!r}"
        )


def _note(connection: Connection, dialect: Dialect, old: str, new: str) -> None:
    """Copy the old name's records to the new name, and delete any others there."""
    with connection.transaction():
        for shared, key in shared_tables(connection, dialect):
            connection.execute(dialect.forget_noted_without_table(new, shared, key))
            _copy(connection, dialect, old, new, shared, key)


def _copy(
    connection: Connection, dialect: Dialect, old: str, new: str, shared: str, key: str
) -> None:
    if shared in OF_ONE_NAME:
        return
    columns = [
        row[0] for row in connection.query(dialect.table_columns(Table(shared))) if row[0] != key
    ]
    connection.execute(dialect.copy_noted(old, new, shared, key, columns))


def _finish(connection: Connection, dialect: Dialect, old: str, new: str) -> None:
    for table, generation in find_own_tables(connection, dialect, new).generations:
        connection.alter(dialect.mark_generation(new, generation, table))
    with connection.transaction():
        for shared, key in shared_tables(connection, dialect):
            # Copy again: records may have been added since.
            _copy(connection, dialect, old, new, shared, key)
            connection.execute(dialect.forget_noted_without_table(old, shared, key))
