"""Training an index: centroids, the codes of every embedding, and the switch to it.

The next generation is made beside the one that holds, from a snapshot, while searches and `add`
go on. Then, under the lock that whoever changes rows shares, what has come or changed since is
added, and one UPDATE switches. Whatever is cut short leaves the old generation as it was, and
tables that the next training drops.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from typing import TypeVar

import numpy as np
from tenacity import retry, retry_if_exception, stop_after_attempt

from lookalike.codes import Rotation
from lookalike.connection import Connection
from lookalike.errors import DatabaseError
from lookalike.index import Cells, Codes, Ids, Index, Preparation, concatenate
from lookalike.index_store import IndexStore, usable
from lookalike.vectors import FloatArray, pack_bfloat16, unpack_bfloat16

T = TypeVar("T")

FEWEST_ROWS = 200
"""Below this search is exact: to fetch all embeddings is quick."""

GROWTH = 4
"""An index is trained again when the collection has grown so many times."""

ROWS_FOR_CELLS = 5000
"""Smaller collections have one cell: reading all codes costs little."""

MAX_CELLS = 65_535
SAMPLE_PER_CELL = 32
ITERATIONS = 6
CALIBRATION_QUERIES = 500
CALIBRATION_K = 10
CALIBRATION_KEPT = 64
CALIBRATION_TOLERANCE = 1e-3
CALIBRATION_RECALL = 0.994
"""The share of true neighbours that lie in the cells which a search reads."""

GAP_QUANTILES = (0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 1.0)

_BATCH_BYTES = 16_000_000
_SAMPLE_BATCH = 1000
_WRITE_ROWS = 10_000
_CENTROIDS = 500
_LOCKED = {1205, 1213}  # lock wait timeout, deadlock


def n_cells_for(rows: int) -> int:
    """About 4 sqrt(rows) cells, one below ROWS_FOR_CELLS."""
    return 1 if rows < ROWS_FOR_CELLS else min(MAX_CELLS, round(4 * math.sqrt(rows)))


def train_centroids(sample: FloatArray, n_cells: int, seed: int) -> FloatArray:
    """Return centroids, shape (n_cells, dim), by k-means on prepared embeddings (n, dim)."""
    if n_cells == 1:
        return np.asarray(sample.mean(axis=0, dtype=np.float64)[np.newaxis], np.float32)
    import faiss

    kmeans = faiss.Kmeans(
        sample.shape[1],
        n_cells,
        niter=ITERATIONS,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=SAMPLE_PER_CELL,
    )
    kmeans.train(sample)
    return np.asarray(kmeans.centroids, np.float32)


class Calibration:
    """Measures on the collection itself how many cells hold the neighbours of a query.

    The queries are stored embeddings; each looks for its nearest others. One within
    CALIBRATION_TOLERANCE of the k-th is as good as that.
    """

    def __init__(self, index: Index, queries: FloatArray) -> None:
        self._index = index
        self._queries = queries
        self._best = np.full((len(queries), CALIBRATION_KEPT), -np.inf, np.float32)
        self._cells = np.zeros((len(queries), CALIBRATION_KEPT), np.intp)

    def see(self, prepared: FloatArray, cells: Cells) -> None:
        """Take a batch of prepared embeddings and their cells into account."""
        scores = self._queries @ prepared.T
        if self._index.metric == "euclidean":
            scores -= np.einsum("ij,ij->i", prepared, prepared) / 2
        kept = CALIBRATION_KEPT
        all_scores = np.concatenate([self._best, scores], axis=1)
        top = np.argpartition(-all_scores, kept - 1, axis=1)[:, :kept]
        all_cells = np.concatenate(
            [self._cells, np.broadcast_to(cells, (len(scores), len(cells)))], axis=1
        )
        self._best = np.take_along_axis(all_scores, top, axis=1)
        self._cells = np.take_along_axis(all_cells, top, axis=1)

    def probes(self) -> tuple[int, float]:
        """Return n_probes and probe_gap: of what keeps enough neighbours, what reads least."""
        if self._index.n_cells == 1:
            return 1, 0.0
        suits = self._index.nearest_cells(self._queries)
        all_gaps = suits.max(axis=1, keepdims=True) - suits
        ranks, gaps = self._needed(suits)
        cheapest, chosen = np.inf, (self._index.n_cells, float(all_gaps.max()))
        for quantile in GAP_QUANTILES:
            gap = float(np.quantile(gaps, quantile, method="higher"))
            reached = np.sort(np.where(gaps <= gap, ranks, self._index.n_cells))
            n_probes = int(np.quantile(reached, CALIBRATION_RECALL, method="higher")) + 1
            read = np.minimum((all_gaps <= gap).sum(axis=1), n_probes).mean()
            if n_probes <= self._index.n_cells and read < cheapest:
                cheapest, chosen = read, (n_probes, gap)
        return chosen

    def _needed(self, suits: FloatArray) -> tuple[Cells, FloatArray]:
        """Return ranks and gaps of the neighbours' cells, of each query the k that need least.

        suits: how well each cell suits each query, shape (n_queries, n_cells).
        """
        order = np.argsort(-self._best, axis=1)[:, 1:]  # the nearest of an embedding is itself
        best = np.take_along_axis(self._best, order, axis=1)
        cells = np.take_along_axis(self._cells, order, axis=1)
        kth = best[:, CALIBRATION_K - 1 : CALIBRATION_K]
        bad = best < kth - CALIBRATION_TOLERANCE * np.abs(kth)
        ranks = np.argsort(np.argsort(-suits, axis=1), axis=1)
        needed = np.take_along_axis(ranks, cells, axis=1)
        needed[bad] = self._index.n_cells  # sorts last
        first = np.argsort(needed, axis=1)[:, :CALIBRATION_K]
        gaps = suits.max(axis=1, keepdims=True) - suits
        gaps = np.take_along_axis(np.take_along_axis(gaps, cells, axis=1), first, axis=1)
        return np.take_along_axis(needed, first, axis=1), gaps


def is_due(store: IndexStore) -> bool:
    """Whether the collection has grown so much, or lost so much of its index, as to train."""
    connection, dialect, table = store.connection, store.dialect, store.table
    index = store.load()
    if index is None:
        # Where the server ranks by itself an index of ours is made on request only.
        wanted = None if dialect.has_distance else FEWEST_ROWS
    else:
        wanted = 1 if store.lost_codes else GROWTH * index.trained_rows
    low, high = connection.query(dialect.id_range(table))[0]
    # The range of ids is free to ask for; only where it is large enough are the rows counted.
    if wanted is None or high is None or high - low + 1 < wanted:
        return False
    return int(connection.value(dialect.count_embeddings(table))) >= wanted


def train(
    store: IndexStore,
    open_connection: Callable[[], Connection],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Index | None:
    """Train an index on all rows of the store's table and switch to it.

    open_connection: another connection to the same database, for reading beside the arithmetic.
    Returns None where another process is training already, or there are too few rows.
    """
    connection, dialect, table = store.connection, store.dialect, store.table
    if not connection.value(dialect.trainer_lock(table)):
        return None
    try:
        for statement in dialect.create_indexes():
            connection.execute(statement)
        ids = _ids(store, connection)
        if ids.size < FEWEST_ROWS:
            return None
        index, queries = _train_on_sample(store, ids, _start(store), seed)
        calibration = Calibration(index, queries)
        codes = _encode_all(index, store, open_connection, calibration, progress)
        _write(index, store, codes)
        n_probes, gap = calibration.probes()
        index = replace(index, n_probes=n_probes, probe_gap=gap, trained_rows=len(codes.ids))
        _switch(index, store, open_connection, codes.ids, ids)
        store.lost_codes = False
        return index
    finally:
        with suppress(DatabaseError):  # a lost connection has let go of the lock
            connection.query(dialect.trainer_unlock(table))


def _ids(store: IndexStore, connection: Connection) -> Ids:
    rows = connection.query(store.dialect.indexable_ids(store.table))
    return np.array([row[0] for row in rows], np.int64)


def _start(store: IndexStore) -> int:
    """Announce the next generation, drop what cut-short ones have left, and return its number."""
    connection, dialect, table = store.connection, store.dialect, store.table
    state = connection.query(dialect.index_state(table))
    current = int(state[0][0]) if state else 0
    names = [
        row[0].rpartition("_")[2] for row in connection.query(dialect.generation_tables(table))
    ]
    left = {int(number) for number in names if number.isdecimal()}
    for orphan in left - {current}:
        connection.execute(dialect.drop_generation(table, orphan))
    generation = max(left | {current}) + 1
    connection.execute(dialect.forget_changes(table))
    # From now on changes are noted; this waits for the transactions that have not seen it.
    _patiently(lambda: connection.execute(dialect.start_building(table, generation)))
    bits = Rotation(store.dim, 0).bits
    types: dict[str, str] = dict(connection.query(dialect.table_columns(table)))
    for statement in dialect.create_generation(table, generation, bits, types["id"]):
        connection.execute(statement)
    return generation


def _train_on_sample(
    store: IndexStore, ids: Ids, generation: int, seed: int
) -> tuple[Index, FloatArray]:
    """Return the index, its n_probes still to be measured, and prepared embeddings to do so."""
    rng = np.random.default_rng(seed)
    n_cells = n_cells_for(ids.size)
    size = min(ids.size, max(n_cells * SAMPLE_PER_CELL, FEWEST_ROWS))
    sample = _prepared(store, np.sort(rng.choice(ids, size, replace=False)), seed)
    if not len(sample):
        raise DatabaseError(f"collection {store.table!r} has no embedding that can be indexed")
    trained = train_centroids(sample, min(n_cells, len(sample)), seed)
    # As they are stored: what a code means depends on every bit of them.
    centroids = unpack_bfloat16(pack_bfloat16(trained), trained.shape[1])
    index = Index(store.metric, store.dim, generation, seed, 1, 0.0, ids.size, centroids)
    n_queries = min(CALIBRATION_QUERIES, len(sample))
    return index, sample[rng.choice(len(sample), n_queries, replace=False)]


def _prepared(store: IndexStore, ids: Ids, seed: int) -> FloatArray:
    """Read embeddings and prepare them, batch by batch: all of them are in memory once."""
    prepare = Preparation(store.metric, Rotation(store.dim, seed))
    sample, n = np.empty((ids.size, prepare.rotation.bits), np.float32), 0
    for start in range(0, ids.size, _SAMPLE_BATCH):
        part = prepare(store.usable_embeddings(ids[start : start + _SAMPLE_BATCH].tolist())[1])
        sample[n : n + len(part)] = part
        n += len(part)
    return sample[:n]


def _encode_all(
    index: Index,
    store: IndexStore,
    open_connection: Callable[[], Connection],
    calibration: Calibration,
    progress: Callable[[int, int], None],
) -> Codes:
    """Return the codes of all embeddings, in the order of the codes' table."""
    batches: list[Codes] = []
    done = 0
    for ids, embeddings in _read_ahead(store, open_connection):
        prepared = index.preparation(embeddings)
        batches.append(index.encode(ids, prepared))
        calibration.see(prepared, batches[-1].cells)
        done += len(ids)
        progress(done, index.trained_rows)
    return concatenate(batches).in_key_order()


def _read_ahead(
    store: IndexStore, open_connection: Callable[[], Connection]
) -> Iterator[tuple[Ids, FloatArray]]:
    """Yield ids and embeddings of all rows, read by a thread while the last ones are worked on."""
    reader = open_connection()
    try:
        statement = store.dialect.all_embeddings(store.table)
        stream = reader.stream(statement, batch=max(1, _BATCH_BYTES // (4 * store.dim)))

        def read() -> tuple[Ids, FloatArray] | None:
            rows = next(stream, None)
            return None if rows is None else usable(store.dim, rows)

        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(read)
            while (batch := coming.result()) is not None:
                coming = thread.submit(read)
                yield batch
    finally:
        reader.close()


def _write(index: Index, store: IndexStore, codes: Codes) -> None:
    connection, dialect, table = store.connection, store.dialect, store.table
    for start in range(0, index.n_cells, _CENTROIDS):
        part = index.centroids[start : start + _CENTROIDS]
        rows = list(enumerate(pack_bfloat16(part), start))
        connection.execute(dialect.insert_centroids(table, index.generation, rows))
    for start in range(0, len(codes.ids), _WRITE_ROWS):
        rows_of = codes.take(slice(start, start + _WRITE_ROWS)).rows()
        connection.execute(dialect.insert_codes(table, index.generation, rows_of))


def _switch(
    index: Index,
    store: IndexStore,
    open_connection: Callable[[], Connection],
    coded: Ids,
    known: Ids,
) -> None:
    """Let the new generation hold, once it is equal to the table; known: ids when it was begun.

    Of rows that others have inserted and not committed, nothing is known: the tail begins before
    them.
    """
    connection, dialect, table = store.connection, store.dialect, store.table
    last = int(known.max())

    def switch() -> int:
        with closing(open_connection()) as reader:
            reader.execute(dialect.read_uncommitted())
            all_ids = _ids(store, reader)
        with connection.transaction():
            # Waits for whoever is changing rows, and makes those who come wait.
            state = connection.query(dialect.index_state(table, lock="FOR UPDATE"))
            committed = _bring_up_to_date(index, store, coded)
            # What was there before and is not any more has been deleted meanwhile.
            pending = np.setdiff1d(all_ids[all_ids <= last], np.union1d(committed, known))
            through = int(pending.min()) - 1 if pending.size else last
            connection.execute(dialect.set_tail(table, through))
            connection.execute(
                dialect.switch_generation(
                    table,
                    index.generation,
                    index.seed,
                    index.n_probes,
                    index.probe_gap,
                    index.trained_rows,
                    index.fingerprint,
                )
            )
            return int(state[0][0])

    old = _patiently(switch)
    connection.execute(dialect.drop_generation(table, old))


def _bring_up_to_date(index: Index, store: IndexStore, coded: Ids) -> Ids:
    """Add and remove codes for what has come, gone or changed since the ids `coded` were read.

    Returns the ids that there are now.
    """
    connection, dialect, table = store.connection, store.dialect, store.table
    changed = np.array([row[0] for row in connection.query(dialect.changes(table))], np.int64)
    now = _ids(store, connection)
    gone = np.union1d(np.setdiff1d(coded, now), np.intersect1d(coded, changed))
    come = np.union1d(np.setdiff1d(now, coded), np.intersect1d(now, changed))
    for ids in _parts(gone):
        connection.execute(dialect.delete_codes_by_id(table, index.generation, ids))
    for ids in _parts(come):
        found, embeddings = store.usable_embeddings(ids)
        rows = index.code_rows(found.tolist(), embeddings)
        if rows:
            connection.execute(dialect.insert_codes(table, index.generation, rows))
    connection.execute(dialect.forget_changes(table))
    return now


def _parts(ids: Ids) -> Iterator[list[int]]:
    for start in range(0, ids.size, _SAMPLE_BATCH):
        yield ids[start : start + _SAMPLE_BATCH].tolist()


@retry(
    retry=retry_if_exception(lambda e: isinstance(e, DatabaseError) and e.code in _LOCKED),
    stop=stop_after_attempt(10),
    reraise=True,
)
def _patiently(action: Callable[[], T]) -> T:
    """Run an action again where somebody's long transaction keeps a lock from it."""
    return action()
