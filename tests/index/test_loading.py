"""Loading the index into memory: everything that is in the tables, or nothing."""

import numpy as np
import psutil

from lookalike.core.vectors import pack
from lookalike.index import loading
from lookalike.index.memory import bytes_needed
from tests.index.clusters import N, names


def loaded(collection, *, notify=print, **options):
    return loading.load(collection._state.index, notify=notify, **options)


def test_every_code_is_loaded_whatever_the_batches(indexed):
    state, seen = indexed._state, []
    statement = state.dialect.code_keys(state.table, state.index.load().generation)
    expected = set(state.connection.query(statement))
    for batch in (1, 7, 1000, 10**6):
        found = loaded(indexed, batch=batch, progress=lambda *done: seen.append(done))
        cells = {
            (cell, int(row_id))
            for cell, ids in zip(np.argsort(found.places), found.ids_by_cell(), strict=True)
            for row_id in ids
        }
        assert cells == expected and len(found) == N and seen[-1] == (N, N)


def test_rows_of_other_programs_are_in_the_tail(db, indexed, vectors):
    for row_id in (10**6, 10**6 + 5):
        db.rows("INSERT INTO own VALUES (%s, 'x', %s)", (row_id, pack(vectors[3])))
    found = loaded(indexed)
    assert found.tail.tolist() == [10**6, 10**6 + 5] and len(found) == N
    indexed.index.build()
    assert loaded(indexed).tail.size == 0


def test_removed_rows_are_gone(indexed, vectors):
    indexed.remove_rows(range(1, 101))
    found = loaded(indexed)
    ids = found.candidates(vectors[:100], n_probes=10_000, rows=N).ids
    assert len(found) == N - 100 and set(ids[0]) == {-1, *range(101, N + 1)}


def test_another_generation_is_read_and_the_old_copy_stays(indexed, vectors):
    before = loaded(indexed)
    old = before.candidates(vectors[:5], rows=50).ids
    more = indexed.add_embeddings(names(50), vectors[:50])
    assert indexed.index.build()
    after = loaded(indexed)
    assert after.index.generation == before.index.generation + 1 and len(after) == N + 50
    assert np.array_equal(before.candidates(vectors[:5], rows=50).ids, old)
    assert more[0] in after.candidates(vectors[:1], rows=50).ids


def test_where_sql_has_to_search_nothing_is_loaded(db, indexed, vectors, monkeypatch):
    lines = []
    for row_id in (10**6, 10**6 + 1):
        db.rows("INSERT INTO own VALUES (%s, 'x', %s)", (row_id, pack(vectors[0])))
    assert loaded(indexed, notify=lines.append, max_tail=1) is None and lines == []
    assert loaded(indexed, notify=lines.append, limit=2**10) is None
    assert lines == [
        "The index takes 0.2 MB in memory, and the limit is 0.0 MB: MySQL searches it, which takes "
        "longer."
    ]
    monkeypatch.setattr(loading, "refusal", lambda: "faiss is old")
    assert loaded(indexed, notify=lines.append) is None
    assert lines[1:] == ["MySQL searches the index, which takes longer, because faiss is old."]


def test_by_default_a_quarter_of_the_free_memory_is_taken(indexed, monkeypatch):
    free, lines = psutil.virtual_memory()._replace(available=4 * 2**10), []
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    assert loaded(indexed, notify=lines.append) is None
    assert "a quarter of the 0.0 MB that are free is to spare: MySQL" in lines[0]


def test_the_embeddings_are_as_exact_as_the_limit_allows(indexed):
    index = indexed._state.index.load()
    for precision in (None, "int8", "bfloat16", "float32"):
        limit = bytes_needed(index, N, precision)
        found = loaded(indexed, limit=limit, with_vectors=True)
        assert found.precision == precision and found.nbytes == limit
        assert loaded(indexed, limit=limit, with_vectors=False).precision is None


def test_a_collection_without_an_index(db):
    own = db.collection("own", dim=4)
    own.add_embeddings(["a"], [[1, 2, 3, 4]])
    assert loaded(own) is None


def test_codes_that_another_program_dropped(db, indexed):
    db.rows("DROP TABLE own_codes_1")
    assert loaded(indexed) is None
