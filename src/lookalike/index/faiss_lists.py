"""The codes in faiss: how a row of the codes' table becomes a record of `IndexIVFRaBitQ`.

A record of faiss holds the sign bits, counted from the least significant bit of each byte, and two
little-endian float32, f_0 and f_1. Of a query q in the cell of a centroid c, with y = q - c, faiss
computes for the inner product (RaBitQuantizer.cpp)

    -1/2 (f_0 + |y|^2 - 2 f_1 <s, y> / sqrt(bits) - |q|^2)
        =  <c, q>  -  1/2 (f_0 + |c|^2)  +  f_1 / sqrt(bits) * <s, y>

The estimate of `codes` is  <c, q> + bias + scale * <s, y>.  So the two are equal if

    f_0 = -(2 bias + |c|^2),      f_1 = scale * sqrt(bits)

for each metric: what differs for euclidean is in the bias. For dot, the estimate has a slope a,

    <c, q> + a bias + scale * <s, q - a c>
        =  a (<c, q / a> + bias + scale * <s, q / a - c>)

which is a times the estimate for the query q / a. faiss rounds y in a way of its own, so estimates
differ from those of SQL as much as y is rounded, and no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from lookalike.core.vectors import FloatArray, of_bfloat16, to_bfloat16
from lookalike.index.codes import Bytes, encode
from lookalike.index.ivf import Cells, Codes, Ids

PLANES = 4
"""Bits to which faiss rounds a query."""

FACTOR_BYTES = 8

_FEW_QUERIES = 4

_REVERSED = np.packbits(np.unpackbits(np.arange(256, dtype=np.uint8)).reshape(256, 8)[:, ::-1])
"""Each byte with its bits in reverse order."""


def records(codes: Codes, squares: FloatArray) -> Bytes:
    """Return faiss's records of codes, shape (n, bits / 8 + 8); squares: |c|^2 of each row's c."""
    n, width = codes.codes.shape
    factors = np.empty((n, 2), "<f4")
    factors[:, 0] = -(2 * codes.biases + squares)
    factors[:, 1] = codes.scales * np.float32(np.sqrt(8 * width))
    return np.concatenate([_REVERSED[codes.codes], factors.view(np.uint8)], axis=1)


class FaissLists:
    """Codes in the inverted lists of faiss, a list for each cell.

    Threads may search at the same time, but not while codes are added or removed.

    Args:
        centroids: Shape (n_cells, bits), float32, rounded to bfloat16.
    """

    def __init__(self, centroids: FloatArray) -> None:
        import faiss

        self._faiss: Any = faiss
        n_cells, bits = centroids.shape
        self._centroids = np.ascontiguousarray(centroids)
        self._squares = np.einsum("ij,ij->i", centroids, centroids)
        # faiss keeps no reference of its own to the quantizer. bfloat16 holds the centroids as they
        # are, and half the memory is read for each query.
        self._quantizer: Any = faiss.IndexScalarQuantizer(
            bits, faiss.ScalarQuantizer.QT_bf16, faiss.METRIC_L2
        )
        self._quantizer.train(centroids)
        self._quantizer.add(self._centroids)
        # Any: its types know neither search_preassigned_c nor that it has lists.
        self._index: Any = faiss.IndexIVFRaBitQ(
            self._quantizer, bits, n_cells, faiss.METRIC_INNER_PRODUCT
        )
        if self._index.code_size != bits // 8 + FACTOR_BYTES:
            raise ValueError(f"a record has {self._index.code_size} bytes")
        self._index.is_trained = True

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def nearest_cells(self, queries: FloatArray, n: int) -> tuple[FloatArray, Cells]:
        """Return the nearest cells of prepared queries (n, bits): scores as of `Index`, and cells.

        For cosine and euclidean: a score is <c, q> - |c|^2 / 2.
        """
        vectors = np.ascontiguousarray(queries)
        with _one_thread(self._faiss):
            if len(queries) <= _FEW_QUERIES:
                distances, cells = self._quantizer.search(vectors, n)
            else:  # by a product of matrices
                distances, cells = self._faiss.knn(vectors, self._centroids, n)
        lengths = np.einsum("ij,ij->i", queries, queries)[:, np.newaxis]
        return (lengths - distances) / 2, cells

    def add(self, codes: Codes) -> None:
        """Add codes, in the order of their cells, under their ids or other numbers from 0."""
        cells, starts = np.unique(codes.cells, return_index=True)
        packed = records(codes, self._squares[codes.cells])
        ids = np.ascontiguousarray(codes.ids)
        for cell, start, end in zip(
            cells.tolist(), starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True
        ):
            self._index.invlists.add_entries(
                cell, end - start, *map(self._faiss.swig_ptr, (ids[start:end], packed[start:end]))
            )
        self._index.ntotal += len(ids)

    def remove(self, ids: Ids, cells: Cells) -> None:
        """Remove codes, each from its cell; the last code of the cell takes its place."""
        lists = self._index.invlists
        for number, cell in zip(ids.tolist(), cells.tolist(), strict=True):
            places = np.flatnonzero(self.ids_of(cell) == number)
            for place in places[::-1].tolist():
                last = lists.list_size(cell) - 1
                code = lists.get_single_code(cell, last)
                lists.update_entry(cell, place, lists.get_single_id(cell, last), code)
                lists.release_codes(cell, code)
                lists.resize(cell, last)
            self._index.ntotal -= len(places)

    def ids_of(self, cell: int) -> Ids:
        """Return the ids in a cell."""
        lists = self._index.invlists
        n = lists.list_size(cell)
        if not n:
            return np.empty(0, np.int64)
        pointer = lists.get_ids(cell)
        try:
            return np.array(self._faiss.rev_swig_ptr(pointer, n), np.int64)
        finally:
            lists.release_ids(cell, pointer)

    def nearest(
        self,
        queries: FloatArray,
        cells: Cells,
        rows: int,
        *,
        among: Bytes | None = None,
        planes: int = PLANES,
    ) -> tuple[Ids, FloatArray]:
        """Return ids and estimates of the best codes of each query, best first: (n, rows) each.

        Args:
            queries: Prepared, shape (n, bits).
            cells: The cells to read for each query, shape (n, most); -1 reads none.
            rows: How many codes. Where there are fewer, ids are -1 and estimates -inf.
            among: A bit for each id, set for those to search, least significant first; None: all.
            planes: Bits to which queries are rounded; 0 does not round.
        """
        n, ids = len(queries), np.empty((len(queries), rows), np.int64)
        estimates = np.empty((n, rows), np.float32)
        keys = np.ascontiguousarray(cells, np.int64)
        unused = np.zeros(keys.shape, np.float32)
        parameters = self._faiss.IVFRaBitQSearchParameters()
        parameters.nprobe, parameters.qb = keys.shape[1], planes
        if among is not None:
            selector = self._faiss.IDSelectorBitmap(8 * len(among), self._faiss.swig_ptr(among))
            parameters.sel = selector
        vectors = np.ascontiguousarray(queries, np.float32)
        pointer = self._faiss.swig_ptr
        with _one_thread(self._faiss):
            self._index.search_preassigned_c(
                n,
                pointer(vectors),
                rows,
                *map(pointer, (keys, unused, estimates, ids)),
                False,
                parameters,
                None,
            )
        estimates[ids < 0] = -np.inf
        return ids, estimates


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """Keep faiss to the calling thread: OpenMP's number is each thread's own.

    Its threads would spin between queries; batches are divided among Python's threads instead.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@cache
def refusal() -> str | None:
    """Return why the installed faiss cannot hold the codes; None if its estimates are right.

    A few codes are searched without rounding, and compared with the formula.
    """
    rng = np.random.default_rng(0)
    centroids = of_bfloat16(to_bfloat16(rng.standard_normal((2, 40)).astype(np.float32)))
    cells = np.arange(12) // 6
    residuals = rng.standard_normal((12, 40)).astype(np.float32)
    signs, scales = encode(residuals)
    biases = rng.standard_normal(12).astype(np.float32)
    query = rng.standard_normal((1, 40)).astype(np.float32)
    products = np.einsum("ij,ij->i", np.sign(residuals), query - centroids[cells])
    expected = (query @ centroids.T)[0][cells] + biases + scales * products
    try:
        lists = FaissLists(centroids)
        lists.add(Codes(cells, np.arange(12), signs, scales, biases))
        ids, estimates = lists.nearest(query, np.array([[0, 1]]), 12, planes=0)
    except (ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        return f"the installed faiss has no usable IndexIVFRaBitQ ({error})"
    if sorted(ids[0].tolist()) != list(range(12)) or not np.allclose(
        estimates[0], expected[ids[0]], rtol=1e-3, atol=1e-3
    ):
        return "the installed faiss stores codes in another way"
    return None
