"""Vectors for SQLAlchemy, Alembic and SQLModel: a type, distances, and `nearest`."""

from lookalike import MissingExtra

try:
    import sqlalchemy  # noqa: F401
except ImportError as error:
    raise MissingExtra("sqlalchemy", "lookalike.integrations.sqlalchemy") from error

from lookalike.integrations.sqlalchemy.autogenerate import include_name, render_item
from lookalike.integrations.sqlalchemy.distances import (
    cosine_distance,
    dot,
    euclidean_distance,
    l2_distance,
    max_inner_product,
)
from lookalike.integrations.sqlalchemy.nearest import nearest
from lookalike.integrations.sqlalchemy.vector import VECTOR, Vector

__all__ = [
    "VECTOR",
    "Vector",
    "cosine_distance",
    "dot",
    "euclidean_distance",
    "include_name",
    "l2_distance",
    "max_inner_product",
    "nearest",
    "render_item",
]
