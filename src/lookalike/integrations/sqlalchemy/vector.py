"""The type VECTOR(n)."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import LargeBinary, cast, func, type_coerce
from sqlalchemy.dialects.mysql.base import ischema_names
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.elements import BindParameter, ColumnElement
from sqlalchemy.types import UserDefinedType

from lookalike.integrations.sqlalchemy import distances
from lookalike.integrations.vectors import FloatArray, check_dim, pack, unpack


class VECTOR(UserDefinedType[FloatArray]):
    """A column of float32 vectors, read as arrays of shape (dim,).

    Bound values are arrays, lists of numbers, or None. They are sent as the hexadecimal digits of
    little-endian float32 numbers, since some drivers send bytes that servers refuse as a VECTOR.

    Args:
        dim: Number of dimensions, at most 16383.

    Example:
        >>> from sqlalchemy import Column, Integer, MetaData, Table
        >>> shoes = Table("shoes", MetaData(), Column("id", Integer), Column("photo", VECTOR(3)))
        >>> shoes.c.photo.type
        VECTOR(dim=3)
    """

    cache_ok = True

    def __init__(self, dim: int | None = None) -> None:
        check_dim(dim, "VECTOR")
        self.dim = dim

    def get_col_spec(self, **_: object) -> str:
        """Return the type as DDL writes it."""
        return "VECTOR" if self.dim is None else f"VECTOR({self.dim:d})"

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        """Return what makes hexadecimal digits of a value."""
        return lambda value: None if value is None else pack(value, self.dim).hex()

    def literal_processor(self, dialect: Dialect) -> Callable[[Any], str]:
        """Return what makes a literal of a value, for literal_binds."""
        return lambda value: f"'{pack(value, self.dim).hex()}'"

    def bind_expression(self, bindvalue: BindParameter[FloatArray]) -> ColumnElement[FloatArray]:
        """Return the expression that makes bytes of the digits."""
        return func.unhex(bindvalue, type_=self)

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the expression that reads a vector: drivers do not know the type."""
        return type_coerce(cast(column, LargeBinary), self)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], FloatArray | None]:
        """Return what makes an array of the bytes that are read."""
        return lambda value: None if value is None else unpack(value)

    class Comparator(UserDefinedType.Comparator[FloatArray]):
        """The distances of a column to a vector or another column, as in pgvector-python."""

        def cosine_distance(self, other: Any) -> ColumnElement[float]:
            """Return 1 - cosine, from 0 to 2."""
            return distances.cosine_distance(self.expr, other)

        def euclidean_distance(self, other: Any) -> ColumnElement[float]:
            """Return the Euclidean distance."""
            return distances.euclidean_distance(self.expr, other)

        l2_distance = euclidean_distance

        def dot(self, other: Any) -> ColumnElement[float]:
            """Return the dot product; larger is nearer."""
            return distances.dot(self.expr, other)

        def max_inner_product(self, other: Any) -> ColumnElement[float]:
            """Return the dot product with a minus sign, as pgvector's `<#>`: smaller is nearer."""
            return distances.max_inner_product(self.expr, other)

    comparator_factory = Comparator


Vector = VECTOR
"""The same, as pgvector-python calls it."""


def _register() -> None:
    """Have SQLAlchemy reflect VECTOR columns."""
    ischema_names["vector"] = VECTOR
    try:
        from sqlalchemy.dialects.mysql import mariadb
    except ImportError:  # pragma: no cover
        return
    mariadb.MariaDBDialect.ischema_names["vector"] = VECTOR


_register()
