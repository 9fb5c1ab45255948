"""Searches by an index that is held in memory, and what can go wrong with it."""

import os
import pickle
import threading
import time
import uuid

import numpy as np
import pytest

import lookalike
from lookalike import InputError
from lookalike.core.vectors import pack
from lookalike.index import loading
from lookalike.index.holding import HeldIndex
from lookalike.index.memory import bytes_needed
from tests.index.clusters import clustered, names
from tests.oracle import similarities
from tests.search.holder import Holder

N, DIM = 3000, 24
EXACT, CODES = "codes and float32 in memory", "codes in memory"
SLOW, OTHERS = pytest.mark.nightly, ("euclidean", "dot")
WIDE = {"n_probes": 10_000, "oversampling": 400}
"""Options that find what numpy finds."""


@pytest.fixture
def vectors():
    return clustered(N + 100, DIM)


@pytest.fixture
def own(db, vectors):
    own = db.collection("own", dim=DIM)
    own.add_embeddings(names(N), vectors[:N])
    return own


@pytest.fixture
def held(own):
    with hold(own) as held:
        yield held


def hold(own):
    """Hold the index, and load it again at once where that is needed."""
    held = own._state.held = HeldIndex(own._state.index, least_pause=0.05)
    assert held.wait(30)
    return held


def hold_with(own, precision):
    """Hold the index with so much memory that the embeddings have this precision."""
    index = own._state.index.load()
    held = own.hold_index(memory=bytes_needed(index, N, precision))
    assert held.wait(30) and held.status().precision == precision
    return held


def plan_of(collection, query):
    return collection.explain(query).plan


def nearest(vectors, query, k=10, metric="cosine"):
    """The ids, from 1, of the k nearest."""
    scores = similarities(vectors, query, metric)
    return (np.lexsort((np.arange(len(vectors)), -scores))[:k] + 1).tolist()


def found(collection, query, **options):
    return [match.id for match in collection.search(query, **WIDE, **options)]


@pytest.mark.parametrize("precision", [None, "int8", "bfloat16", "float32"])
@pytest.mark.parametrize("metric", ["cosine", *(pytest.param(m, marks=SLOW) for m in OTHERS)])
def test_what_numpy_finds_whatever_is_in_memory(db, vectors, metric, precision):
    own = db.collection("own", dim=DIM, metric=metric)
    own.add_embeddings(names(N), vectors[:N])
    with hold_with(own, precision):
        plan = f"codes and {precision} in memory" if precision else CODES
        right = 0
        for query in vectors[N:]:
            assert plan_of(own, query) == plan
            matches = own.search(query)
            scores = similarities(vectors[:N], query, metric)
            assert [match.similarity for match in matches] == pytest.approx(
                scores[[match.id - 1 for match in matches]].tolist(), rel=1e-9
            )
            assert [match.image_name for match in matches] == [
                names(N)[match.id - 1] for match in matches
            ]
            right += len(
                {match.id for match in matches} & set(nearest(vectors[:N], query, 10, metric))
            )
        assert right >= 0.98 * 10 * 100
        many = own.search_many(vectors[N : N + 20], **WIDE)
        for query, matches in zip(vectors[N : N + 20], many, strict=True):
            expected = nearest(vectors[:N], query, 10, metric)
            assert [match.id for match in matches] == found(own, query) == expected


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_very_short_and_very_long_embeddings(db, vectors, metric, scale, precision):
    vectors = (vectors * scale).astype(np.float32)
    own = db.collection("own", dim=DIM, metric=metric)
    own.add_embeddings(names(N), vectors[:N])
    with hold_with(own, precision):
        for query in vectors[N : N + 20]:
            assert found(own, query) == nearest(vectors[:N], query, 10, metric)


def test_a_search_is_one_statement_also_while_others_write(database_url, own, vectors):
    said = []
    with lookalike.connect(database_url, tracer=lambda s: said.append(s.sql)) as db:
        reader = db.collection("own")
        with reader.hold_index() as held:
            assert held.wait(30)
            reader.search(vectors[0])
            before = list(said)
            for is_written in (False, True, True, True, False, False):
                if is_written:
                    own.upsert(vectors[N : N + 5])
                said.clear()
                reader.search(vectors[0])
                # The first that sees a change asks what has changed; the next ones ask at once.
                first = is_written and not any("_index_log" in sql for sql in before)
                assert len(said) == 1 + first
                before = list(said)


def test_equal_embeddings_go_by_id(own, held, vectors):
    ids = own.add_embeddings(names(3), vectors[[5, 5, 5]])
    assert found(own, vectors[5], k=4) == [6, *ids]
    assert own.search(ids[0], k=3)[0].id == 6


def test_paths_levels_and_pages_are_as_without(db, photos):
    album = db.collection("album")
    album.add(photos)
    before = [album.search(row_id, k=5, offset=2) for row_id in (1, 2)]
    held = HeldIndex(album._state.index)
    assert not held.wait(30)  # too small for an index
    assert [album.search(row_id, k=5, offset=2) for row_id in (1, 2)] == before
    held.close()


def test_changed_rows_are_found_and_applied(own, held, vectors):
    ids = own.upsert(vectors[N:], names=["new"] * 100)
    for place in range(N, N + 100, 9):
        assert own.search(vectors[place])[0].id == ids[place - N]
        assert plan_of(own, vectors[place]) == EXACT
    own.upsert(vectors[:1], ids=[ids[0]])
    assert found(own, vectors[0], k=2) == [1, ids[0]]
    own.remove_rows([1, ids[0]])
    assert 1 not in found(own, vectors[0]) and ids[0] not in found(own, vectors[0])
    assert len(held.memory()) == N + 98
    assert plan_of(own, vectors[0]) == EXACT


def varied(vectors, n, seed):
    """Vectors near some of those that are stored."""
    rng = np.random.default_rng(seed)
    return vectors[rng.integers(0, N, n)] + rng.normal(0, 0.3, (n, DIM)).astype(np.float32)


def test_more_changes_than_a_search_applies_are_applied_in_the_background(own, held, vectors):
    more = varied(vectors, 1500, 9)
    ids = own.upsert(more)
    assert own.search(more[700])[0].id == ids[700]
    wait_until(lambda: plan_of(own, more[701]) == EXACT)
    assert own.search(more[701])[0].id == ids[701] and len(held.memory()) == N + 1500


@pytest.mark.slow
def test_more_changes_than_there_is_room_for(own, vectors):
    with hold(own):
        for seed in range(5):
            more = varied(vectors, 2600, seed)
            ids = own.upsert(more)
            assert own.search(more[7])[0].id == ids[7]
            wait_until(lambda query=more[7]: plan_of(own, query) == EXACT)
            assert own.search(more[7])[0].id == ids[7]


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_rows_of_other_programs(db, own, held, vectors):
    """Inserted ones are in the tail; deleted and changed ones are seen where they are read."""
    db.rows("INSERT INTO own VALUES (%s, 'theirs', %s)", (10**6, pack(vectors[N])))
    match = own.search(vectors[N])[0]
    assert (match.id, match.image_name) == (10**6, "theirs")
    db.rows("DELETE FROM own WHERE id = 1")
    assert 1 not in found(own, vectors[0])
    db.rows("UPDATE own SET embedding = %s WHERE id = 3", (pack(-vectors[2]),))
    assert 3 not in found(own, vectors[2])
    assert all(m.similarity == pytest.approx(s, abs=1e-6) for m, s in stored(db, own, vectors[2]))
    many = own.search_many([vectors[0], vectors[2]])
    assert 1 not in [m.id for m in many[0]] and 3 not in [m.id for m in many[1]]


def stored(db, own, query):
    for match in own.search(query):
        ((embedding,),) = db.rows("SELECT embedding FROM own WHERE id = %s", (match.id,))[1]
        yield match, similarities(embedding[np.newaxis], query)[0]


def test_rebuilt_truncated_dropped_and_made_again(db, own, held, vectors):
    assert own.index.build()
    assert found(own, vectors[7]) == nearest(vectors[:N], vectors[7])
    wait_until(lambda: plan_of(own, vectors[7]) == EXACT)
    assert held.memory().index.generation == 2
    db.rows("DELETE FROM own")
    assert own.search(vectors[7]) == []
    db.delete_collection("own")
    with pytest.raises(lookalike.DatabaseError, match="own"):
        own.search(vectors[7])
    again = db.collection("own", dim=DIM)
    again.add_embeddings(names(N), vectors[N - 1 :: -1])
    turned = nearest(vectors[N - 1 :: -1], vectors[7])
    assert found(again, vectors[7]) == turned
    assert found(own, vectors[7]) == turned
    wait_until(lambda: plan_of(own, vectors[7]) == EXACT)
    assert found(own, vectors[7]) == turned


def test_a_renamed_collection(db, own, held, vectors):
    db.rename_collection("own", "other")
    with pytest.raises(lookalike.DatabaseError, match="own"):
        own.search(vectors[0])
    other = db.collection("other")
    with other.hold_index() as theirs:
        assert theirs.wait(30)
        ids = other.upsert(vectors[N : N + 1])
        assert other.search(vectors[N])[0].id == ids[0] and plan_of(other, vectors[N]) == EXACT


@pytest.mark.slow
def test_two_processes_hold_one_collection(database_url, own, held, vectors):
    others = [Holder(database_url, "own", with_vectors) for with_vectors in (True, False)]
    try:
        for place in range(N, N + 20):
            ids = own.upsert(vectors[place : place + 1])
            expected = found(own, vectors[place])
            assert expected[0] == ids[0]
            for other, plan in zip(others, (EXACT, CODES), strict=True):
                assert other.search(vectors[place], **WIDE) == (expected, plan)
    finally:
        for other in others:
            other.close()


def test_threads_that_search_while_others_write(own, held, vectors):
    """Each search sees what was committed before it began."""
    committed, failures, stop = [], [], threading.Event()

    def write():
        try:
            for place in range(N, N + 60):
                committed.append((own.upsert(vectors[place : place + 1])[0], place))
        finally:
            stop.set()

    def read():
        rng = np.random.default_rng()
        while not stop.is_set():
            known = list(committed)
            if not known:
                continue
            row_id, place = known[rng.integers(len(known))]
            if own.search(vectors[place], k=1)[0].id != row_id:
                failures.append(row_id)

    threads = [threading.Thread(target=each) for each in (write, read, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(committed) == 60
    assert plan_of(own, vectors[0]) == EXACT


def test_a_transaction_sees_its_own_rows(db, own, held, vectors):
    with db.session():
        db.rows("START TRANSACTION")
        db.rows("INSERT INTO own VALUES (%s, 'mine', %s)", (10**6, pack(vectors[N])))
        db.rows("DELETE FROM own WHERE id = 5")
        assert own.search(vectors[N])[0].image_name == "mine"
        assert 5 not in found(own, vectors[4])
        db.rows("ROLLBACK")
    assert found(own, vectors[4])[0] == 5


def test_a_fork_searches_by_itself(database_url, vectors, own):
    with lookalike.connect(database_url) as db:
        collection = db.collection("own")
        with collection.hold_index() as held:
            assert held.wait(30)
            read_end, write_end = os.pipe()
            child = os.fork()
            if child == 0:
                os.close(read_end)
                told = found(collection, vectors[9]), plan_of(collection, vectors[9])
                with os.fdopen(write_end, "wb") as pipe:
                    pickle.dump(told, pipe)
                os._exit(0)
            os.close(write_end)
            with os.fdopen(read_end, "rb") as pipe:
                ids, plan = pickle.load(pipe)
            assert os.waitpid(child, 0)[1] == 0
            assert ids == nearest(vectors[:N], vectors[9]) and "memory" not in plan
            assert plan_of(collection, vectors[9]) == EXACT


def test_too_little_memory(own, vectors):
    lines = []
    own._state.notify = lines.append
    with own.hold_index(memory="1K") as held:
        assert not held.wait(30) and held.state == "refused"
        assert lines == [held.status().refusal]
        assert lines[0].startswith(
            "The index takes 0.1 MB in memory, and the limit is 0.0 MB: MySQL"
        )
        assert found(own, vectors[0]) == nearest(vectors[:N], vectors[0])


@pytest.mark.parametrize("memory", ["", "much", "-1G", 0, -5, 1.5, True])
def test_no_size(own, memory):
    with pytest.raises(
        InputError, match=r"^memory is .*; give a size such as 512M or 2G, or bytes$"
    ):
        own.hold_index(memory=memory)


def test_a_faiss_that_cannot_hold_the_codes(own, vectors, monkeypatch):
    monkeypatch.setattr(loading, "refusal", lambda: "faiss is old")
    with own.hold_index() as held:
        assert not held.wait(30) and "because faiss is old" in held.status().refusal
        assert found(own, vectors[0]) == nearest(vectors[:N], vectors[0])


@pytest.fixture
def reader(db, database_url):
    """A connection of a user who may only read."""
    name = f"u{uuid.uuid4().hex[:12]}"
    db.rows(f"CREATE USER {name}@localhost")
    db.rows(f"GRANT SELECT ON {db.connection.url.database}.* TO {name}@localhost")
    with lookalike.connect(database_url.replace("//root@", f"//{name}@")) as reader:
        yield reader
    db.rows(f"DROP USER {name}@localhost")


def test_a_read_only_account_reads_the_log(own, reader, vectors):
    collection = reader.collection("own")
    with collection.hold_index() as held:
        assert held.wait(30)
        ids = own.upsert(vectors[N : N + 1])
        assert found(collection, vectors[N])[0] == ids[0]
        assert plan_of(collection, vectors[N]) == EXACT


def test_a_read_only_account_without_a_log_searches_by_sql(db, own, reader, vectors):
    db.rows("DELETE FROM lookalike_index_versions")
    with reader.collection("own").hold_index() as held:
        assert not held.wait(30) and "may not write" in held.status().refusal
        assert found(reader.collection("own"), vectors[0]) == nearest(vectors[:N], vectors[0])
    with own.hold_index() as held:  # who may write begins a log
        assert held.wait(30)


def test_closing_and_holding_again(own, held, vectors):
    with own.hold_index() as second:
        assert held.state == "closed" and held.memory() is None
        assert second.wait(30) and plan_of(own, vectors[0]) == EXACT
    assert plan_of(own, vectors[0]) != EXACT
    second.close()


def test_a_copy_that_lags_behind_a_pruned_log(db, own, held, vectors):
    ids = own.upsert(vectors[N:])
    db.rows("DELETE FROM lookalike_index_log")
    assert own.search(vectors[N])[0].id == ids[0]
    wait_until(lambda: plan_of(own, vectors[N]) == EXACT)
    assert own.search(vectors[N])[0].id == ids[0]
