"""The codes of one generation of an index in memory, for searches that are many.

They are filled from the codes' table as they are; no embedding is needed. A copy has the version of
the codes that it was read at, and `apply` brings it to a later one.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from lookalike.core.locks import SharedLock
from lookalike.core.types import Precision
from lookalike.core.vectors import FloatArray, similarity
from lookalike.dialects import Version
from lookalike.index.codes import Bytes
from lookalike.index.faiss_lists import FACTOR_BYTES, FaissLists
from lookalike.index.ivf import Cells, Codes, Ids, Index
from lookalike.index.memory_rows import BYTES, MemoryRows
from lookalike.index.memory_vectors import EXACT, MemoryVectors, bytes_each

KEPT = 2
"""Rounded embeddings choose so many times k of the candidates to read."""

_PAIR_BYTES = 2**24
_FEW_CELLS, _ITERATIONS = 2, 4
_SHORTEST = 1e-2
"""For dot, the shortest a c, in lengths of the query: see `MemoryIndex._pairs`."""


class Candidates(NamedTuple):
    """The codes with the best estimates, best first, for each of n queries.

    ids: shape (n, rows), -1 where there are fewer. estimates: of the similarity, shape (n, rows).
    """

    ids: Ids
    estimates: FloatArray


class Chosen(NamedTuple):
    """The candidates of n queries to read, best first.

    ids: shape (n, rows), -1 where there are fewer. coded: how many candidates each query had,
    shape (n,). cells: the best cell of each, shape (n,). similarities, checksums: shape (n, rows),
    where the embeddings are in memory as they are in the table: the exact similarity, and the CRC32
    of the embedding's bytes by which the table tells that it is still the same.
    """

    ids: Ids
    coded: Cells
    cells: Cells
    similarities: npt.NDArray[np.float64] | None
    checksums: npt.NDArray[np.uint32] | None

    def take(self, queries: Cells) -> "Chosen":
        """Return those of some of the queries."""
        similarities = None if self.similarities is None else self.similarities[queries]
        checksums = None if self.checksums is None else self.checksums[queries]
        return Chosen(
            self.ids[queries], self.coded[queries], self.cells[queries], similarities, checksums
        )


def concatenated(parts: Sequence[Chosen]) -> Chosen:
    """Return the candidates of all parts' queries."""
    columns: list[Any] = list(zip(*parts, strict=True))
    joined: list[Any] = [None if each[0] is None else np.concatenate(each) for each in columns]
    return Chosen(*joined)


class MemoryIndex:
    """The codes of one generation in memory, and optionally the embeddings; threads may share it.

    Args:
        index: The parameters of the generation.
        capacity: How many codes there can be.
        vectors: The precision of embeddings; None: without them.

    Attributes:
        index: The parameters of the generation.
        version: The state of the codes; None if it is not known.
        is_changing: Whether the last search found changes: then the next one asks for them at once.
        tail: Ids of the rows without codes when it was read, shape (n,): compare these exactly.
    """

    def __init__(self, index: Index, capacity: int, vectors: Precision | None = None) -> None:
        self.index = index
        self.version: Version | None = None
        self.is_changing = False
        self.tail: Ids = np.empty(0, np.int64)
        self._lists = FaissLists(index.centroids)
        self._rows = MemoryRows(capacity)
        self._vectors = vectors and MemoryVectors(vectors, index.preparation, capacity)
        self._lock = SharedLock()

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._rows)

    @property
    def precision(self) -> Precision | None:
        """The precision of the embeddings; None without them."""
        return self._vectors.precision if self._vectors else None

    @property
    def nbytes(self) -> int:
        """The memory that it takes, in bytes."""
        return bytes_needed(self.index, len(self._lists), self.precision)

    # Filling and changing.

    def add(self, codes: Codes) -> None:
        """Add codes, in the order of their cells; before the first change."""
        self._lists.add(codes._replace(ids=self._rows.add(codes.ids, codes.cells)))

    def add_vectors(self, ids: Ids, embeddings: FloatArray) -> None:
        """Add the embeddings (n, dim) of codes; of ids without a code they are left out."""
        if self._vectors:
            positions = self._rows.loaded_positions(ids)
            known = positions >= 0
            self._vectors.put(positions[known], embeddings[known])

    def apply(
        self, changed: Ids, ids: Ids, embeddings: FloatArray, version: Version | None
    ) -> bool:
        """Replace the codes of changed rows; False, and nothing is changed, without room for them.

        There is none for ids below 0.

        Args:
            changed: Shape (m,).
            ids: Those of them that can have a code, shape (n,).
            embeddings: Theirs, shape (n, dim).
            version: The version that is reached; None keeps the version.
        """
        codes = self.index.encode(ids, self.index.preparation(embeddings))
        order = np.lexsort((ids, codes.cells))
        codes, embeddings = codes.take(order), embeddings[order]
        with self._lock.writing():
            if self.version and version and version.version <= self.version.version:
                return True
            if self._rows.room < len(ids) or ids.min(initial=0) < 0:
                return False
            self._lists.remove(*self._rows.remove(changed))
            if len(ids):
                positions = self._rows.add(codes.ids, codes.cells)
                self._lists.add(codes._replace(ids=positions))
                if self._vectors:
                    self._vectors.put(positions, embeddings)
            self.version = version or self.version
        return True

    # Searching.

    def candidates(
        self, queries: FloatArray, *, n_probes: int | None = None, rows: int
    ) -> Candidates:
        """Return the `rows` best codes of each query, (n, dim), on the calling thread.

        n_probes: number of cells; None: as many as training found necessary.
        """
        prepared, cells = self._choose(queries, n_probes, rows)
        with self._lock.reading():
            positions, estimates = self._nearest(prepared, cells, rows)
            ids = self._rows.ids_at(positions)
        similarities = self._similarities(queries, prepared, estimates)
        return Candidates(ids, similarities)

    def chosen(self, queries: FloatArray, *, n_probes: int | None, rows: int, k: int) -> Chosen:
        """Return the candidates of each query, (n, dim), that are worth reading for k results.

        With exact embeddings in memory these are the k best; with rounded ones `KEPT` times as
        many; without, all `rows` candidates. Ties go by id.
        """
        prepared, cells = self._choose(queries, n_probes, rows)
        similarities = checksums = None
        with self._lock.reading():
            positions, _ = self._nearest(prepared, cells, rows)
            coded = np.count_nonzero(positions >= 0, axis=1)
            if self._vectors and (KEPT * k < rows or self._vectors.precision == EXACT):
                scores = self._vectors.scores(queries, positions)
                positions, _ = _best(positions, scores, min(KEPT * k, rows))
            ids = self._rows.ids_at(positions)
            if self._vectors and self._vectors.precision == EXACT:
                embeddings = self._vectors.exact(positions)
                ids, similarities, checksums = self._compared(queries, ids, embeddings, k)
        return Chosen(ids, coded, cells[:, 0], similarities, checksums)

    def among(self, query: FloatArray, ids: Ids, *, rows: int) -> Ids:
        """Return those of the ids that have the best estimates for a query (dim,): at most `rows`.

        Every cell is read, but only the codes of these ids are compared.
        """
        prepared = self.index.preparation.query(query)
        cells = np.arange(self.index.n_cells)[np.newaxis]
        with self._lock.reading():
            bits = self._rows.bits_of(ids)
            positions, _ = self._nearest(prepared, cells, rows, among=bits)
            found: Ids = self._rows.ids_at(positions)[0]
        return np.asarray(found[found >= 0])

    def _compared(
        self, queries: FloatArray, ids: Ids, embeddings: FloatArray, k: int
    ) -> tuple[Ids, npt.NDArray[np.float64], npt.NDArray[np.uint32]]:
        """Return the k best of candidates (n, rows): ids, similarities and checksums.

        embeddings: shape (n, rows, dim).
        """
        k = min(k, ids.shape[1])
        best_ids, best = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf)
        checksums = np.zeros((len(queries), k), np.uint32)
        for number, query in enumerate(queries):
            scores = similarity(query, embeddings[number], self.index.metric)
            scores[(ids[number] < 0) | np.isnan(scores)] = -np.inf
            order = np.lexsort((ids[number], -scores))[:k]
            order = order[scores[order] > -np.inf]
            n = len(order)
            best_ids[number, :n], best[number, :n] = ids[number][order], scores[order]
            checksums[number, :n] = [crc32(row) for row in embeddings[number][order]]
        return best_ids, best, checksums

    def _choose(
        self, queries: FloatArray, n_probes: int | None, rows: int
    ) -> tuple[FloatArray, Cells]:
        """Return prepared queries, and the cells to read for each."""
        prepared = self.index.preparation.queries(queries)
        nearest = None if self.index.metric == "dot" else self._lists.nearest_cells
        cells = self.index.choose(prepared, n_probes=n_probes, rows=rows, nearest=nearest)
        return prepared, cells

    def _nearest(
        self, prepared: FloatArray, cells: Cells, rows: int, among: Bytes | None = None
    ) -> tuple[Ids, FloatArray]:
        """Return positions and estimates of the best codes; among: bits of positions, or all."""
        if self.index.metric == "dot":
            return self._pairs(prepared, cells, rows, among)
        return self._lists.nearest(prepared, cells, rows, among=among)

    def _pairs(
        self, prepared: FloatArray, cells: Cells, rows: int, among: Bytes | None
    ) -> tuple[Ids, FloatArray]:
        """Search each cell with a query of its own, q / a, and merge: see `faiss_lists`.

        A slope near zero or below it would make q / a too long or turn it around. It is replaced by
        one for which |a c| is a hundredth of |q|: q - a c is then hardly longer.
        """
        n, most = cells.shape
        step = max(1, _PAIR_BYTES // (4 * most * max(prepared.shape[1], 3 * rows)))
        parts = []
        for start in range(0, n, step):
            part, read = prepared[start : start + step], cells[start : start + step]
            centroids = self.index.centroids[read]
            bases = np.einsum("nmd,nd->nm", centroids, part)
            lengths = np.linalg.norm(centroids, axis=2)
            least = np.divide(_SHORTEST, lengths, out=np.ones_like(lengths), where=lengths > 0)
            slopes = np.maximum(self.index.slopes(bases, read), least)
            scaled = part[:, np.newaxis] / slopes[:, :, np.newaxis]
            ids, estimates = self._lists.nearest(
                scaled.reshape(-1, prepared.shape[1]),
                read.reshape(-1, 1),
                rows,
                among=among,
            )
            estimates = estimates.reshape(len(part), most, rows) * slopes[:, :, np.newaxis]
            parts.append(_best(ids.reshape(len(part), -1), estimates.reshape(len(part), -1), rows))
        all_ids, all_estimates = zip(*parts, strict=True)
        return np.concatenate(all_ids), np.concatenate(all_estimates)

    def _similarities(
        self, queries: FloatArray, prepared: FloatArray, estimates: FloatArray
    ) -> FloatArray:
        """Return the similarities that estimates mean: products, or -|x - q|^2 / 2 + |q|^2 / 2."""
        metric, unit = self.index.metric, np.float32(self.index.unit)
        if metric == "cosine":
            return estimates
        with np.errstate(over="ignore", invalid="ignore"):
            if metric == "dot":
                lengths = np.linalg.norm(queries.astype(np.float64), axis=1)
                return np.asarray(estimates * (lengths * unit)[:, np.newaxis], np.float32)
            squares = np.einsum("ij,ij->i", prepared, prepared)[:, np.newaxis]
            return np.asarray(-np.sqrt(np.maximum(squares - 2 * estimates, 0)) * unit, np.float32)

    def ids_by_cell(self) -> Iterator[Ids]:
        """Yield the ids of each cell, near cells after one another."""
        for cell in np.argsort(self.places).tolist():
            yield self._rows.ids_at(self._lists.ids_of(cell))

    @cached_property
    def places(self) -> Cells:
        """The place of each cell in an order in which near cells follow one another: (n_cells,)."""
        order = np.concatenate(list(_halves(self.index.centroids)))
        places = np.empty_like(order)
        places[order] = np.arange(len(order))
        return places


def _halves(centroids: FloatArray) -> Iterator[Cells]:
    """Halve the cells along their principal direction, again and again, and yield what is left."""
    waiting = [np.arange(len(centroids))]
    while waiting:
        cells = waiting.pop()
        half = len(cells) // 2
        if half < _FEW_CELLS:
            yield cells
            continue
        rows = centroids[cells] - centroids[cells].mean(axis=0)
        rows /= max(float(np.abs(rows).max()), 1e-30)
        direction = rows[np.argmax(np.einsum("ij,ij->i", rows, rows))]
        for _ in range(_ITERATIONS):
            direction = (rows @ direction) @ rows
            direction /= max(float(np.linalg.norm(direction)), 1e-30)
        order = np.argpartition(rows @ direction, half)
        waiting += [cells[order[half:]], cells[order[:half]]]


def _best(ids: Ids, estimates: FloatArray, rows: int) -> tuple[Ids, FloatArray]:
    """Return the best of each row, best first."""
    if ids.shape[1] > rows:
        kept = np.argpartition(-estimates, rows - 1, axis=1)[:, :rows]
        ids = np.take_along_axis(ids, kept, axis=1)
        estimates = np.take_along_axis(estimates, kept, axis=1)
    order = np.argsort(-estimates, axis=1)
    return np.take_along_axis(ids, order, axis=1), np.take_along_axis(estimates, order, axis=1)


def bytes_needed(index: Index, n: int, vectors: Precision | None = None) -> int:
    """Return the memory that n codes take, in bytes, and their embeddings."""
    bits: int = index.centroids.shape[1]
    each = bits // 8 + FACTOR_BYTES + 8 + BYTES
    if vectors:
        each += bytes_each(vectors, index.dim)
    return n * each + int(index.centroids.nbytes)
