"""Repair codes after other programs have inserted or deleted rows.

lookalike changes rows and codes in one transaction, and searches always read rows above the tail.
Changes by others below it (rows deleted, free ids inserted, the table emptied) are found here: sums
of a checksum of all ids are compared, which reads two narrow indexes; only if they differ, the ids
are compared. Embeddings that others change keep their ids: `lookalike index check` finds them.
"""

from zlib import crc32

import numpy as np

from lookalike.core.vectors import ids_array
from lookalike.database.errors import Busy, MissingTable
from lookalike.index.check import differing
from lookalike.index.ivf import Ids, Index
from lookalike.index.store import IndexStore
from lookalike.index.training import is_due as training_is_due
from lookalike.index.versions import note_changes

SHARE_BETWEEN = 0.05
"""Compare rows and codes again after this share of the rows has been inserted."""

FEW_ROWS = 5000
"""Smaller collections are compared at every insert, which takes a millisecond or two."""

REPLACED = 0.1
"""If a larger share of a sample's codes does not match, the table was refilled."""

_BATCH = 1000
_SAMPLE = 500


def repair(store: IndexStore) -> None:
    """Add missing codes, and delete codes without a row.

    If the table was emptied and refilled, `store.lost_codes` is set and the index is trained again.
    If another transaction holds a needed lock, a later call does the rest.
    """
    index = store.load()
    if index is None or store.lost_codes:
        return
    try:
        _compare(store, index)
    except Busy:
        return
    except MissingTable:
        store.lost_codes = True
    store.note_compared()


def maintain(store: IndexStore, *, compare: bool) -> bool:
    """Repair what is due, and return whether the index should be trained.

    compare: always compare rows and codes; otherwise only if they were never compared, or many rows
    were inserted since.
    """
    inserted, index = store.inserted_since_repair, store.load()
    if index is not None:
        often = SHARE_BETWEEN * index.trained_rows if index.trained_rows >= FEW_ROWS else 0
        if compare or inserted is None or inserted >= often:
            repair(store)
    return training_is_due(store)


def _compare(store: IndexStore, index: Index) -> None:
    table = store.table
    connection, dialect = table.connection, table.dialect
    with connection.transaction():  # one snapshot of rows and codes
        tail = int(connection.value(dialect.tail(table)) or 0)
        sums = connection.query(dialect.id_sums(table, index.generation, tail))[0]
        if int(sums[0]) - int(sums[1]) == int(connection.value(dialect.strays(table)) or 0):
            return
        ids = ids_array(row[0] for row in connection.query(dialect.indexable_ids(table)))
        keys = connection.query(dialect.code_keys(table, index.generation))
    ids = ids[ids <= tail]
    coded = ids_array(key[1] for key in keys)
    cell_of = dict(zip(coded.tolist(), (key[0] for key in keys), strict=True))
    for part in _parts(np.setdiff1d(coded[coded <= tail], ids)):
        _delete(store, index, [(cell_of[row_id], row_id) for row_id in part])
    strays = 0
    for part in _parts(np.setdiff1d(ids, coded)):
        strays += _insert(store, index, part)
    _note_strays(store, index, strays)
    if _is_replaced(store, index, np.intersect1d(ids, coded), cell_of):
        store.lost_codes = True


def _parts(ids: Ids) -> list[list[int]]:
    return [ids[start : start + _BATCH].tolist() for start in range(0, ids.size, _BATCH)]


def _delete(store: IndexStore, index: Index, keys: list[tuple[int, int]]) -> None:
    """Delete the codes of (cell, id) whose row is still gone."""
    table = store.table
    connection, dialect = table.connection, table.dialect
    with connection.transaction():
        if not _holds(store, index):
            return
        wanted = [row_id for _, row_id in keys]
        there = {
            row[0]
            for row in connection.query(dialect.ids_among(table, wanted, lock="share nowait"))
        }
        gone = [key for key in keys if key[1] not in there]
        if gone:
            note_changes(table, (row_id for _, row_id in gone))
            connection.execute(dialect.delete_codes(table, index.generation, gone))


def _insert(store: IndexStore, index: Index, ids: list[int]) -> int:
    """Add codes for existing rows; return the sum of CRC32 of ids that cannot have a code."""
    connection, dialect = store.table.connection, store.table.dialect
    with connection.transaction():
        if not _holds(store, index):
            return 0
        there = connection.query(dialect.ids_among(store.table, ids, lock="share nowait"))
        found, embeddings = store.table.indexable_embeddings([row[0] for row in there])
        store.insert_codes(index, index.code_rows(found.tolist(), embeddings))
    return sum(crc32(str(row[0]).encode()) for row in there if row[0] not in set(found.tolist()))


def _holds(store: IndexStore, index: Index) -> bool:
    """Lock the generation, and return whether it is still current."""
    state = store.state("share")
    return state is not None and state.fingerprint == index.fingerprint


def _note_strays(store: IndexStore, index: Index, strays: int) -> None:
    with store.table.connection.transaction():
        if _holds(store, index):
            store.table.connection.execute(store.table.dialect.set_strays(store.table, strays))


def _is_replaced(store: IndexStore, index: Index, ids: Ids, cell_of: dict[int, int]) -> bool:
    """Whether many codes of a sample do not match the current embeddings.

    Rows in the log of a user's own table are not counted: it is read in the same snapshot.
    """
    sample = np.random.default_rng(0).permutation(ids)[:_SAMPLE].tolist()
    if not sample:
        return bool(cell_of)
    keys = [(cell_of[row_id], row_id) for row_id in sample]
    connection, dialect = store.table.connection, store.table.dialect
    logged: set[int] = set()
    with connection.transaction():
        rows = connection.query(dialect.codes_with_embeddings(store.table, index.generation, keys))
        if store.table.log:
            logged.update(row[0] for row in connection.query(dialect.logged_ids(store.table)))
    known = [row for row in rows if row[5] is not None and row[1] not in logged]
    return len(differing(index, known)) > REPLACED * len(sample)
