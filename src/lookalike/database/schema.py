"""The tables of a collection and the SQL functions: made, found, checked."""

from dataclasses import dataclass
from typing import cast

from lookalike.core.errors import DatabaseError, InputError, ModelError
from lookalike.core.types import Metric
from lookalike.core.vectors import ids_array
from lookalike.database.connection import Connection
from lookalike.database.layouts import existing_tables
from lookalike.database.shards import check_can_spread, find_shards
from lookalike.database.user_tables import INTEGER, OpenedTable, open_registered
from lookalike.dialects import (
    REGISTRY,
    USER_TABLES,
    Dialect,
    Statement,
    Table,
    UserTable,
    copy_of,
    is_reserved,
    quote_name,
)


@dataclass(frozen=True)
class CollectionRecord:
    """What the database knows of a collection.

    name: as the server calls the table, where it knows no capital letters.
    model: the id of the model that made its embeddings; None for embeddings that users bring.
    metric: what its search ranks by.
    id_type: the SQL type of its id column. has_files: whether it has a side table of files.
    own: the user's own table that it is; None for a collection. copy_of: what it is an unfinished
    copy of; None otherwise. shards: the servers that its rows are spread over, if any.
    """

    name: str
    dim: int
    model: str | None
    metric: Metric
    id_type: str
    has_files: bool
    is_registered: bool
    own: OpenedTable | None = None
    copy_of: str | None = None
    shards: tuple[str, ...] = ()


def find_collection(connection: Connection, dialect: Dialect, name: str) -> CollectionRecord | None:
    """Return a collection's record, or None where there is no such table.

    A table that lookalike did not make is a collection too, if it has the article's columns. A
    registered table of the user's own is found by the name that it was registered by.
    lookalike's own tables are brought to this version's layout first. Raises InputError for a table
    without those columns, and DatabaseError where the layout cannot be had.
    """
    if not name or max(name) > "\uffff":  # MySQL cannot even compare such a name with those it has
        quote_name(name)
    tables = existing_tables(connection, dialect, [USER_TABLES, name, f"{name}_files"])
    own = connection.query(dialect.user_tables(name)) if USER_TABLES in tables else []
    if own:
        return _record_of(open_registered(connection, dialect, UserTable(*own[0])))
    quote_name(name)
    if name not in tables:  # such servers find it, and tell how they call it
        name = next((table for table in tables if table.lower() == name.lower()), name)
    table = Table(name)
    columns: dict[str, str] = dict(connection.query(dialect.table_columns(table)))
    if not columns:
        return None
    kind, _, length = columns.get(table.embedding_column, "").rstrip(")").partition("(")
    if not {table.id_column, table.name_column} <= columns.keys() or kind != "vector":
        raise InputError(
            f"table {name!r} is not a collection: it needs the columns id, image_name and "
            "embedding VECTOR(n); choose another name with --collection"
        )
    id_type = columns[table.id_column]
    if not INTEGER.fullmatch(id_type):
        raise InputError(
            f"table {name!r} is not a collection: its id is of type {id_type}; an integer is "
            "needed, such as INT PRIMARY KEY AUTO_INCREMENT"
        )
    if id_type.lower().startswith("bigint") and "unsigned" in id_type:
        _check_ids(connection, dialect, table)
    row = connection.query(dialect.registered(name)) if REGISTRY in tables else []
    return CollectionRecord(
        name=name,
        dim=int(length),
        model=row[0][0] if row else None,
        metric=row[0][1] if row else "cosine",
        id_type=id_type,
        has_files=f"{name}_files" in tables,
        is_registered=bool(row),
        copy_of=copy_of(tables.get(name, "")),
        shards=find_shards(connection, dialect, name),
    )


def _record_of(own: OpenedTable) -> CollectionRecord:
    return CollectionRecord(
        name=own.table.name,
        dim=own.dim,
        model=None,
        metric=cast(Metric, own.table.metric),
        id_type=own.id_type,
        has_files=False,
        is_registered=True,
        own=own,
    )


def _check_ids(connection: Connection, dialect: Dialect, table: Table) -> None:
    """Raise InputError where an id is larger than lookalike can take."""
    largest = connection.query(dialect.id_range(table))[0][1]
    try:
        ids_array([] if largest is None else [largest])
    except InputError as error:
        raise InputError(f"table {table.name!r} is not a collection: {error}") from error


def create_collection(
    connection: Connection,
    dialect: Dialect,
    name: str,
    *,
    dim: int,
    model: str | None,
    metric: Metric,
    id_type: str = "INT",
    copy_of: str = "",
    shards: tuple[str, ...] = (),
) -> CollectionRecord:
    """Make whatever a collection still lacks of its tables, and return its record.

    copy_of: mark a new table as an unfinished copy of this. shards: spread its rows over these.

    Each step may be repeated, so a run that is cut short is finished by the next. Raises
    ModelError where another process has just made it for another model, and InputError for a table
    of the user's own that no images can be added to; then nothing is made.
    """
    if connection.value(dialect.lower_case_names()) == 1:
        name = name.lower()
    table = Table(name, shards=shards)
    check_new_name(connection, dialect, name)
    check_addable(connection, dialect, table)
    for statement in (
        *dialect.create_schema(),
        dialect.create_registry(),
        dialect.create_runs(),
        dialect.create_levels(),
        dialect.create_attributes(),
        dialect.create_thresholds(),
        *dialect.create_indexes(),
        *dialect.create_versions(),
        *dialect.forget_dropped(name),
        *_create_rows(connection, dialect, table, dim, id_type, copy_of),
        dialect.create_failures(table),
    ):
        connection.execute(statement)
    made = find_collection(connection, dialect, name)
    if made is None:
        raise DatabaseError(f"collection {name!r} was dropped while it was being created")
    connection.execute(dialect.create_files(table, made.id_type))
    connection.execute(dialect.register(name, model, made.dim, metric))
    record = find_collection(connection, dialect, name)
    if record is None or record.dim != dim:
        raise DatabaseError(f"collection {name!r} was changed while it was being created")
    check_model(record, model)
    check_metric(record, metric)
    return record


def _create_rows(
    connection: Connection, dialect: Dialect, table: Table, dim: int, id_type: str, copy_of: str
) -> list[Statement]:
    """Return the statements that create a collection's table. Raises InputError for shards."""
    if not table.shards:
        return [dialect.create_collection(table, dim, id_type, copy_of)]
    check_can_spread(connection, dialect, table)
    return [
        dialect.create_unsettled(table, id_type),  # tells that a creation has begun
        *dialect.create_spread(table, dim, id_type),
    ]


def check_new_name(connection: Connection, dialect: Dialect, name: str) -> None:
    """Raise InputError for a name of lookalike's own, unless there is such a table already."""
    if is_reserved(name) and not connection.query(dialect.existing_tables([name])):
        raise InputError(f"{name!r} is a name of lookalike's own: choose another")


def check_addable(connection: Connection, dialect: Dialect, table: Table) -> None:
    """Raise InputError for a table, where there is one, that no images can be added to.

    Its side tables have foreign keys to it, and an insert has to tell which ids it has made.
    """
    check_side_tables(connection, dialect, table, "images cannot be added to")
    rows = [] if table.shards else connection.query(dialect.table_kind(table))
    if rows and "auto_increment" not in str(rows[0][4]).lower():
        raise InputError(
            f"images cannot be added to table {table.name!r}: its id is not AUTO_INCREMENT; "
            "change that with ALTER TABLE, or insert the rows yourself"
        )


def check_side_tables(connection: Connection, dialect: Dialect, table: Table, refusal: str) -> None:
    """Raise InputError for a table, where there is one, that side tables cannot refer to.

    refusal: what then cannot be done, the beginning of a sentence on the table.
    """
    if table.shards:
        return
    for kind, engine, options, primary, _ in connection.query(dialect.table_kind(table)):
        why = None
        if kind != "BASE TABLE":
            why = "it is a view; use its table"
        elif "partitioned" in str(options):
            why = "it is partitioned, and MySQL has no foreign keys to partitioned tables"
        elif engine != "InnoDB":
            why = f"its engine is {engine}; run ALTER TABLE {table.name} ENGINE = InnoDB"
        elif primary != table.id_column:
            why = "id is not its PRIMARY KEY; change that with ALTER TABLE"
        if why:
            raise InputError(f"{refusal} table {table.name!r}: {why}")


def check_indexable(connection: Connection, dialect: Dialect, table: Table) -> None:
    """Raise InputError for a table that an index cannot follow: its rows are read by id."""
    for kind, _, _, primary, _ in connection.query(dialect.table_kind(table)):
        if kind != "BASE TABLE":
            raise InputError(
                f"table {table.name!r} cannot be indexed: it is a view; index its table"
            )
        if str(primary).partition(",")[0] != table.id_column:
            raise InputError(
                f"table {table.name!r} cannot be indexed: its PRIMARY KEY does not begin with id; "
                "make one that does with ALTER TABLE"
            )


def check_model(record: CollectionRecord, model: str | None) -> None:
    """Raise ModelError unless the collection's embeddings are this model's (None: any)."""
    if record.is_registered and model is not None and record.model != model:
        made_by = f"model {record.model}" if record.model else "no model"
        raise ModelError(
            f"collection {record.name!r} holds embeddings of {made_by}; those of {model} cannot "
            "be compared with them: leave --model out, or make a collection for it: "
            f"lookalike add FOLDER --model {model} --collection NAME"
        )


def check_metric(record: CollectionRecord, metric: Metric) -> None:
    """Raise InputError unless the collection ranks by this metric."""
    if record.is_registered and record.metric != metric:
        raise InputError(
            f"collection {record.name!r} ranks by {record.metric}, not by {metric}: "
            "use another collection"
        )
