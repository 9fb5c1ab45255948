"""Delete a collection: first its tables in one statement, then its records.

If this is interrupted in between, the next deletion or creation of the collection finishes it.
"""

from collections.abc import Sequence
from contextlib import nullcontext

from lookalike.core.errors import InputError
from lookalike.core.reports import CollectionRemoval
from lookalike.database.connection import Connection
from lookalike.database.errors import MissingTable
from lookalike.database.own_tables import (
    TRAINER_SECONDS,
    find_own_tables,
    no_training,
    noted_in,
    unknown,
)
from lookalike.database.schema import CollectionRecord, find_collection
from lookalike.database.shards import find_shards, on_all
from lookalike.dialects import COLLECTION_COLUMNS, Dialect, Table


def delete_collection(
    connection: Connection,
    dialect: Dialect,
    name: str,
    *,
    keep_table: bool,
    dry_run: bool,
    trainer_seconds: int = TRAINER_SECONDS,
) -> CollectionRemoval:
    """Delete a collection, or with keep_table everything except its table.

    trainer_seconds: how long to wait for a client that trains its index.

    Raises InputError, and deletes nothing, if there is no such collection, if its table is the
    user's own, or if other tables refer to it.
    """
    record = find_collection(connection, dialect, name)
    if record is not None and record.own is not None:
        raise InputError(
            f"{name!r} is a table of your own; to drop its index: lookalike index drop {name}"
        )
    name = record.name if record else _as_stored(connection, dialect, name)
    training = no_training(connection, dialect, name, trainer_seconds)
    with nullcontext() if dry_run else training:
        own = find_own_tables(connection, dialect, name)
        noted = noted_in(connection, dialect, name)
        if record is None and not (own.names or noted):
            raise unknown(connection, dialect, name)
        if record is not None and keep_table and not (own.names or noted):
            raise InputError(
                f"nothing to delete: {name!r} has no other tables or records, and --keep-table "
                "keeps its table"
            )
        goes = record is not None and not keep_table
        if record is not None and goes:
            _check_is_ours(connection, dialect, record)
        # Referring tables first.
        tables = [*own.names, *([name] if goes else [])]
        _check_references(connection, dialect, tables)
        rows = _count(connection, dialect, name) if goes else 0
        if not dry_run:
            _delete(connection, dialect, name, tables, noted, goes=record is None or goes)
    return CollectionRemoval(name, rows, tuple(tables), keep_table, dry_run)


def _count(connection: Connection, dialect: Dialect, name: str) -> int:
    try:
        return int(connection.value(dialect.count_rows(Table(name))))
    except MissingTable:  # an interrupted deletion has dropped those of the shards
        return 0


def _as_stored(connection: Connection, dialect: Dialect, name: str) -> str:
    return name.lower() if connection.value(dialect.lower_case_names()) == 1 else name


def _delete(
    connection: Connection,
    dialect: Dialect,
    name: str,
    tables: Sequence[str],
    noted: Sequence[tuple[str, str]],
    *,
    goes: bool,
) -> None:
    shards = find_shards(connection, dialect, name) if goes else ()
    if shards:  # first, so that a deletion that is repeated finds them
        on_all(connection, dialect.drop_on_shards(Table(name, shards=shards)))
    if tables:
        connection.alter(dialect.drop_tables(tables))
    forget = dialect.forget_noted_without_table if goes else dialect.forget_noted
    with connection.transaction():
        for shared, key in noted:
            connection.execute(forget(name, shared, key))


def _check_is_ours(connection: Connection, dialect: Dialect, record: CollectionRecord) -> None:
    """Raise InputError for a table that lookalike did not make, or that has other columns."""
    columns = {row[0] for row in connection.query(dialect.table_columns(Table(record.name)))}
    others = sorted(columns - COLLECTION_COLUMNS)
    if record.is_registered and not others:
        return
    why = (
        f"it has columns of yours ({', '.join(others)})" if others else "lookalike did not make it"
    )
    raise InputError(
        f"table {record.name!r} is not dropped: {why}; use --keep-table to delete everything else, "
        "then DROP the table yourself"
    )


def _check_references(connection: Connection, dialect: Dialect, tables: Sequence[str]) -> None:
    """Raise InputError if a foreign key of another table prevents dropping these."""
    if not tables:
        return
    for schema, table, column, referenced, current in connection.query(dialect.references(tables)):
        if schema != current or table not in tables:
            place = table if schema == current else f"{schema}.{table}"
            raise InputError(
                f"nothing was deleted: {place}.{column} has a foreign key to {referenced!r}; "
                "drop that first with ALTER TABLE"
            )
