"""The versions of an index's codes, and their log."""

import json
from itertools import product

import numpy as np
import pytest

from lookalike.core.vectors import pack
from lookalike.index.versions import MAX_LOGGED, note_changes, prune_log
from tests.index.clusters import clustered, names

VERSION = "SELECT origin, version, token FROM lookalike_index_versions"
LOG = "SELECT version, token, n_ids, ids FROM lookalike_index_log ORDER BY version"


def log_of(db):
    return [
        (version, n, ids if ids is None else json.loads(ids))
        for version, _, n, ids in db.rows(LOG)[1]
    ]


def test_each_transaction_logs_what_it_changed(db, indexed, vectors):
    ((origin, first, _),) = db.rows(VERSION)[1]
    before = log_of(db)
    assert before[-1] == (first, 0, None)  # the switch to the first generation
    ids = indexed.upsert(vectors[:3])
    indexed.upsert(vectors[:2], ids=[7, 5])
    indexed.remove_rows([ids[1], 10**8])
    assert log_of(db)[len(before) :] == [
        (first + 1, 3, ids),
        (first + 2, 2, [5, 7]),
        (first + 3, 2, [ids[1], 10**8]),
    ]
    ((same, last, token),) = db.rows(VERSION)[1]
    assert (same, last) == (origin, first + 3) and db.rows(LOG)[1][-1][:2] == (last, token)
    tokens = [row[1] for row in db.rows(LOG)[1]]
    assert len(set(tokens)) == len(tokens)
    assert indexed.index.build()
    assert log_of(db)[-1] == (first + 4, 0, None)


def test_what_is_rolled_back_is_not_logged(db, indexed, vectors):
    before = log_of(db)
    with pytest.raises(ZeroDivisionError), db.connection.transaction():
        indexed._state.index.remove([1])
        raise ZeroDivisionError
    assert log_of(db) == before


def test_rows_that_others_inserted_are_logged_once_they_have_codes(db, indexed, vectors):
    db.rows("INSERT INTO own VALUES (%s, 'x', %s)", (10**6, pack(vectors[0])))
    before = log_of(db)
    indexed.upsert(vectors[:1])
    logged = {row_id for _, _, ids in log_of(db)[len(before) :] for row_id in ids}
    assert 10**6 in logged


def test_many_changes_are_logged_as_all(db, indexed):
    indexed.upsert(clustered(MAX_LOGGED + 1), names=names(MAX_LOGGED + 1))
    assert (0, None) in [row[1:] for row in log_of(db)[1:]]


SIZES = [[1] * 50, [5, 1, 30, 2, 2, 7], [100]]


def test_the_newest_ids_are_kept(db, indexed):
    """As many versions as are needed for so many ids; the share of the rows is less here."""
    table = indexed._state.table
    db.rows("DELETE FROM own WHERE id > 4")
    for sizes, least in product(SIZES, [1, 10, 40, 1000]):
        db.rows("DELETE FROM lookalike_index_log")
        for size in sizes:
            with db.connection.transaction():
                note_changes(table, range(1000, 1000 + size))
        logged = log_of(db)
        prune_log(table, least=least)
        kept = log_of(db)
        assert kept == logged[len(logged) - len(kept) :] and kept
        counts = [n for _, n, _ in logged]
        if len(kept) < len(logged):
            assert sum(counts[-len(kept) :]) > least >= sum(counts[len(counts) - len(kept) + 1 :])
        else:
            assert sum(counts[1:]) <= least


def test_pruning_leaves_other_collections_alone(db, indexed, vectors):
    other = db.collection("other", dim=vectors.shape[1])
    other.add_embeddings(names(100), vectors[:100])
    before = db.rows("SELECT * FROM lookalike_index_log WHERE collection = 'other'")[1]
    for _ in range(5):
        indexed.upsert(vectors[:1])
    db.rows("DELETE FROM own WHERE id > 4")  # or the log keeps as many ids as a quarter of the rows
    prune_log(indexed._state.table, least=0)
    assert db.rows("SELECT * FROM lookalike_index_log WHERE collection = 'other'")[1] == before
    assert len(db.rows("SELECT * FROM lookalike_index_log WHERE collection = 'own'")[1]) < 3


@pytest.mark.parametrize("lost", ["lookalike_index_versions", "lookalike_index_log"])
def test_without_the_tables_rows_can_be_written(db, indexed, vectors, lost):
    """As in a database that was restored in part."""
    with indexed.hold_index() as held:
        assert held.wait(30)
        db.rows(f"DROP TABLE {lost}")
        (row_id,) = indexed.upsert(np.float32(3) * vectors[:1])
        assert indexed.search(vectors[0], k=2)[1].id == row_id
        assert indexed.remove_rows([row_id]) == 1
    assert indexed.index.build()
    assert db.rows(f"SELECT COUNT(*) FROM {lost}")[1] == [(1,)]


def test_a_change_outside_a_transaction_is_a_mistake(indexed):
    with pytest.raises(RuntimeError, match="transaction"):
        note_changes(indexed._state.table, [1])


def test_a_table_without_an_index_has_no_versions(db):
    own = db.collection("own", dim=4)
    own.add_embeddings(["a"], [[1, 2, 3, 4]])
    assert db.rows(VERSION)[1] == [] == log_of(db)
