"""The nearest rows, found through an index while a statement runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Float, bindparam, column, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.schema import Column, Table
from sqlalchemy.sql.selectable import TableValuedAlias

from lookalike import BorrowedDatabase, InputError, Metric
from lookalike.integrations.reading import distance_of
from lookalike.integrations.sqlalchemy.conditions import conditions_of
from lookalike.integrations.sqlalchemy.distances import (
    cosine_distance,
    euclidean_distance,
    max_inner_product,
)
from lookalike.integrations.sqlalchemy.running import (
    connection_of,
    is_mariadb,
    reading,
)

_DISTANCES = {
    "cosine": cosine_distance,
    "euclidean": euclidean_distance,
    "dot": max_inner_product,
}


@dataclass(frozen=True)
class _Asked:
    """What is asked for.

    key: the table's primary key. index: name of lookalike's index; None for that of the table.
    """

    column: Column[Any]
    key: Column[Any]
    query: Any
    k: int
    where: tuple[ColumnElement[bool], ...]
    metric: Metric | None
    index: str | None
    is_exact: bool


class _Nearest(FunctionElement[Any]):
    """A table of ids and distances; never cached, as each execution is a new search."""

    inherit_cache = False
    name = "nearest"

    def __init__(self, asked: _Asked) -> None:
        super().__init__()
        self.asked = asked


def nearest(
    column: Any,
    query: Any,
    k: int = 10,
    *,
    where: ColumnElement[bool] | Sequence[ColumnElement[bool]] = (),
    metric: Metric | None = None,
    index: str | None = None,
    exact: bool = False,
) -> TableValuedAlias:
    """Return the k rows that are nearest to a query, to be joined in a `select`.

    It has the columns `id`, the primary key, and `distance`: 1 - cosine, the Euclidean distance, or
    the dot product with a minus sign. They are found when the statement runs, over its connection
    and in its transaction: on MySQL Community through lookalike's index, which `lookalike index
    create` makes, and elsewhere by the server.

    Args:
        column: A VECTOR column of a table with a primary key of one column.
        query: A vector; on MySQL Community, with a collection of images, also what `search` takes.
        k: Number of rows.
        where: Only rows that meet these are searched: comparisons of the table's columns with
            values, joined by and_ and or_.
        metric: How to rank; by default as the index does on MySQL Community, else by cosine.
        index: Name of the index on MySQL Community; by default that of the table and column.
        exact: Compare every row instead of using the index, on MySQL Community.

    Raises:
        InputError: An argument cannot be used.

    Example:
        >>> from sqlalchemy import Column, Integer, MetaData, Table, select
        >>> from lookalike.integrations.sqlalchemy import VECTOR
        >>> shoes = Table(
        ...     "shoes",
        ...     MetaData(),
        ...     Column("id", Integer, primary_key=True),
        ...     Column("photo", VECTOR(2)),
        ... )
        >>> near = nearest(shoes.c.photo, [1, 0.2], k=5)
        >>> statement = select(shoes).join(near, near.c.id == shoes.c.id).order_by(near.c.distance)
    """
    if metric is not None and metric not in _DISTANCES:
        raise InputError(f"unknown metric {metric!r}; choose {', '.join(_DISTANCES)}")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is {k!r}: ask for 1 or more rows")
    found = _column_of(column)
    key = _key_of(found)
    conditions = tuple(where) if isinstance(where, list | tuple) else (where,)
    asked = _Asked(found, key, query, k, conditions, metric, index, exact)
    return _Nearest(asked).table_valued(
        _typed("id", key.type), _typed("distance", Float(53)), name=None
    )


def _typed(name: str, type_: Any) -> Any:
    return column(name, type_)


def _column_of(given: Any) -> Column[Any]:
    element = given.__clause_element__() if hasattr(given, "__clause_element__") else given
    table = getattr(element, "table", None)
    table = getattr(table, "element", table)  # of an alias
    if not isinstance(table, Table) or element.name not in table.c:
        raise InputError(f"{given} is no column of a table")
    found: Column[Any] = table.c[element.name]
    return found


def _key_of(found: Column[Any]) -> Column[Any]:
    keys = list(found.table.primary_key)
    if len(keys) != 1:
        raise InputError(f"{found.table.name} needs a primary key of one column for nearest")
    return keys[0]


@compiles(_Nearest)
def _show(element: _Nearest, compiler: SQLCompiler, **_: Any) -> str:
    return f"nearest({element.asked.column}, {element.asked.k:d})"


@compiles(_Nearest, "mysql")
@compiles(_Nearest, "mariadb")
def _find(element: _Nearest, compiler: SQLCompiler, **keywords: Any) -> str:
    if (connection := connection_of(compiler)) is None:
        return _show(element, compiler)
    if is_mariadb(compiler.dialect):
        return _ranked(element.asked, compiler, **keywords)
    with reading(connection) as db:
        if not db.dialect.has_nearest:
            return _values(_search(db, element.asked), compiler, **keywords)
    return _ranked(element.asked, compiler, **keywords)


def _ranked(asked: _Asked, compiler: SQLCompiler, **keywords: Any) -> str:
    """Return the statement by which the server ranks, through its own index if it has one."""
    distance = _DISTANCES[asked.metric or "cosine"](asked.column, asked.query)
    statement = (
        select(asked.key.label("id"), distance.label("distance"))
        .where(asked.column.is_not(None), *asked.where)
        .order_by(distance)
        .limit(asked.k)
    )
    keywords |= {"asfrom": True, "lateral": False}
    return compiler.process(statement.subquery().element.self_group(), **keywords)


def _values(found: list[tuple[Any, float]], compiler: SQLCompiler, **keywords: Any) -> str:
    """Return a table of what was found."""
    if not found:
        return "(SELECT NULL AS id, 0e0 AS distance FROM DUAL WHERE FALSE)"

    def bound(value: Any) -> str:
        return compiler.process(bindparam(None, value, unique=True), **keywords)

    rows = ", ".join(f"ROW({bound(key)}, {bound(distance)})" for key, distance in found)
    return f"(SELECT column_0 AS id, column_1 AS distance FROM (VALUES {rows}) AS found)"  # noqa: S608


def _search(db: BorrowedDatabase, asked: _Asked) -> list[tuple[Any, float]]:
    """Return keys and distances, nearest first."""
    table = asked.column.table
    collection = (
        db.index_of(table.name, asked.column.name, schema=table.schema)
        if asked.index is None
        else db.index_named(asked.index)
    )
    if asked.metric not in (None, collection.metric):
        raise InputError(
            f"the index of {asked.column} ranks by {collection.metric}, not by {asked.metric}"
        )
    where = [part for each in asked.where for part in conditions_of(each, table.name)]
    matches = collection.search(asked.query, k=asked.k, where=where or None, exact=asked.is_exact)
    return [
        (
            match.id if match.key is None else match.key,
            distance_of(match.similarity, collection.metric),
        )
        for match in matches
    ]
