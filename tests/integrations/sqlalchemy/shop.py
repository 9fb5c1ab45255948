"""A table of products, and what numpy says of it."""

import numpy as np
from sqlalchemy import String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from lookalike.integrations.sqlalchemy import VECTOR

DIM, ROWS = 16, 300
EMBEDDINGS = np.random.default_rng(7).standard_normal((ROWS, DIM)).astype(np.float32)
QUERY = EMBEDDINGS[41] + np.float32(0.2)


class Base(DeclarativeBase):
    """The models of a shop."""


class Product(Base):
    """A product: product_id is 1 for the first embedding, its price from 0 to 99."""

    __tablename__ = "products"

    product_id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(100))
    price: Mapped[float]
    embedding: Mapped[np.ndarray] = mapped_column(VECTOR(DIM))


def distances(metric: str, query: np.ndarray = QUERY) -> np.ndarray:
    """The distances of all products to a query, in double precision."""
    rows, query = EMBEDDINGS.astype(np.float64), np.asarray(query, np.float64)
    if metric == "euclidean":
        return np.linalg.norm(rows - query, axis=1)
    products = rows @ query
    if metric == "cosine":
        return 1 - products / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)
    return products


def nearest_ids(k: int, most: float = 100, metric: str = "cosine") -> list[int]:
    """The ids of the k nearest products cheaper than `most`."""
    order = np.argsort(distances(metric), kind="stable")
    return [int(i) + 1 for i in order if i % 100 < most][:k]
