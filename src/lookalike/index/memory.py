"""The codes of one generation of an index in memory, for searches that are many.

They are read from the codes' table as they are; no embedding is read. The copy holds one snapshot:
what was committed when it was read. Rows above the last processed id, which have no codes yet, are
told by id, so that whoever searches compares them exactly, as the SQL of a search does.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lookalike.core.progress import Progress
from lookalike.core.vectors import FloatArray, ids_array
from lookalike.database.connection import Row
from lookalike.database.errors import MissingTable
from lookalike.index.faiss_lists import FACTOR_BYTES, FaissLists, refusal
from lookalike.index.ivf import Cells, Codes, Ids, Index, concatenate
from lookalike.index.store import IndexStore

MAX_TAIL = 1000
"""With more rows without codes, SQL searches: it reads them where they are."""

MEMORY_SHARE = 0.5
"""The most of the available memory to take."""

_BATCH = 20_000
_PAIR_BYTES = 2**24
_FEW_CELLS, _ITERATIONS = 2, 4
_SHORTEST = 1e-2
"""For dot, the shortest a c, in lengths of the query: see `MemoryIndex._pairs`."""


class Candidates(NamedTuple):
    """The codes with the best estimates, best first, for each of n queries.

    ids: shape (n, rows), -1 where there are fewer. estimates: of the similarity, shape (n, rows).
    places: where each query's best cell is in the order of `MemoryIndex.places`, shape (n,).
    """

    ids: Ids
    estimates: FloatArray
    places: Cells


class MemoryIndex:
    """The codes of one generation in memory; threads may share it.

    Attributes:
        index: The parameters of the generation.
        tail: Ids of the rows without codes, shape (n,): compare these exactly.
    """

    def __init__(self, index: Index, lists: FaissLists, tail: Ids) -> None:
        self.index = index
        self.tail = tail
        self._lists = lists

    def __len__(self) -> int:
        """Return the number of codes."""
        return len(self._lists)

    def candidates(
        self, queries: FloatArray, *, n_probes: int | None = None, rows: int
    ) -> Candidates:
        """Return the `rows` best codes of each query, (n, dim), on the calling thread.

        n_probes: number of cells; None: as many as training found necessary.
        """
        prepared = self.index.preparation.queries(queries)
        cells = self.index.choose(prepared, n_probes=n_probes, rows=rows)
        if self.index.metric == "dot":
            ids, estimates = self._pairs(prepared, cells, rows)
        else:
            ids, estimates = self._lists.nearest(prepared, cells, rows)
        similarities = self._similarities(queries, prepared, estimates)
        return Candidates(ids, similarities, self.places[cells[:, 0]])

    def _pairs(self, prepared: FloatArray, cells: Cells, rows: int) -> tuple[Ids, FloatArray]:
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
                scaled.reshape(-1, prepared.shape[1]), read.reshape(-1, 1), rows
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
            yield self._lists.ids_of(cell)

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


# Loading.


def bytes_needed(index: Index, n: int) -> int:
    """Return the memory that n codes take, in bytes, without what is read at a time."""
    bits: int = index.centroids.shape[1]
    return n * (bits // 8 + FACTOR_BYTES + 8) + int(index.centroids.nbytes)


def load(
    store: IndexStore,
    *,
    notify: Callable[[str], None],
    progress: Progress = lambda done, total: None,
) -> MemoryIndex | None:
    """Read the current generation into memory; None where SQL has to search.

    That is without an index, with a large tail, in a transaction or session of the thread, which
    may see rows of its own, with too little memory or with a faiss that cannot hold the codes;
    `notify` is told of the last two.

    Args:
        store: The index.
        notify: Called with one line.
        progress: Called with (codes read, codes in all).
    """
    connection, dialect, table = store.table.connection, store.table.dialect, store.table
    if connection.is_held:
        return None
    try:
        # One snapshot for the generation, the tail and the codes.
        with connection.transaction():
            index = store.load()
            if index is None:
                return None
            n = int(connection.value(dialect.count_codes(table, index.generation)))
            if not n or not _is_possible(index, n, notify):
                return None
            after = connection.value(dialect.tail(table)) or 0
            rows = connection.query(dialect.first_ids_above(table, after, MAX_TAIL + 1))
            if len(rows) > MAX_TAIL:
                return None
            lists = FaissLists(index.centroids)
            _fill(lists, _codes(store, index), lambda done: progress(done, n))
    except MissingTable:  # another program dropped the codes
        return None
    return MemoryIndex(index, lists, ids_array(row[0] for row in rows))


def _is_possible(index: Index, n: int, notify: Callable[[str], None]) -> bool:
    import psutil

    needed, available = bytes_needed(index, n), psutil.virtual_memory().available
    if needed > MEMORY_SHARE * available:
        notify(
            f"The index takes {needed / 1e9:.1f} GB in memory, and {available / 1e9:.1f} GB are "
            "free: MySQL searches it, which takes longer."
        )
        return False
    if (why := refusal()) is not None:
        notify(f"MySQL searches the index, which takes longer, because {why}.")
        return False
    return True


def _codes(store: IndexStore, index: Index) -> Iterator[Codes]:
    """Yield the codes' table in key order."""
    statement = store.table.dialect.all_codes(store.table, index.generation)
    width = index.centroids.shape[1] // 8
    for rows in store.table.connection.stream(statement, batch=_BATCH):
        codes = _columns(rows, width)
        # No search reads cells without a centroid.
        yield codes.take(np.flatnonzero(codes.cells < index.n_cells))


def _columns(rows: list[Row], width: int) -> Codes:
    cells, ids, packed, scales, biases = zip(*rows, strict=True)
    return Codes(
        np.array(cells, np.intp),
        ids_array(ids),
        np.frombuffer(b"".join(packed), np.uint8).reshape(len(rows), width),
        np.array(scales, np.float32),
        np.array(biases, np.float32),
    )


def _fill(lists: FaissLists, batches: Iterator[Codes], progress: Callable[[int], None]) -> None:
    """Add codes that come in key order; each cell at once, so that its list is just as long."""
    rest: list[Codes] = []
    for codes in batches:
        if not len(codes.ids):
            continue
        if rest and rest[-1].cells[-1] != codes.cells[0]:
            lists.add(concatenate(rest))
            rest = []
        first = int(np.searchsorted(codes.cells, codes.cells[-1]))
        if first:
            lists.add(concatenate([*rest, codes.take(slice(first))]))
            rest = []
        rest.append(codes.take(slice(first, None)))
        progress(len(lists))
    if rest:
        lists.add(concatenate(rest))
    progress(len(lists))
