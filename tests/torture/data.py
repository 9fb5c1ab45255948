"""Rows and queries that can be told again from their names alone, by any process."""

import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric

Vectors = npt.NDArray[np.float32]

LATENT = 12
CLUSTERS = 60
SPREAD = 0.5  # of a cluster, in the latent space
NOISE = 0.1  # in all dimensions
NORMS = 0.25  # sigma of the logarithm of the lengths
SHELVES = 6
ODD = 'it\'s "50%s" \\ é'
"""What every name ends with, to meet each sql_mode."""

ZERO = ".zero"
"""How the name of a batch ends whose embeddings are all zero: they have no cosine."""


def row_name(batch: str, i: int) -> str:
    """Return the name of a batch's row."""
    return f"{batch}:{i} {ODD}"


def row_names(batch: str, n: int) -> list[str]:
    """Return the names of a batch of n rows."""
    return [row_name(batch, i) for i in range(n)]


def batch_of(name: str) -> str:
    """Return the batch that a name tells."""
    return name.partition(":")[0]


def shelf_of(name: str) -> int:
    """Return the attribute "shelf" that a row has, once it has any."""
    return zlib.crc32(name.encode()) % SHELVES


def embeddings(key: str, n: int, dim: int) -> Vectors:
    """Return the embeddings (n, dim) of a batch, much like those of a model.

    They lie in clusters of a subspace, away from the origin, with a little noise everywhere.
    """
    if key.endswith(ZERO):
        return np.zeros((n, dim), np.float32)
    return _draw(key, n, dim)[0]


def clusters_of(key: str, n: int, dim: int) -> npt.NDArray[np.int64]:
    """Return which cluster each row of a batch belongs to."""
    return _draw(key, n, dim)[1]


def query(number: int, dim: int, metric: Metric) -> Vectors:
    """Return a query (dim,): of the same kind as the rows, and none of them.

    Where its length cannot change which rows are near, it is of any length.
    """
    length = 1.0 if metric == "euclidean" else 10.0 ** (number % 7 - 3)
    return np.asarray(embeddings(f"query {number}", 1, dim)[0] * np.float32(length))


def _draw(key: str, n: int, dim: int) -> tuple[Vectors, npt.NDArray[np.int64]]:
    basis, centres = _world(dim)
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    cluster = rng.integers(0, CLUSTERS, n)
    latent = centres[cluster] + SPREAD * rng.standard_normal((n, LATENT))
    noise = NOISE * rng.standard_normal((n, dim))
    lengths = np.exp(NORMS * rng.standard_normal((n, 1)))
    return ((latent @ basis + noise) * lengths).astype(np.float32), cluster


@lru_cache
def _world(dim: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the subspace (LATENT, dim) and the centres (CLUSTERS, LATENT) in it."""
    rng = np.random.default_rng(dim)
    basis = np.linalg.qr(rng.standard_normal((dim, LATENT)))[0].T
    return basis, rng.standard_normal((CLUSTERS, LATENT)) + 0.5
