"""Embeddings in memory, exact or rounded, to choose between the candidates of a search."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Precision
from lookalike.core.vectors import FloatArray, of_bfloat16, to_bfloat16
from lookalike.index.ivf import Preparation
from lookalike.index.memory_rows import Positions

PRECISIONS: tuple[Precision, ...] = ("float32", "bfloat16", "int8")
"""The most exact first."""

EXACT: Precision = "float32"

_SHORTEST, _LONGEST = 1e-15, 1e15
"""Lengths whose squares are ordinary float32."""


class _Format(NamedTuple):
    """A type of numbers; `pack` expects numbers from -127 to 127 for int8."""

    dtype: Any
    pack: Callable[[FloatArray], npt.NDArray[Any]]
    unpack: Callable[[npt.NDArray[Any]], FloatArray]


_FORMATS = {
    "float32": _Format(np.float32, np.asarray, np.asarray),
    "bfloat16": _Format(np.uint16, to_bfloat16, of_bfloat16),
    "int8": _Format(np.int8, np.rint, lambda stored: stored.astype(np.float32)),
}


def bytes_each(precision: Precision, dim: int) -> int:
    """Return the memory that an embedding takes, in bytes, with its factor and its square."""
    return dim * int(np.dtype(_FORMATS[precision].dtype).itemsize) + 8


class MemoryVectors:
    """Embeddings by position: float32 as they are, others scaled as the index scales them.

    Args:
        precision: float32, bfloat16, or int8 with a factor for each embedding.
        preparation: Scales embeddings.
        capacity: The number of positions; memory that is not used yet is not taken either.
    """

    def __init__(self, precision: Precision, preparation: Preparation, capacity: int) -> None:
        self.precision = precision
        self._preparation = preparation
        self._format = _FORMATS[precision]
        self._stored = np.zeros((capacity, preparation.rotation.dim), self._format.dtype)
        # What makes of the stored numbers those of the scaled embedding; 0 where there is none.
        self._factors = np.zeros(capacity, np.float32)
        self._squares = np.zeros(capacity, np.float32)

    def put(self, positions: Positions, embeddings: FloatArray) -> None:
        """Store embeddings (n, dim)."""
        scaled = self._preparation.scaled(embeddings)
        self._squares[positions] = np.einsum("ij,ij->i", scaled, scaled)
        if self.precision == EXACT:
            self._stored[positions] = embeddings
            self._factors[positions] = np.sqrt(self._squares[positions]) / _lengths(embeddings)
            return
        factors = np.ones(len(scaled), np.float32)
        if self.precision == "int8":
            factors = np.maximum(np.abs(scaled).max(axis=1) / 127, np.float32(1e-30))
        self._stored[positions] = self._format.pack(scaled / factors[:, np.newaxis])
        self._factors[positions] = factors

    def scores(self, queries: FloatArray, positions: Positions) -> FloatArray:
        """Return scores that rank as the similarities do, shape (n, rows).

        Args:
            queries: Shape (n, dim).
            positions: Shape (n, rows); -1 has the score -inf, and so has one without an embedding.
        """
        scaled, factors = self._preparation.scaled_queries(queries), self._factors[positions]
        vectors = self._format.unpack(self._stored[positions])
        scores = np.matmul(vectors, scaled[:, :, np.newaxis])[:, :, 0] * factors
        if self._preparation.metric == "euclidean":
            scores -= self._squares[positions] / 2
        return np.where((positions >= 0) & (factors > 0), scores, np.float32(-np.inf))

    def exact(self, positions: Positions) -> FloatArray:
        """Return the embeddings at positions (n,) as they are in the table: shape (n, dim)."""
        embeddings: FloatArray = self._stored[positions]
        return embeddings


def _lengths(embeddings: FloatArray) -> npt.NDArray[np.float64]:
    """Return the lengths of embeddings (n, dim), also where their squares are no float32."""
    with np.errstate(over="ignore", under="ignore"):
        lengths = np.linalg.norm(embeddings, axis=1).astype(np.float64)
    extreme = np.flatnonzero(~((lengths > _SHORTEST) & (lengths < _LONGEST)))
    if extreme.size:
        lengths[extreme] = np.linalg.norm(embeddings[extreme].astype(np.float64), axis=1)
    clipped: npt.NDArray[np.float64] = np.clip(lengths, 1e-37, 1e37)
    return clipped
