"""The codes of all embeddings: one thread reads, others encode, then two write.

Memory holds all codes, but few batches of embeddings at once.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.vectors import FloatArray, pack_bfloat16
from lookalike.database.connection import Row
from lookalike.dialects import CellRow
from lookalike.index.codes import CentroidPlanes, centroid_planes
from lookalike.index.ivf import Codes, Index, concatenate
from lookalike.index.parallel import overlapped, side_by_side
from lookalike.index.probes import PlanFinder
from lookalike.index.store import IndexStore

_BATCH_BYTES = 4_000_000
_BATCH_ROWS = 4096
_CENTROIDS = 500


class _Encoded(NamedTuple):
    """A batch: its codes, and what the plan and the cells' spreads are measured by."""

    codes: Codes
    similarities: FloatArray
    squares: npt.NDArray[np.float64] | None


def encode_all(
    index: Index,
    store: IndexStore,
    finder: PlanFinder,
    progress: Callable[[int, int], None],
) -> tuple[Codes, Index]:
    """Return the codes of all embeddings, in key order, and the index with the cells' spreads."""

    def encode(rows: Sequence[Row]) -> _Encoded:
        ids, embeddings = store.table.indexable(rows)
        prepared = index.preparation(embeddings)
        codes = index.encode(ids, prepared)
        squares = _squares(index, codes, prepared) if index.metric == "dot" else None
        return _Encoded(codes, finder.similarities(ids, prepared), squares)

    batches: list[Codes] = []
    squares, done = np.zeros(index.n_cells), 0
    with closing(overlapped(_rows(store), encode)) as encoded:
        for batch in encoded:
            batches.append(batch.codes)
            finder.see(batch.codes.ids, batch.similarities)
            if batch.squares is not None:
                squares += batch.squares
            done += len(batch.codes.ids)
            progress(done, index.trained_rows)
    codes = concatenate(batches).in_key_order()
    counts = np.bincount(codes.cells, minlength=index.n_cells)
    spreads = np.sqrt(squares / np.maximum(counts, 1)).astype(np.float32)
    return codes, replace(index, spreads=spreads)


def _rows(store: IndexStore) -> Generator[list[Row], None, None]:
    """Return a generator of batches of ids and embeddings, of all rows."""
    size = max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * store.table.dim)))
    statement = store.table.dialect.all_embeddings(store.table)
    return store.table.connection.stream(statement, batch=size)


def _squares(index: Index, codes: Codes, prepared: FloatArray) -> npt.NDArray[np.float64]:
    """Return, per cell, the sum of the squared distances of its embeddings: shape (n_cells,)."""
    residuals = prepared - index.centroids[codes.cells]
    lengths = np.einsum("ij,ij->i", residuals, residuals)
    return np.bincount(codes.cells, lengths, index.n_cells).astype(np.float64, copy=False)


def write(index: Index, store: IndexStore, codes: Codes) -> None:
    """Insert the centroids, then the codes, which are in key order.

    Two connections insert at once: the lower half of the keys, and the upper one.
    """
    _write_centroids(index, store)
    connection, dialect = store.table.connection, store.table.dialect

    def insert(part: slice) -> None:
        rows = codes.take(part).rows()
        connection.execute(dialect.insert_codes(store.table, index.generation, rows))

    n, step = len(codes.ids), store.code_batch(index)
    side_by_side(insert, _slices(0, n // 2, step), _slices(n // 2, n, step))
    connection.execute(dialect.add_code_key(store.table, index.generation))


def _write_centroids(index: Index, store: IndexStore) -> None:
    connection, dialect = store.table.connection, store.table.dialect
    size = 6 * index.centroids.shape[1] + 200
    step = max(1, min(_CENTROIDS, (connection.max_packet - 1000) // size))
    fine = centroid_planes(index.centroids)
    for part in _slices(0, index.n_cells, step):
        rows = _cell_rows(index, fine, part)
        connection.execute(dialect.insert_centroids(store.table, index.generation, rows))


def _cell_rows(index: Index, fine: CentroidPlanes, part: slice) -> list[CellRow]:
    """Return the rows of some cells."""
    centroids = index.centroids[part]
    half_squares = np.einsum("ij,ij->i", centroids, centroids) / 2
    columns = zip(
        range(part.start, part.stop),
        pack_bfloat16(centroids),
        index.spreads[part].tolist(),
        [code.tobytes() for code in fine.codes[part]],
        fine.scales[part].tolist(),
        [planes.tobytes() for planes in fine.planes[part]],
        fine.steps[part].tolist(),
        fine.level_sums[part].tolist(),
        half_squares.tolist(),
        strict=True,
    )
    return list(map(CellRow._make, columns))


def _slices(start: int, end: int, step: int) -> Iterator[slice]:
    return (slice(first, min(first + step, end)) for first in range(start, end, step))
