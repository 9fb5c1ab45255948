"""The tables of a collection and the SQL functions: made, found, checked."""

import re
from dataclasses import dataclass
from importlib.resources import files

from lookalike.connection import Connection
from lookalike.dialects import REGISTRY, Dialect, Statement, quote_name
from lookalike.errors import DatabaseError, InputError, ModelError
from lookalike.layouts import existing_tables
from lookalike.types import Metric

_BINLOG_REFUSES_FUNCTIONS = 1419
_INTEGER = re.compile(
    r"(tiny|small|medium|big)?int(\(\d+\))?( unsigned)?( zerofill)?", re.IGNORECASE
)


@dataclass(frozen=True)
class CollectionRecord:
    """What the database knows of a collection.

    model: the id of the model that made its embeddings; None for embeddings that users bring.
    metric: what its search ranks by.
    id_type: the SQL type of its id column. has_files: whether it has a side table of files.
    """

    name: str
    dim: int
    model: str | None
    metric: Metric
    id_type: str
    has_files: bool
    is_registered: bool


def find_collection(connection: Connection, dialect: Dialect, name: str) -> CollectionRecord | None:
    """Return a collection's record, or None where there is no such table.

    A table that lookalike did not make is a collection too, if it has the article's columns.
    lookalike's own tables are brought to this version's layout first. Raises InputError for a table
    without those columns, and DatabaseError where the layout cannot be had.
    """
    quote_name(name)
    tables = existing_tables(connection, dialect, [f"{name}_files"])
    columns: dict[str, str] = dict(connection.query(dialect.table_columns(name)))
    if not columns:
        return None
    kind, _, length = columns.get("embedding", "").rstrip(")").partition("(")
    if not {"id", "image_name"} <= columns.keys() or kind != "vector":
        raise InputError(
            f"table {name!r} is no collection: it lacks the columns id, image_name and "
            "embedding VECTOR(n); choose another name with --collection"
        )
    if not _INTEGER.fullmatch(columns["id"]):
        raise InputError(
            f"table {name!r} is no collection: its id is of type {columns['id']}; an integer is "
            "needed, such as INT PRIMARY KEY AUTO_INCREMENT"
        )
    row = connection.query(dialect.registered(name)) if REGISTRY in tables else []
    return CollectionRecord(
        name=name,
        dim=int(length),
        model=row[0][0] if row else None,
        metric=row[0][1] if row else "cosine",
        id_type=columns["id"],
        has_files=f"{name}_files" in tables,
        is_registered=bool(row),
    )


def create_collection(
    connection: Connection,
    dialect: Dialect,
    name: str,
    *,
    dim: int,
    model: str | None,
    metric: Metric,
) -> CollectionRecord:
    """Make whatever a collection still lacks of its tables, and return its record.

    Each step may be repeated, so a run that is cut short is finished by the next. Raises
    ModelError where another process has just made it for another model.
    """
    for statement in (
        *dialect.create_schema(),
        dialect.create_registry(),
        dialect.create_runs(),
        dialect.create_levels(),
        dialect.create_attributes(),
        dialect.create_thresholds(),
        *dialect.create_indexes(),
        *dialect.forget_dropped(name),
        dialect.create_collection(name, dim),
        dialect.create_failures(name),
    ):
        connection.execute(statement)
    made = find_collection(connection, dialect, name)
    if made is None:
        raise DatabaseError(f"collection {name!r} was dropped while it was being made")
    connection.execute(dialect.create_files(name, made.id_type))
    connection.execute(dialect.register(name, model, made.dim, metric))
    record = find_collection(connection, dialect, name)
    if record is None or record.dim != dim:
        raise DatabaseError(f"collection {name!r} was changed while it was being made")
    check_model(record, model)
    check_metric(record, metric)
    return record


def check_model(record: CollectionRecord, model: str | None) -> None:
    """Raise ModelError unless the collection's embeddings are this model's (None: any)."""
    if record.is_registered and model is not None and record.model != model:
        made_by = f"model {record.model}" if record.model else "no model (they were brought)"
        raise ModelError(
            f"collection {record.name!r} holds embeddings of {made_by}; those of {model} cannot "
            "be compared with them: use the collection's own model or another --collection"
        )


def check_metric(record: CollectionRecord, metric: Metric) -> None:
    """Raise InputError unless the collection ranks by this metric."""
    if record.is_registered and record.metric != metric:
        raise InputError(
            f"collection {record.name!r} ranks by {record.metric}, not by {metric}: "
            "use another collection"
        )


def functions_sql() -> str:
    """Return the SQL of the functions, as the mysql client reads it."""
    return files("lookalike").joinpath("sql", "functions.sql").read_text(encoding="utf-8")


def install_functions(connection: Connection) -> list[str]:
    """Make my_dot_product, my_vec_norm and DISTANCE in the current database, and name them.

    Raises DatabaseError that says what an administrator has to do where the server refuses.
    """
    body = functions_sql().split("DELIMITER //")[1].split("DELIMITER ;")[0]
    try:
        for sql in body.split(" //"):
            if sql.strip():
                connection.execute(Statement(sql.strip()))
    except DatabaseError as error:
        if error.code != _BINLOG_REFUSES_FUNCTIONS:
            raise
        raise DatabaseError(
            "the server writes a binary log and lets only administrators create functions: "
            "have one run SET PERSIST log_bin_trust_function_creators = 1, then try again",
            code=error.code,
        ) from error
    return ["my_dot_product", "my_vec_norm", "DISTANCE"]
