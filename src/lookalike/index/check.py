"""Check an index: compare every code with its embedding."""

from collections.abc import Sequence
from contextlib import nullcontext

import numpy as np

from lookalike.core.reports import IndexReport
from lookalike.core.vectors import unpack
from lookalike.database.connection import Row
from lookalike.database.errors import MissingTable
from lookalike.index.ivf import Index
from lookalike.index.store import IndexStore

_BATCH = 4096
# Rounding in another order can flip the sign of a number close to zero.
_TOLERATED_BITS = 2
# That changes a shift by scale times twice that number of the centroid.
_SHIFT_TOLERANCE = 1e-2


def check_index(store: IndexStore) -> IndexReport:
    """Compare every code with its embedding; nothing is changed.

    Of a table with a log, logged rows are not compared: all is read in one snapshot.
    """
    table = store.table
    with table.connection.transaction() if table.log else nullcontext():
        return _check(store)


def _check(store: IndexStore) -> IndexReport:
    table = store.table
    connection, dialect = table.connection, table.dialect
    index = store.load()
    all_ids = {row[0] for row in connection.query(dialect.indexable_ids(table))}
    if index is None:
        return IndexReport(rows=len(all_ids), codes=0, missing=(), stale=())
    tail = connection.value(dialect.tail(table)) or 0
    logged = _logged(store)
    seen: set[int] = set()
    stale: list[int] = []
    codes = 0
    statement = dialect.codes_with_embeddings(table, index.generation)
    for rows in connection.stream(statement, batch=_BATCH):
        codes += len(rows)
        stale += [row[1] for row in rows if row[5] is None or row[1] in seen]
        stale += differing(index, [row for row in rows if row[5] is not None])
        seen.update(row[1] for row in rows)
    without = sorted(i for i in all_ids - seen - logged if i <= tail)
    missing: list[int] = []
    for start in range(0, len(without), _BATCH):
        missing += store.table.indexable_embeddings(without[start : start + _BATCH])[0].tolist()
    wrong = tuple(sorted(set(stale) - logged))
    return IndexReport(len(all_ids), codes, tuple(missing), wrong, len(logged))


def _logged(store: IndexStore) -> set[int]:
    """Return the ids in the log of a user's own table."""
    table = store.table
    if not table.log:
        return set()
    try:
        return {row[0] for row in table.connection.query(table.dialect.logged_ids(table))}
    except MissingTable:
        return set()


def differing(index: Index, rows: Sequence[Row]) -> list[int]:
    """Return ids of rows of `codes_with_embeddings` whose code does not match."""
    if not rows:
        return []
    cells, ids, codes, scales, biases, packed, shifts = map(list, zip(*rows, strict=True))
    in_range = np.minimum(np.array(cells), index.n_cells - 1)
    prepared = index.preparation(unpack(packed, index.dim))
    expected = index.encode(np.array(ids), prepared, in_range)
    stored = np.frombuffer(b"".join(codes), np.uint8).reshape(expected.codes.shape)
    bits = np.bitwise_count(stored ^ expected.codes).sum(axis=1)
    # The residual of an embedding equal to its centroid is only rounding.
    lengths = np.linalg.norm(prepared, axis=1)
    noise = 1e-5 * lengths / np.sqrt(prepared.shape[1])
    far = np.abs(np.array(scales, np.float32) - expected.scales) > 1e-3 * expected.scales + noise
    differ = (bits > _TOLERATED_BITS) & (expected.scales > noise)
    reach = (lengths + np.linalg.norm(index.centroids[in_range], axis=1)) ** 2
    off = np.abs(np.array(biases, np.float32) - expected.biases) > 1e-3 * reach
    if index.rotation != "dense":  # whose codes have no shifts
        assert expected.shifts is not None
        off |= np.abs(np.array(shifts, np.float32) - expected.shifts) > _SHIFT_TOLERANCE * reach
    wrong = far | differ | off | (np.array(cells) >= index.n_cells)
    return [ids[i] for i in np.flatnonzero(wrong)]
