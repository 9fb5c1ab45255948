"""All embeddings compared with one another, block by block, as products of matrices."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric
from lookalike.core.vectors import FloatArray

_BLOCK = 256
_MARGINS: dict[Metric, float] = {"cosine": 1e-5, "dot": 1e-10, "euclidean": 1e-6}
"""Wide bounds of what is rounded, of unit vectors: in float32 for the cosine, else in float64."""


class Near(NamedTuple):
    """Ordered pairs of rows, one of them in the block, arrays of shape (n,).

    similarity: exact to float64. is_nearest: whether the second is among the k nearest of the
    first. done: rows compared so far.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    similarity: npt.NDArray[np.float64]
    is_nearest: npt.NDArray[np.bool_]
    done: int


def all_near(
    embeddings: FloatArray,
    metric: Metric,
    *,
    k: int,
    least: float,
    all_from: float,
    most: int,
    first: int | None = None,
) -> Iterator[Near]:
    """Compare embeddings (n, dim), none of them zero, with one another.

    Yields, for each block of rows, their k nearest of a similarity of `least`, and all others of
    one of `all_from`, up to the `most` nearest of a row. first: compare only so many rows, the
    first ones, with all.
    """
    n = len(embeddings) if first is None else first
    vectors = _prepared(embeddings, metric)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    longest = float(squares.max(initial=0.0))
    margin = _MARGINS[metric] * (longest**0.5 if metric == "euclidean" else longest)
    for start in range(0, n, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, n))
        scores = _approximate(vectors, squares, block, metric)
        scores[np.arange(len(block)), block] = -np.inf
        near = scores >= least - margin
        if near.any():
            near &= _largest(scores, k)
        others = scores >= all_from - margin
        if others.sum(axis=1).max() > most:
            others &= _largest(scores, most)
        row, columns = np.nonzero((near | others) & np.isfinite(scores))
        is_nearest, rows = near[row, columns], block[row]
        exact = _exact(embeddings, rows, columns, metric)
        is_nearest &= exact >= least
        kept = is_nearest | (exact >= all_from)
        yield Near(rows[kept], columns[kept], exact[kept], is_nearest[kept], int(block[-1]) + 1)


def _prepared(embeddings: FloatArray, metric: Metric) -> npt.NDArray[np.floating]:
    """Return unit vectors for the cosine, and float64 otherwise: it is for large numbers, too."""
    if metric != "cosine":
        return embeddings.astype(np.float64)
    # Scaled first: the squares of tiny or huge numbers are beyond float32.
    scaled = embeddings / np.abs(embeddings).max(axis=1, keepdims=True)
    return np.asarray(scaled / np.linalg.norm(scaled, axis=1, keepdims=True), np.float32)


def _largest(scores: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.bool_]:
    """Tell which are among the k largest of their row: of equal ones some, never more than k."""
    n = scores.shape[1]
    largest = np.full(scores.shape, k >= n)
    if k < n:
        np.put_along_axis(largest, np.argpartition(scores, n - k, axis=1)[:, n - k :], True, axis=1)
    return largest


def _approximate(
    vectors: npt.NDArray[np.floating],
    squares: npt.NDArray[np.floating],
    block: npt.NDArray[np.int64],
    metric: Metric,
) -> npt.NDArray[np.floating]:
    dots: npt.NDArray[np.floating] = vectors[block] @ vectors.T
    if metric != "euclidean":
        return dots
    distances = squares[block, np.newaxis] + squares - 2 * dots
    return np.asarray(-np.sqrt(np.maximum(distances, 0)))


def _exact(
    embeddings: FloatArray,
    rows: npt.NDArray[np.int64],
    columns: npt.NDArray[np.int64],
    metric: Metric,
) -> npt.NDArray[np.float64]:
    """The similarities of pairs of rows, as core.vectors.similarity gives them."""
    exact = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), _BLOCK * 8):
        part = slice(start, start + _BLOCK * 8)
        one, other = (embeddings[side[part]].astype(np.float64) for side in (rows, columns))
        if metric == "euclidean":
            exact[part] = -np.linalg.norm(one - other, axis=1)
            continue
        exact[part] = np.einsum("ij,ij->i", one, other)
        if metric == "cosine":
            exact[part] /= np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.clip(exact, -1.0, 1.0) if metric == "cosine" else exact
