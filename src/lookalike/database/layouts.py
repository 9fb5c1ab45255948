"""Layouts: upgrade tables that an older version of lookalike created.

Every step can be repeated, and the version is recorded after the last one: an interrupted upgrade
is finished by the next client that opens a collection.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from math import ceil, sqrt

from lookalike.core.errors import DatabaseError
from lookalike.database.connection import Connection
from lookalike.database.errors import Busy, DuplicateKey, Privilege, ReadOnly
from lookalike.dialects import (
    INDEXES,
    LAYOUT,
    REGISTRY,
    SCHEMA_TABLE,
    SHARED_TABLES,
    Dialect,
    Table,
    generation_comment,
    is_name,
)

LOCK_SECONDS = 5
"""How long an upgrade waits for a table that another transaction holds."""

TURN_SECONDS = 30
"""How long it waits for another client that is upgrading."""


def existing_tables(
    connection: Connection,
    dialect: Dialect,
    others: Sequence[str],
    *,
    lock_seconds: int = LOCK_SECONDS,
) -> dict[str, str]:
    """Return the comments of those of lookalike's shared tables and of these others that exist.

    The shared ones then have this version's layout. Raises DatabaseError if they cannot be
    upgraded, and if a newer version made them.
    """
    names = [*SHARED_TABLES, *others]
    found: dict[str, str] = dict(connection.query(dialect.existing_tables(names)))
    if not found.keys().isdisjoint(SHARED_TABLES) and _version(connection, dialect, found) < LAYOUT:
        _upgrade(connection, dialect, lock_seconds)
    return found


def _version(connection: Connection, dialect: Dialect, tables: Collection[str]) -> int:
    """Return the layout's version. Raises DatabaseError for a newer one than this program's."""
    noted = connection.value(dialect.layout_version()) if SCHEMA_TABLE in tables else None
    version = 1 if noted is None else int(noted)
    if version > LAYOUT:
        raise DatabaseError(
            f"lookalike's tables in database {connection.url.database!r} have layout {version}, "
            f"and this version of lookalike supports layouts up to {LAYOUT}: upgrade lookalike"
        )
    return version


def _upgrade(connection: Connection, dialect: Dialect, lock_seconds: int) -> None:
    """Upgrade the shared tables, over a connection of their own that holds the lock."""
    try:
        with connection.apart():
            for statement in dialect.wait_for_locks(lock_seconds):
                connection.execute(statement)
            if not connection.value(dialect.layout_lock(TURN_SECONDS)):
                raise DatabaseError(
                    f"another client is upgrading lookalike's tables in database "
                    f"{connection.url.database!r}: try again in a minute"
                )
            connection.execute(dialect.create_schema_table())
            for version in range(_version(connection, dialect, {SCHEMA_TABLE}), LAYOUT):
                _UPGRADES[version](connection, dialect)
                connection.execute(dialect.note_layout(version + 1))
    except DatabaseError as error:
        raise _explain(error, connection) from error


def _explain(error: DatabaseError, connection: Connection) -> DatabaseError:
    tables = f"lookalike's tables in database {connection.url.database!r}"
    if isinstance(error, Privilege | ReadOnly):
        return DatabaseError(
            f"{tables} have an older layout, and user {connection.url.user!r} may not change them: "
            "run `lookalike status` once as a user who may CREATE, ALTER and DROP tables "
            f"({error})",
            code=error.code,
        )
    if isinstance(error, Busy):
        return DatabaseError(
            f"{tables} have an older layout, and an open transaction of another connection locks "
            "them: end that transaction, then try again",
            code=error.code,
        )
    return error


def _from_1_to_2(connection: Connection, dialect: Dialect) -> None:
    """Record the plan and recall of searches, and mark index tables as lookalike's own."""
    tables = {row[0] for row in connection.query(dialect.existing_tables(SHARED_TABLES))}
    for table, column, statement in dialect.columns_since_1():
        if table in tables and column not in dict(
            connection.query(dialect.table_columns(Table(table)))
        ):
            connection.execute(statement)
    for table, statement in dialect.lower_names():
        if table in tables:
            connection.execute(statement)
    if INDEXES not in tables:
        return
    metrics: dict[str, str] = {}
    if REGISTRY in tables:
        metrics = dict(connection.query(dialect.metrics()))
    for name, *index in connection.query(dialect.recorded_generations()):
        if is_name(name):
            upgrade = _forget_index if metrics.get(name) == "dot" else _keep_index
            upgrade(connection, dialect, name, *index)


def _from_2_to_3(connection: Connection, dialect: Dialect) -> None:
    """Create the tables of versions; each collection begins with one when its index is used."""
    if connection.query(dialect.existing_tables([INDEXES])):
        for statement in dialect.create_versions():
            connection.execute(statement)


def _from_3_to_4(connection: Connection, dialect: Dialect) -> None:
    """Add the columns that searches in SQL alone use, and the key of codes by id."""
    if not connection.query(dialect.existing_tables([INDEXES])):
        return
    if "rotation" not in dict(connection.query(dialect.table_columns(Table(INDEXES)))):
        connection.execute(dialect.add_rotation())
    for name, generation, building, _ in connection.query(dialect.recorded_generations()):
        for number in filter(None, (generation, building)):
            if is_name(name):
                _add_columns(connection, dialect, name, number)


def _add_columns(connection: Connection, dialect: Dialect, name: str, generation: int) -> None:
    comments: dict[str, str] = dict(connection.query(dialect.generation_tables(Table(name))))
    for table, column, statement in dialect.columns_since_3(name, generation):
        is_ours = comments.get(table) == generation_comment(name, generation)
        if is_ours and column not in dict(connection.query(dialect.table_columns(Table(table)))):
            try:
                connection.execute(statement)
            except DuplicateKey:  # some row has two codes
                connection.execute(dialect.forget_generation(name))


def _keep_index(
    connection: Connection,
    dialect: Dialect,
    table: str,
    generation: int,
    building: int | None,
    rescored: int,
) -> None:
    for number in filter(None, (generation, building)):
        for name, columns in _tables_of(connection, dialect, table, number):
            if "centroid" in columns and "spread" not in columns:
                connection.execute(dialect.add_spread(table, number))
            connection.execute(dialect.mark_generation(table, number, name))
    types: dict[str, str] = dict(connection.query(dialect.table_columns(Table(table))))
    kind, _, dim = types.get("embedding", "").rstrip(")").partition("(")
    if generation and not rescored and kind == "vector":
        least = ceil(50 * max(1.0, sqrt(512 / int(dim))))  # what version 1 compared exactly
        connection.execute(dialect.set_rescored(table, least))


def _forget_index(
    connection: Connection,
    dialect: Dialect,
    table: str,
    generation: int,
    building: int | None,
    rescored: int,
) -> None:
    """Drop an index whose codes have another meaning now, unless this version made it."""
    if rescored:
        return
    for number in filter(None, (generation, building)):
        for name, _ in _tables_of(connection, dialect, table, number):
            connection.execute(dialect.drop_of_generation(table, name))
    connection.execute(dialect.forget_generation(table))


def _tables_of(
    connection: Connection, dialect: Dialect, table: str, generation: int
) -> Iterator[tuple[str, set[str]]]:
    """Yield the tables of a recorded generation, with their columns.

    A table without a generation's columns belongs to someone else.
    """
    for name, expected in dialect.generation_of_1(table, generation):
        columns = {row[0] for row in connection.query(dialect.table_columns(Table(name)))}
        if expected <= columns <= expected | {"spread"}:
            yield name, columns


_UPGRADES: dict[int, Callable[[Connection, Dialect], None]] = {
    1: _from_1_to_2,
    2: _from_2_to_3,
    3: _from_3_to_4,
}
"""The upgrade from each version to the next."""
