"""Tables of the user's own: what the registry and the server say of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from lookalike.core.errors import InputError
from lookalike.core.types import Metric
from lookalike.database.connection import Connection
from lookalike.database.layouts import existing_tables
from lookalike.dialects import (
    EVENTS,
    MAPPED_ID,
    USER_TABLES,
    Column,
    Dialect,
    Source,
    Table,
    UserTable,
    trigger_name,
)

INTEGER = re.compile(
    r"(tiny|small|medium|big)?int(\(\d+\))?( unsigned)?( zerofill)?", re.IGNORECASE
)
_VECTOR = re.compile(r"vector\((\d+)\)", re.IGNORECASE)


@dataclass(frozen=True)
class OpenedTable:
    """A registered table as it is now.

    table: what the registry says. names: what statements need. dim: length of its vectors.
    id_type: the SQL type of its key, or of the numbers of its keys.
    """

    table: UserTable
    names: Table
    dim: int
    id_type: str


@dataclass(frozen=True)
class Wanted:
    """A table and its columns, as somebody asks for them; None: to be found.

    Attributes:
        table: Name of the table.
        schema: Its database; None for lookalike's own.
        vector: The VECTOR column; None where it is the only one.
        id: The key; None for the primary key.
        name: Column with the rows' names; None for none.
        metric: What searches rank by.
        alias: The name to register; None for the table's.
    """

    table: str
    schema: str | None = None
    vector: str | None = None
    id: str | None = None
    name: str | None = None
    metric: Metric | None = None
    alias: str | None = None

    @property
    def registered(self) -> str:
        """The name to register."""
        return self.table if self.alias is None else self.alias

    @property
    def shown(self) -> str:
        """The table's name as users write it."""
        return self.table if self.schema is None else f"{self.schema}.{self.table}"


def registered_tables(
    connection: Connection, dialect: Dialect, name: str | None = None
) -> list[UserTable]:
    """Return all registered tables, or the one of this name, by name."""
    if USER_TABLES not in existing_tables(connection, dialect, [USER_TABLES]):
        return []
    return [UserTable(*row) for row in connection.query(dialect.user_tables(name))]


def open_registered(connection: Connection, dialect: Dialect, table: UserTable) -> OpenedTable:
    """Return a registered table as it is now.

    Raises InputError where it, or one of its columns, is gone.
    """
    columns = [Column(*row) for row in connection.query(dialect.describe_columns(table.original))]
    if not columns:
        raise _gone(connection, dialect, table)
    drop = f"run lookalike index drop {table.name}, and create its index again"
    by_name = {column.name: column for column in columns}
    for name in filter(None, (table.vector, table.id_column, table.name_column)):
        if name not in by_name:
            raise InputError(f"table {table.shown} has no column {name!r} any more: {drop}")
    dim = _dim(by_name[table.vector])
    if dim is None:
        of_type = by_name[table.vector].type
        raise InputError(f"column {table.vector!r} of {table.shown} is {of_type} now: {drop}")
    keys = connection.query(dialect.keys_of(table.original))
    index = next((index for index, column in keys if column == table.id_column), None)
    if index is None:
        raise InputError(
            f"column {table.id_column!r} of {table.shown} is no key any more: give it a UNIQUE "
            f"index and NOT NULL, or {drop}"
        )
    key_type = by_name[table.id_column].type
    if not table.is_mapped and _is_beyond(connection, dialect, table, key_type):
        raise InputError(f"table {table.shown} has a key of 2^63 or more now: {drop}")
    names = Table(
        table.side_name,
        MAPPED_ID if table.is_mapped else table.id_column,
        table.name_column,
        table.vector,
        source=table.source(index, has_integers=bool(INTEGER.fullmatch(key_type))),
    )
    id_type = "bigint unsigned" if table.is_mapped else key_type
    return OpenedTable(table, names, dim, id_type)


def _gone(connection: Connection, dialect: Dialect, table: UserTable) -> InputError:
    remedy = f"run lookalike index drop {table.name}"
    for _, now in _triggers(connection, dialect, table):
        return InputError(
            f"table {table.shown} is called {now} now: {remedy}, and create the index of {now}"
        )
    return InputError(f"table {table.shown} of index {table.name!r} is gone: {remedy}")


def _triggers(connection: Connection, dialect: Dialect, table: UserTable) -> list[tuple[str, str]]:
    database = connection.url.database
    return [(row[0], row[1]) for row in connection.query(dialect.triggers_of(table, database))]


def missing_triggers(connection: Connection, dialect: Dialect, table: UserTable) -> list[str]:
    """Return the names of a table's triggers that do not exist.

    An account without the TRIGGER privilege sees none.
    """
    there = {name for name, now in _triggers(connection, dialect, table) if now == table.table}
    names = [trigger_name(table, event, connection.url.database) for event in EVENTS]
    return [name for name in names if name not in there]


def describe(connection: Connection, dialect: Dialect, wanted: Wanted) -> UserTable:
    """Return the table that is asked for, with number 0, as it would be registered.

    Raises InputError for one that cannot be indexed; the message says what to change.
    """
    if wanted.schema == connection.url.database:
        wanted = Wanted(**{**vars(wanted), "schema": None})
    source = Source(wanted.schema, wanted.table)
    kinds = connection.query(dialect.kind_of(source))
    if not kinds:
        raise _unknown(connection, dialect, wanted)
    (kind, engine), refused = kinds[0], f"table {wanted.shown} cannot be indexed"
    if kind != "BASE TABLE":
        raise InputError(f"{refused}: it is a view; index its table")
    if engine != "InnoDB":
        raise InputError(
            f"{refused}: its engine is {engine}; run ALTER TABLE {wanted.shown} ENGINE = InnoDB"
        )
    columns = [Column(*row) for row in connection.query(dialect.describe_columns(source))]
    vector = _vector(wanted, columns)
    key = _key(wanted, columns, connection.query(dialect.keys_of(source)))
    name = _column(wanted, columns, wanted.name) if wanted.name is not None else None
    for part in (wanted.schema or "", wanted.table, vector.name, key.name, name and name.name):
        if part and ("%" in part or "\0" in part):
            raise InputError(f"{refused}: {part!r} has a % or NUL in its name; rename it")
    is_mapped = not INTEGER.fullmatch(key.type)
    named = name.name if name else key.name if is_mapped and key.charset else None
    table = UserTable(
        *(0, wanted.registered, wanted.schema, wanted.table, vector.name, key.name, named),
        *(wanted.metric or "cosine", "new", is_mapped),
    )
    if _is_beyond(connection, dialect, table, key.type):
        table = table._replace(is_mapped=True)
    if table.is_mapped and MAPPED_ID in {column.name.lower() for column in columns}:
        raise InputError(
            f"{refused}: its column {MAPPED_ID!r} has a name of lookalike's; rename it"
        )
    return table


def _is_beyond(connection: Connection, dialect: Dialect, table: UserTable, key_type: str) -> bool:
    """Whether a table has keys of 2^63 or more, which need numbers."""
    if not (key_type.startswith("bigint") and "unsigned" in key_type):
        return False
    return (connection.value(dialect.largest_key(table)) or 0) >= 2**63


def _unknown(connection: Connection, dialect: Dialect, wanted: Wanted) -> InputError:
    names = [row[0] for row in connection.query(dialect.tables_like(wanted.schema))]
    near = get_close_matches(wanted.table, names, n=1)
    place = wanted.schema or connection.url.database
    meant = f"; did you mean {near[0]}?" if near else " that this account may read"
    return InputError(f"there is no table {wanted.table!r} in {place}{meant}")


def _vector(wanted: Wanted, columns: Sequence[Column]) -> Column:
    vectors = [column for column in columns if _dim(column) is not None]
    if wanted.vector is not None:
        column = _column(wanted, columns, wanted.vector)
        if column not in vectors:
            raise InputError(
                f"column {column.name!r} of {wanted.shown} is {column.type}, not VECTOR(n)"
            )
        return column
    if len(vectors) != 1:
        told = ", ".join(column.name for column in vectors)
        which = f"several VECTOR columns: name one of {told}" if vectors else "no VECTOR column"
        raise InputError(f"table {wanted.shown} has {which}")
    return vectors[0]


def _key(wanted: Wanted, columns: Sequence[Column], keys: Sequence[tuple[str, ...]]) -> Column:
    usable = [column for _, column in keys]
    if wanted.id is None:
        primary = [column for index, column in keys if index == "PRIMARY"]
        if not usable:
            raise InputError(
                f"table {wanted.shown} has no usable key: it needs a PRIMARY KEY or UNIQUE index "
                "of one column that is NOT NULL; add one with ALTER TABLE"
            )
        if not primary and len(usable) > 1:
            raise InputError(
                f"table {wanted.shown} has several keys: name one of {', '.join(usable)} with id"
            )
        return _column(wanted, columns, (primary or usable)[0])
    column = _column(wanted, columns, wanted.id)
    if column.name not in usable:
        others = f", or name one of {', '.join(usable)}" if usable else ""
        raise InputError(
            f"column {column.name!r} of {wanted.shown} is no key: it needs a PRIMARY KEY or UNIQUE "
            f"index of its own and NOT NULL; add one with ALTER TABLE{others}"
        )
    return column


def _column(wanted: Wanted, columns: Sequence[Column], name: str) -> Column:
    for column in columns:
        if column.name.lower() == name.lower():
            return column
    near = get_close_matches(name, [column.name for column in columns], n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise InputError(f"table {wanted.shown} has no column {name!r}{meant}")


def _dim(column: Column) -> int | None:
    found = _VECTOR.fullmatch(column.type)
    return int(found[1]) if found else None
