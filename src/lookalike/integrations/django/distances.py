"""Distances of vectors as expressions, compiled for each engine; named as in pgvector-python."""

from typing import Any

from django.db.models import F, FloatField, Func, Value

from lookalike import InputError
from lookalike.integrations.django.fields import VectorField
from lookalike.integrations.reading import Readers

_readers: dict[tuple[str, ...], Readers] = {}
"""By place and name of the database: each thread has connections of its own."""


def readers_of(connection: Any) -> Readers:
    """Return what is known of the database of one of Django's connections."""
    settings = connection.settings_dict
    place = tuple(str(settings.get(each)) for each in ("HOST", "PORT", "USER", "NAME", "OPTIONS"))
    return _readers.setdefault(place, Readers())


def is_mariadb(connection: Any) -> bool:
    """Whether the server is MariaDB. Raises InputError if it is neither that nor MySQL."""
    if connection.vendor != "mysql":
        raise InputError(f"vectors are for MySQL and MariaDB, not for {connection.vendor}")
    return bool(connection.mysql_is_mariadb)


def raw_of(connection: Any) -> Any:
    """Return the driver's connection of one of Django's."""
    connection.ensure_connection()
    return connection.connection


class _Distance(Func):
    """A distance of two vectors: of a field's name or an expression, and a vector or another one.

    Attributes:
        metric: As MySQL's DISTANCE calls it.
        sign: What the server's distance is multiplied by.
    """

    arity = 2
    metric = "COSINE"
    sign = ""

    def __init__(self, expression: Any, vector: Any, **extra: Any) -> None:
        if not hasattr(vector, "resolve_expression"):
            vector = F(vector) if isinstance(vector, str) else Value(vector, VectorField())
        extra.setdefault("output_field", FloatField())
        super().__init__(expression, vector, **extra)

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:
        """Return the SQL. Raises InputError for other servers than MySQL and MariaDB."""
        (one, first), (two, second) = (compiler.compile(each) for each in self.source_expressions)
        params = [*first, *second]
        if not is_mariadb(connection):
            function = readers_of(connection).distance_function(raw_of(connection))
            return f"{self.sign}{function}({one}, {two}, '{self.metric}')", params
        if self.metric != "DOT":
            return f"VEC_DISTANCE_{self.metric}({one}, {two})", params
        lengths = " * ".join(
            f"VEC_DISTANCE_EUCLIDEAN({side}, REPEAT(CHAR(0), LENGTH({side})))"
            for side in (one, two)
        )
        product = f"((1 - VEC_DISTANCE_COSINE({one}, {two})) * {lengths})"
        return f"{self.sign}{product}", [*params, *first, *first, *second, *second]


class CosineDistance(_Distance):
    """1 - cosine, from 0 to 2."""


class EuclideanDistance(_Distance):
    """The Euclidean distance."""

    metric = "EUCLIDEAN"


class L2Distance(EuclideanDistance):
    """The Euclidean distance, as pgvector-python calls it."""


class DotProduct(_Distance):
    """The dot product; larger is nearer."""

    metric = "DOT"


class MaxInnerProduct(DotProduct):
    """The dot product with a minus sign, as pgvector's: smaller is nearer."""

    sign = "-"


DISTANCES: dict[str, type[_Distance]] = {
    "cosine": CosineDistance,
    "euclidean": EuclideanDistance,
    "dot": MaxInnerProduct,
}
"""The distance by which `nearest` ranks, for each metric."""
