"""A trained index: assign cells and codes to embeddings, and choose the cells for a query.

Pure computation: `store` stores it in the database, `training` builds it.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric, Plan
from lookalike.core.vectors import FloatArray, ids_array, pack
from lookalike.dialects import CodeRow, Probe, Shortlist
from lookalike.index.codes import QueryPlanes, encode, estimate, query_planes
from lookalike.index.rotation import Kind, Rotation, rotation_of

Cells = npt.NDArray[np.intp]

Ids = npt.NDArray[np.int64]

Nearest = Callable[[FloatArray, int], tuple[FloatArray, Cells]]
"""Returns scores and cells, (n, m) each, of the m best cells of n prepared queries, best first."""

MAX_LENGTH = 2.0**50
"""Maximum length in the index, in units; squares of longer vectors overflow float32."""

MAX_EXPONENT = 120
"""Maximum exponent of a unit: it and its inverse are normal float32 numbers."""

_PRODUCTS = 4_000_000
"""Products with centroids that are computed at once: few enough for a processor's cache."""

_LEAST_ROWS = 128
"""Fewer rows at once would make the products slow."""

_SPREADS = 4.0
"""A cell's bonus for dot, in spreads / sqrt(dim).

If lengths vary by a lognormal sigma of 1, 64 cells of 566 contain 99.7% of the neighbours with it
and 96.5% without it.
"""


class Codes(NamedTuple):
    """Columns of the codes' table, shape (n,); codes have shape (n, bits / 8).

    shifts: None where they were not read; only searches in SQL alone use them.
    """

    cells: Cells
    ids: Ids
    codes: npt.NDArray[np.uint8]
    scales: FloatArray
    biases: FloatArray
    shifts: FloatArray | None = None

    def rows(self) -> list[CodeRow]:
        """Return the columns as rows."""
        assert self.shifts is not None
        packed = [code.tobytes() for code in self.codes]
        columns = self.cells.tolist(), self.ids.tolist(), packed
        numbers = self.scales.tolist(), self.biases.tolist(), self.shifts.tolist()
        return list(map(CodeRow._make, zip(*columns, *numbers, strict=True)))

    def take(self, chosen: Cells | slice) -> "Codes":
        """Return some of the rows."""
        return Codes(
            self.cells[chosen],
            self.ids[chosen],
            self.codes[chosen],
            self.scales[chosen],
            self.biases[chosen],
            None if self.shifts is None else self.shifts[chosen],
        )

    def in_key_order(self) -> "Codes":
        """Return the codes in primary key order, which makes inserting fast and compact."""
        return self.take(np.lexsort((self.ids, self.cells)))


def concatenate(parts: Sequence[Codes]) -> Codes:
    """Concatenate codes."""
    shifts = [part.shifts for part in parts if part.shifts is not None]
    return Codes(
        np.concatenate([part.cells for part in parts]),
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.codes for part in parts]),
        np.concatenate([part.scales for part in parts]),
        np.concatenate([part.biases for part in parts]),
        np.concatenate(shifts) if len(shifts) == len(parts) else None,
    )


@dataclass(frozen=True)
class Preparation:
    """Prepares embeddings for the index: scaled to moderate float32 values, then rotated.

    For cosine they are scaled to length 1; for dot and euclidean divided by `unit`, a power of two
    near the largest length in training. Longer ones than MAX_LENGTH units are cut to that length in
    the index: they are found by direction, and ranked by their stored values like all others.
    """

    metric: Metric
    rotation: Rotation
    unit: float = 1.0

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Prepare embeddings (n, dim): shape (n, bits). An all-zero one stays all zero."""
        return self.rotation(self.scaled(embeddings))

    def scaled(self, embeddings: FloatArray) -> FloatArray:
        """Scale embeddings (n, dim) without rotating them."""
        if self.metric == "cosine":
            return of_length_1(embeddings)
        with np.errstate(over="ignore", under="ignore"):
            scaled = embeddings * np.float32(1.0 / self.unit) if self.unit != 1.0 else embeddings
            squares = np.einsum("ij,ij->i", scaled, scaled)
        too_long = np.flatnonzero(~(squares <= MAX_LENGTH**2))
        if too_long.size:
            scaled = scaled.copy()
            scaled[too_long] = of_length_1(embeddings[too_long]) * np.float32(MAX_LENGTH)
        return scaled

    def query(self, query: FloatArray) -> FloatArray:
        """Prepare a query, shape (dim,): shape (1, bits).

        A query's length changes no ranking by cosine or dot, so it is scaled to length 1.
        """
        return self.queries(query[np.newaxis])

    def queries(self, queries: FloatArray) -> FloatArray:
        """Prepare queries (n, dim) like `query`: shape (n, bits)."""
        return self.rotation(self.scaled_queries(queries))

    def scaled_queries(self, queries: FloatArray) -> FloatArray:
        """Scale queries (n, dim) without rotating them."""
        return of_length_1(queries) if self.metric == "dot" else self.scaled(queries)


def unit_for(embeddings: FloatArray) -> float:
    """Return the power of two nearest to the largest length of embeddings (n, dim)."""
    longest = np.linalg.norm(embeddings.astype(np.float64), axis=1).max(initial=0.0)
    exponent = np.ceil(np.log2(longest)) if longest > 0 else 0.0
    return float(2.0 ** np.clip(exponent, -MAX_EXPONENT, MAX_EXPONENT))


def of_length_1(vectors: FloatArray) -> FloatArray:
    """Scale vectors (n, dim) to length 1, without overflow for very long and short ones."""
    with np.errstate(over="ignore", under="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    extreme = np.flatnonzero((norms < 1e-15) | ~(norms < 1e15))
    if extreme.size:
        vectors, norms = vectors.copy(), norms.copy()
        largest = np.abs(vectors[extreme]).max(axis=1, keepdims=True)
        vectors[extreme] /= np.where(largest > 0, largest, 1)
        norms[extreme] = np.linalg.norm(vectors[extreme], axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)


def comparable(query: FloatArray, metric: Metric) -> FloatArray:
    """Return a query, shape (dim,), whose square is a float32: some servers compute in float32."""
    is_extreme = metric == "cosine" and not 1e-15 < np.linalg.norm(query.astype(float)) < 1e15
    return of_length_1(query[np.newaxis])[0] if is_extreme else query


@dataclass(frozen=True, eq=False)
class Index:
    """The parameters of one generation of an index.

    dim: length of an embedding; `bits`: of a prepared one. unit: see Preparation. centroids: of
    prepared embeddings, shape (n_cells, bits), float32. spreads: root mean square distance of a
    cell's embeddings from its centroid, shape (n_cells,). trained_rows: number of embeddings in
    training.
    """

    metric: Metric
    dim: int
    generation: int
    seed: int
    unit: float
    plan: Plan
    trained_rows: int
    centroids: FloatArray
    spreads: FloatArray
    rotation: Kind = "factored"

    @property
    def n_cells(self) -> int:
        return len(self.centroids)

    @cached_property
    def preparation(self) -> "Preparation":
        rotation = rotation_of(self.rotation, self.dim, self.seed)
        return Preparation(self.metric, rotation, self.unit)

    @cached_property
    def _half_squares(self) -> FloatArray:
        return np.asarray(np.einsum("ij,ij->i", self.centroids, self.centroids) / 2, np.float32)

    @cached_property
    def fingerprint(self) -> bytes:
        """Return the SHA-256 of everything that determines the meaning of a code."""
        unit = "" if self.unit == 1.0 else f"{self.unit!r} "
        kind = "" if self.rotation == "dense" else f"{self.rotation} "
        digest = hashlib.sha256(f"{self.metric} {self.dim} {self.seed} {unit}{kind}".encode())
        digest.update(self.centroids.astype("<f4").tobytes())
        return digest.digest()

    def assign(self, prepared: FloatArray) -> Cells:
        """Return the cell of the nearest centroid for each prepared embedding: shape (n,)."""
        cells = np.empty(len(prepared), np.intp)
        step = max(_LEAST_ROWS, _PRODUCTS // self.n_cells)
        scores = np.empty((min(step, len(prepared)), self.n_cells), np.float32)
        for start in range(0, len(prepared), step):
            part = prepared[start : start + step]
            products = np.matmul(part, self.centroids.T, out=scores[: len(part)])
            products -= self._half_squares
            np.argmax(products, axis=1, out=cells[start : start + step])
        return cells

    def code_rows(self, ids: Sequence[int], embeddings: FloatArray) -> list[CodeRow]:
        """Return the rows of the codes' table for embeddings (n, dim)."""
        return self.encode(ids_array(ids), self.preparation(embeddings)).rows()

    def encode(self, ids: Ids, prepared: FloatArray, cells: Cells | None = None) -> "Codes":
        """Return the codes of prepared embeddings (n, bits), by default in their nearest cells.

        The bias is <x - c, c>, the exact part of the estimate; for euclidean minus |x|^2 / 2,
        because -|x - q|^2 / 2 = <x, q> - |x|^2 / 2 - |q|^2 / 2 ranks as the distance does.
        """
        cells = self.assign(prepared) if cells is None else cells
        centroids = self.centroids[cells]
        residuals = prepared - centroids
        codes, scales = encode(residuals)
        biases = np.einsum("ij,ij->i", residuals, centroids)
        if self.metric == "euclidean":
            biases -= np.einsum("ij,ij->i", prepared, prepared) / 2
        signs = np.where(residuals > 0, np.float32(1), np.float32(-1))
        shifts = scales * np.einsum("ij,ij->i", signs, centroids)
        biases, shifts = np.asarray(biases, np.float32), np.asarray(shifts, np.float32)
        return Codes(cells, ids, codes, scales, biases, shifts)

    def cell_scores(self, queries: FloatArray) -> npt.NDArray[np.float32]:
        """Return a score of each cell for each prepared query, larger is better: (n, n_cells).

        The score is the negative distance to the centroid. For dot it is the product with the
        centroid plus a bonus for the cell's spread: the products of embeddings at distance `spread`
        from the centroid vary by spread / sqrt(d) if they spread evenly over d dimensions, and
        embeddings use fewer.
        """
        scores = queries @ self.centroids.T
        if self.metric != "dot":
            return scores - self._half_squares
        return scores + np.float32(_SPREADS / sqrt(self.dim)) * self.spreads

    def shortlist(self, query: FloatArray, *, n_probes: int | None, rows: int) -> Shortlist:
        """Return the cells to read for a query, shape (dim,), and how many rows to compare.

        n_probes: number of cells; None: as many as training found necessary.
        """
        prepared = self.preparation.query(query)
        cells = self.choose(prepared, n_probes=n_probes, rows=rows)[0]
        cells = cells[cells >= 0]
        return Shortlist(
            self.generation,
            self.fingerprint,
            *self.probes(prepared, cells),
            rows,
            self.metric,
            pack(comparable(query, self.metric)),
        )

    def probes(self, prepared: FloatArray, cells: Cells) -> tuple[list[Probe], float]:
        """Return the probes of a prepared query (1, bits) for each cell, and `centre`, for SQL."""
        bases, slopes, planes = self._terms(prepared, cells)
        columns = cells.tolist(), bases.tolist(), slopes.tolist(), planes.steps.tolist()
        probes = [
            Probe(cell, base, slope, step, tuple(plane.tobytes() for plane in p))
            for cell, base, slope, step, p in zip(*columns, planes.planes, strict=True)
        ]
        return probes, planes.centre

    def estimates(
        self, prepared: FloatArray, cells: Cells, codes: Codes, which: Cells
    ) -> FloatArray:
        """Return the estimates that SQL computes, larger is nearer: shape (n,).

        prepared: a query, shape (1, bits). which: for each of n codes, the index of its cell in
        `cells`.
        """
        bases, slopes, planes = self._terms(prepared, cells)
        exact = bases[which] + slopes[which] * codes.biases
        return np.asarray(exact + estimate(codes.codes, codes.scales, planes, which), np.float32)

    def _terms(
        self, prepared: FloatArray, cells: Cells
    ) -> tuple[FloatArray, FloatArray, QueryPlanes]:
        """Return base and slope of each cell, and the planes of the rest of the query.

        With a slope a, <x, q> = <c, q> + a <r, c> + <r, q - a c>. For dot, a = <c, q> / |c|^2 makes
        q - a c shortest, so that a long c does not drown a short q when q - a c is rounded.
        """
        centroids = self.centroids[cells]
        bases = centroids @ prepared[0]
        slopes = self.slopes(bases, cells)
        return bases, slopes, query_planes(prepared - slopes[:, np.newaxis] * centroids)

    def slopes(self, bases: FloatArray, cells: Cells) -> FloatArray:
        """Return the slope a of cells with products bases = <c, q>, in the shape of both."""
        if self.metric != "dot":
            return np.ones(bases.shape, np.float32)
        squares = 2 * self._half_squares[cells]
        return np.divide(bases, squares, out=np.zeros_like(bases), where=squares > 0)

    def choose(
        self,
        prepared: FloatArray,
        *,
        n_probes: int | None,
        rows: int,
        nearest: Nearest | None = None,
    ) -> Cells:
        """Return the cells to read for each prepared query (n, bits), and -1 in unused places.

        n_probes, rows: as in `shortlist`. nearest: finds the cells with the best scores, by default
        from those of all cells. Shape (n, the most cells of a query).
        """
        nearest = nearest or self._nearest
        if n_probes is not None:
            return nearest(prepared, min(n_probes, self.n_cells))[1]
        # Query-aware pruning: Chen et al., "SPANN", NeurIPS 2021, section 3.3. Keep enough cells
        # for twice the wanted rows, and widen the gap for more results, which are further away.
        wanted = -(-2 * rows * self.n_cells // max(self.trained_rows, 1))
        further = sqrt(max(1.0, rows / max(self.plan.rescored, 1)))
        limit = min(max(wanted, ceil(self.plan.n_probes * further)), self.n_cells)
        found, best = nearest(prepared, limit)
        near = found >= found[:, :1] - self.plan.probe_gap * further
        read = np.maximum(np.count_nonzero(near, axis=1), wanted)
        return np.where(np.arange(limit) < read[:, np.newaxis], best, -1)

    def _nearest(self, prepared: FloatArray, n: int) -> tuple[FloatArray, Cells]:
        scores = self.cell_scores(prepared)
        best, each = _largest(scores, n), np.arange(len(scores))[:, np.newaxis]
        order = np.argsort(-scores[each, best], axis=1)
        best = best[each, order]
        return scores[each, best], best


def _largest(scores: FloatArray, n: int) -> Cells:
    """Return the places of the n largest scores of each row, in any order: shape (rows, n)."""
    return np.argpartition(-scores, n - 1, axis=1)[:, :n]
