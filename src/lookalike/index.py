"""A trained index: which cell and code an embedding has, and where to look for a query's.

Pure arithmetic; `index_store` keeps it in the database and `training` makes it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.codes import Rotation, encode, query_planes
from lookalike.dialects import CodeRow, Probe, Shortlist
from lookalike.types import Metric
from lookalike.vectors import FloatArray

Cells = npt.NDArray[np.intp]

Ids = npt.NDArray[np.int64]


class Codes(NamedTuple):
    """Columns of the codes' table, shape (n,), the codes (n, bits / 8)."""

    cells: Cells
    ids: Ids
    codes: npt.NDArray[np.uint8]
    scales: FloatArray
    biases: FloatArray

    def rows(self) -> list[CodeRow]:
        """The same as rows."""
        packed = [code.tobytes() for code in self.codes]
        columns = self.cells.tolist(), self.ids.tolist(), packed
        numbers = self.scales.tolist(), self.biases.tolist()
        return list(map(CodeRow._make, zip(*columns, *numbers, strict=True)))

    def take(self, chosen: Cells | slice) -> "Codes":
        """Some of the rows."""
        return Codes(
            self.cells[chosen],
            self.ids[chosen],
            self.codes[chosen],
            self.scales[chosen],
            self.biases[chosen],
        )

    def in_key_order(self) -> "Codes":
        """In the order of the table's primary key, in which inserting is quick and compact."""
        return self.take(np.lexsort((self.ids, self.cells)))


def concatenate(parts: Sequence[Codes]) -> Codes:
    """Codes one after the other."""
    return Codes(
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.biases for part in parts]),
    )


@dataclass(frozen=True)
class Preparation:
    """How embeddings enter the index: for cosine scaled to length 1, then rotated."""

    metric: Metric
    rotation: Rotation

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Prepare embeddings (n, dim): shape (n, bits). An all-zero one stays all zero."""
        if self.metric == "cosine":
            norms = np.linalg.norm(embeddings, axis=1, keepdims=True)
            embeddings = np.asarray(embeddings / np.where(norms > 0, norms, 1), np.float32)
        return self.rotation(embeddings)


@dataclass(frozen=True, eq=False)
class Index:
    """The parameters of one generation of an index.

    dim: the length of an embedding; `bits`, of a prepared one. centroids: of prepared embeddings,
    shape (n_cells, bits), float32. n_probes and probe_gap: a search reads at most so many cells,
    and of these the ones that suit the query at most so much worse than the best; training has
    measured both. trained_rows: how many embeddings there were then.
    """

    metric: Metric
    dim: int
    generation: int
    seed: int
    n_probes: int
    probe_gap: float
    trained_rows: int
    centroids: FloatArray

    @property
    def n_cells(self) -> int:
        return len(self.centroids)

    @cached_property
    def preparation(self) -> "Preparation":
        return Preparation(self.metric, Rotation(self.dim, self.seed))

    @cached_property
    def _half_squares(self) -> FloatArray:
        return np.asarray(np.einsum("ij,ij->i", self.centroids, self.centroids) / 2, np.float32)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of all that decides what a code means."""
        digest = hashlib.sha256(f"{self.metric} {self.dim} {self.seed} ".encode())
        digest.update(self.centroids.astype("<f4").tobytes())
        return digest.digest()

    def assign(self, prepared: FloatArray) -> Cells:
        """Return the cell of the nearest centroid for each prepared embedding: shape (n,)."""
        cells: Cells = np.argmax(prepared @ self.centroids.T - self._half_squares, axis=1)
        return cells

    def code_rows(self, ids: Sequence[int], embeddings: FloatArray) -> list[CodeRow]:
        """Return the rows of the codes' table for embeddings (n, dim); all-zero ones have none."""
        usable = np.flatnonzero(embeddings.any(axis=1))
        prepared = self.preparation(embeddings[usable])
        return self.encode(np.asarray(ids, np.int64)[usable], prepared).rows()

    def encode(self, ids: Ids, prepared: FloatArray, cells: Cells | None = None) -> "Codes":
        """Return the codes of prepared embeddings (n, bits), by default in their nearest cells.

        The bias is <x - c, c>, the estimate's exact part; for euclidean less |x|^2 / 2, since
        -|x - q|^2 / 2 = <x, q> - |x|^2 / 2 - |q|^2 / 2 ranks as the distance does.
        """
        cells = self.assign(prepared) if cells is None else cells
        centroids = self.centroids[cells]
        residuals = prepared - centroids
        codes, scales = encode(residuals)
        biases = np.einsum("ij,ij->i", residuals, centroids)
        if self.metric == "euclidean":
            biases -= np.einsum("ij,ij->i", prepared, prepared) / 2
        return Codes(cells, ids, codes, scales, np.asarray(biases, np.float32))

    def nearest_cells(self, queries: FloatArray) -> npt.NDArray[np.float32]:
        """Return how well each cell suits each prepared query, larger is better: (n, n_cells).

        For dot by the centroid's own dot product, else by its distance.
        """
        scores = queries @ self.centroids.T
        return scores if self.metric == "dot" else scores - self._half_squares

    def shortlist(self, query: FloatArray, *, n_probes: int | None, rows: int) -> Shortlist:
        """Say where to look for the nearest of a query, shape (dim,), and for how many rows.

        n_probes: exactly so many cells; None: those that training has found to be needed.
        """
        prepared = self.preparation(query[np.newaxis])
        cells = self._choose(self.nearest_cells(prepared)[0], n_probes, rows)
        centroids = self.centroids[cells]
        planes = query_planes(prepared - centroids)
        probes = [
            Probe(
                cell, base, step, (p[0].tobytes(), p[1].tobytes(), p[2].tobytes(), p[3].tobytes())
            )
            for cell, base, step, p in zip(
                cells.tolist(),
                (centroids @ prepared[0]).tolist(),
                planes.steps.tolist(),
                planes.planes,
                strict=True,
            )
        ]
        return Shortlist(self.generation, probes, planes.centre, rows)

    def _choose(self, scores: FloatArray, n_probes: int | None, rows: int) -> Cells:
        limit = min(n_probes or self.n_probes, self.n_cells)
        best = np.argpartition(-scores, limit - 1)[:limit]
        if n_probes is not None:
            return best
        # Query-aware pruning: Chen et al., "SPANN", NeurIPS 2021, section 3.3. Enough cells stay
        # to hold twice the rows that are wanted.
        best = best[np.argsort(-scores[best])]
        wanted = -(-2 * rows * self.n_cells // max(self.trained_rows, 1))
        near = int(np.count_nonzero(scores[best] >= scores[best[0]] - self.probe_gap))
        return best[: max(near, wanted)]
