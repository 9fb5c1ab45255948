"""Threads on one database: every answer is that of one thread alone."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lookalike import ConnectionFailed, InputError, Statement
from lookalike.database.connection import Connection
from lookalike.database.url import DatabaseURL

THREADS = 4


def vectors(n, dim=16, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def nearest(stored, query, k=5):
    cosines = stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query)
    return np.argsort(-cosines, kind="stable")[:k].tolist()


def test_searches_and_adds_of_threads_on_one_database(db):
    stored = vectors(500)
    still = db.collection("still", dim=16)
    still.add_embeddings([str(i) for i in range(len(stored))], stored)
    queries = vectors(60, seed=1)
    expected = [[str(i) for i in nearest(stored, query)] for query in queries]
    grows = db.collection("grows", dim=16)
    grows.add_embeddings(["first"], vectors(1, seed=2))
    added = {worker: vectors(120, seed=10 + worker) for worker in range(THREADS)}

    def work(worker):
        answers = []
        own = db.collection("grows", dim=16) if worker % 2 else grows
        for i, query in enumerate(queries):
            matches = still.search(query, k=5, exact=bool(i % 2), n_probes=None)
            answers.append([match.image_name for match in matches])
            part = added[worker][2 * i : 2 * i + 2]
            own.add_embeddings([f"{worker} {2 * i}", f"{worker} {2 * i + 1}"], part)
        return answers

    with ThreadPoolExecutor(THREADS) as pool:
        for answers in pool.map(work, range(THREADS), timeout=60):
            assert answers[1::2] == expected[1::2]  # exact
            same = sum(
                len(set(a) & set(b)) for a, b in zip(answers[::2], expected[::2], strict=True)
            )
            assert same >= 0.9 * 5 * len(answers[::2])  # by the index
    everything = np.concatenate([vectors(1, seed=2), *added.values()])
    names = ["first", *(f"{worker} {i}" for worker in range(THREADS) for i in range(120))]
    assert grows.count() == len(everything)
    for query in queries[:10]:
        matches = grows.search(query, exact=True, k=5)
        assert [m.image_name for m in matches] == [names[i] for i in nearest(everything, query)]
    assert grows.index.check().is_consistent


def test_a_transaction_is_nobody_elses(db):
    db.rows("CREATE TABLE t (n INT)")

    def other():
        db.rows("INSERT INTO t VALUES (2)")
        return db.rows("SELECT n FROM t")[1]

    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(ZeroDivisionError),
        db.connection.transaction(),
    ):
        db.rows("INSERT INTO t VALUES (1)")
        assert pool.submit(other).result(10) == [(2,)]
        raise ZeroDivisionError
    assert db.rows("SELECT n FROM t")[1] == [(2,)]


ROWS = Statement(
    "WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n FROM r"
)


def test_a_stream_keeps_a_connection_to_itself(db):
    stream = db.connection.stream(ROWS, batch=100)
    first = next(stream)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(db.rows, "SELECT 1").result(10)[1] == [(1,)]
    assert db.rows("SELECT 2")[1] == [(2,)]
    rest = [row for rows in stream for row in rows]
    assert [row[0] for row in [*first, *rest]] == list(range(1, 901))


def test_a_stream_in_a_transaction_refuses_other_statements_of_it(db):
    with db.connection.transaction():
        stream = db.connection.stream(ROWS, batch=100)
        next(stream)
        for ask in (
            lambda: db.rows("SELECT 1"),
            lambda: next(db.connection.stream(ROWS, batch=1)),
        ):
            with pytest.raises(InputError, match="still reading rows in this thread"):
                ask()
        assert sum(map(len, stream)) == 800
        assert db.rows("SELECT 1")[1] == [(1,)]


def test_a_stream_that_a_thread_has_left_is_closed_by_another(db):
    streams = [db.connection.stream(ROWS, batch=100)]
    thread = threading.Thread(target=lambda: next(streams[0]))
    thread.start()
    thread.join(10)
    streams.pop().close()
    assert db.rows("SELECT 1")[1] == [(1,)]


def test_a_database_can_be_closed_amid_a_stream(database_url):
    connection = Connection(DatabaseURL.parse(database_url))
    stream = connection.stream(ROWS, batch=100)
    next(stream)
    connection.close()
    stream.close()
    connection.close()
    with pytest.raises(ConnectionFailed, match="was closed: connect again"):
        connection.value(Statement("SELECT 1"))


def test_a_lock_by_name_is_one_threads(db):
    lock = Statement("SELECT GET_LOCK('a', 0)")
    unlock = Statement("SELECT RELEASE_LOCK('a')")

    def attempt():
        with db.connection.named_lock(lock, unlock) as is_mine:
            return is_mine

    with ThreadPoolExecutor(1) as pool:
        with db.connection.named_lock(lock, unlock) as is_mine:
            assert is_mine
            assert not pool.submit(attempt).result(10)
        assert pool.submit(attempt).result(10)
