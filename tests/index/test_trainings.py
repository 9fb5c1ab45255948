"""Trainings: of a table that grows, by several at once, and killed."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import lookalike
from tests.index.clusters import DIM, SMALL, N, clustered, index_tables, names, plan, url_of
from tests.one_connection import one_connection

pytestmark = pytest.mark.nightly


def test_growth_trains_again_and_leaves_one_generation(db):
    own = db.collection("own", dim=DIM)
    for i in range(4):
        own.add_embeddings(names(300), clustered(300, seed=i))
    assert index_tables(db) == ["own_cells_2", "own_codes_2"]
    trained = db.rows("SELECT generation, building, trained_rows FROM lookalike_indexes")[1]
    assert trained == [(2, None, 1200)]
    assert own.index.check().is_consistent


def test_another_connection_follows_a_new_generation(db, indexed, vectors):
    with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
        reader = other.collection("own")
        before = reader.search(vectors[9], k=5)
        assert indexed.index.build()
        assert reader.search(vectors[9], k=5) == before
        reader.add_embeddings(["new"], vectors[:1])
    assert indexed.index.check().is_consistent and index_tables(db) == [
        "own_cells_2",
        "own_codes_2",
    ]


def test_two_trainings_at_once_are_one(db, indexed):
    with one_connection(url_of(db)) as other:
        other.rows("SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', 'own'), 256), 64), 0)")
        assert indexed.index.build() is False
    assert indexed.index.build() is True


def test_adding_deleting_and_searching_go_on_while_it_trains(db, indexed, vectors):
    errors, stop = [], threading.Event()

    def work(action):
        with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
            collection = other.collection("own")
            i = 0
            while not stop.is_set():
                i += 1
                try:
                    action(collection, i)
                except lookalike.LookalikeError as error:
                    errors.append(error)
                    return

    def add(collection, i):
        ids = collection.add_embeddings(names(20), clustered(20, seed=i))
        assert collection.search(ids[0], k=1, exclude_self=False)[0].similarity > 0.999

    def delete(collection, i):
        collection.remove_rows([i, N - i])

    def search(collection, i):
        assert len(collection.search(vectors[i % N], k=10)) == 10

    threads = [threading.Thread(target=work, args=(action,)) for action in (add, delete, search)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        assert indexed.index.build()
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    report = indexed.index.check()
    assert report.is_consistent and report.codes == report.rows


KILLED = """
import sys, lookalike
from tests.index.clusters import SMALL
with lookalike.connect(sys.argv[1], index_sizes=SMALL) as db:
    own = db.collection("own")
    print("ready", flush=True)
    while True:
        own.index.build()
"""


def test_trainings_that_are_killed_leave_the_index_as_it_was(db, indexed, vectors):
    for delay in (0.02, 0.1, 0.2, 0.3, 0.45):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, url_of(db)], stdout=subprocess.PIPE, env=os.environ
        )
        with process:
            process.stdout.readline()
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
            own = other.collection("own")
            found = own.search(vectors[3], k=10, n_probes=10_000, oversampling=100)
            assert found == own.search(vectors[3], k=10, exact=True)
            own.add_embeddings(["more"], clustered(1, seed=4))
            assert own.index.check().is_consistent
    deadline = time.monotonic() + 30
    while not indexed.index.build():  # until the server has noticed that the trainer is gone
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert len(index_tables(db)) == 2 and indexed.index.check().is_consistent


ADDING = """
import sys, numpy as np, lookalike
from tests.index.clusters import SMALL
with lookalike.connect(sys.argv[1], index_sizes=SMALL) as db:
    own = db.collection("own", dim=64)
    print("ready", flush=True)
    while True:
        ids = own.add_embeddings(["x"] * 50, np.random.standard_normal((50, 64)))
        own.remove_rows(ids[::3])
"""


def killed_while_adding(url, delay, kill):
    process = subprocess.Popen([sys.executable, "-c", ADDING, url], stdout=subprocess.PIPE)
    with process:
        process.stdout.readline()
        time.sleep(delay)
        kill()
        process.send_signal(signal.SIGKILL)


def test_clients_that_are_killed_leave_index_and_table_equal(db, indexed):
    for delay in (0.01, 0.05, 0.1, 0.2, 0.4):
        killed_while_adding(url_of(db), delay, lambda: None)
        with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
            report = other.collection("own").index.check()
            assert report.is_consistent and report.rows >= N


def test_a_server_that_is_killed_leaves_index_and_table_equal(
    installed_mysqld, tmp_path, monkeypatch, vectors
):
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
    private = lookalike.PrivateServer(tmp_path / "home")
    status = private.start()
    try:
        with lookalike.connect(status.url, index_sizes=SMALL) as db:
            db.collection("own", dim=DIM).add_embeddings(names(N), vectors)
        for delay in (0.05, 0.3):
            killed_while_adding(
                status.url, delay, lambda pid=status.pid: os.kill(pid, signal.SIGKILL)
            )
            status = private.start()
            with lookalike.connect(status.url, index_sizes=SMALL) as db:
                report = db.collection("own").index.check()
                assert report.is_consistent and report.rows >= N
    finally:
        private.stop()


def test_a_longest_name_has_room_for_its_side_tables(db):
    name = "n" * 48
    own = db.collection(name, dim=DIM)
    own.add_embeddings(names(300), clustered(300))
    assert plan(own, 1) == "cells and codes" and own.index.check().is_consistent
