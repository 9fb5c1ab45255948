"""Distances of vectors, compiled for each engine."""

from typing import Any

from sqlalchemy import Float, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement, ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from lookalike.integrations.sqlalchemy.running import distance_function, is_mariadb


class Distance(FunctionElement[float]):
    """A distance of two vectors. Each metric has a class: see the functions of this module.

    Attributes:
        metric: As MySQL's DISTANCE calls it.
        sign: What the server's distance is multiplied by.
    """

    inherit_cache = True
    type = Float(53)
    metric = "COSINE"
    sign = ""


class CosineDistance(Distance):
    """1 - cosine."""

    inherit_cache = True
    name = "cosine_distance"


class EuclideanDistance(Distance):
    """The Euclidean distance."""

    inherit_cache = True
    name = "euclidean_distance"
    metric = "EUCLIDEAN"


class Dot(Distance):
    """The dot product."""

    inherit_cache = True
    name = "dot"
    metric = "DOT"


class MaxInnerProduct(Dot):
    """The dot product with a minus sign."""

    inherit_cache = True
    name = "max_inner_product"
    sign = "-"


def cosine_distance(one: Any, other: Any) -> ColumnElement[float]:
    """Return 1 - cosine of two vectors, from 0 to 2."""
    return _distance(CosineDistance, one, other)


def euclidean_distance(one: Any, other: Any) -> ColumnElement[float]:
    """Return the Euclidean distance of two vectors."""
    return _distance(EuclideanDistance, one, other)


l2_distance = euclidean_distance


def dot(one: Any, other: Any) -> ColumnElement[float]:
    """Return the dot product of two vectors; larger is nearer."""
    return _distance(Dot, one, other)


def max_inner_product(one: Any, other: Any) -> ColumnElement[float]:
    """Return the dot product with a minus sign: smaller is nearer."""
    return _distance(MaxInnerProduct, one, other)


def _distance(kind: type[Distance], one: Any, other: Any) -> ColumnElement[float]:
    from lookalike.integrations.sqlalchemy.vector import VECTOR

    types = [each.type for each in (one, other) if hasattr(each, "type")]
    type_ = next((each for each in types if isinstance(each, VECTOR)), VECTOR())
    sides = [
        each
        if isinstance(each, ClauseElement) or hasattr(each, "__clause_element__")
        else bindparam(None, each, type_=type_, unique=True)
        for each in (one, other)
    ]
    return kind(*sides)


@compiles(Distance)
def _compile_distance(element: Distance, compiler: SQLCompiler, **keywords: Any) -> str:
    one, other = (compiler.process(each, **keywords) for each in element.clauses)
    return f"{element.name}({one}, {other})"


@compiles(Distance, "mysql")
@compiles(Distance, "mariadb")
def _compile_for_server(element: Distance, compiler: SQLCompiler, **keywords: Any) -> str:
    def side(number: int) -> str:
        return compiler.process(list(element.clauses)[number], **keywords)

    if not is_mariadb(compiler.dialect):
        function = distance_function(compiler)
        return f"{element.sign}{function}({side(0)}, {side(1)}, '{element.metric}')"
    if element.metric != "DOT":
        return f"VEC_DISTANCE_{element.metric}({side(0)}, {side(1)})"

    def length(number: int) -> str:
        zeros = f"REPEAT(CHAR(0), LENGTH({side(number)}))"
        return f"VEC_DISTANCE_EUCLIDEAN({side(number)}, {zeros})"

    cosine = f"1 - VEC_DISTANCE_COSINE({side(0)}, {side(1)})"
    return f"{element.sign}(({cosine}) * {length(0)} * {length(1)})"
