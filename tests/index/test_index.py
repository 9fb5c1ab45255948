"""The index: found through it what numpy finds, and kept equal to the table whatever happens."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.core.vectors import pack
from lookalike.dialects import Table
from lookalike.index import training
from lookalike.index.rows import insert_rows
from tests.oracle import similarities

DIM = 64
N = 3000


def clustered(n, dim=DIM, seed=0, spread=0.5):
    """Clusters around a common mean, as embeddings have."""
    rng = np.random.default_rng(seed)
    subjects = rng.standard_normal((40, dim))
    rows = subjects[rng.integers(0, 40, n)] + spread * rng.standard_normal((n, dim))
    return (rows + 2 * rng.standard_normal(dim)).astype(np.float32)


def recall(collection, vectors, queries, metric="cosine", k=10, **options):
    hits = 0
    for query in queries:
        scores = similarities(vectors, query, metric)
        kth = np.sort(scores)[-k]
        found = [match.id - 1 for match in collection.search(query, k=k, **options)]
        hits += np.sum(scores[found] >= kth - 1e-3 * abs(kth))
    return hits / (k * len(queries))


def names(n):
    return [f"v{i}" for i in range(n)]


@pytest.fixture
def small(monkeypatch):
    """Training from 50 rows on, and cells from 200 on."""
    monkeypatch.setattr(training, "FEWEST_ROWS", 50)
    monkeypatch.setattr(training, "ROWS_FOR_CELLS", 200)


@pytest.fixture
def vectors():
    return clustered(N)


@pytest.fixture
def indexed(db, small, vectors):
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings(names(N), vectors)
    return collection


def plan(collection, query, **options):
    return collection.explain(query, **options).plan


def index_tables(db):
    found = db.rows("SHOW TABLES")[1]
    return sorted(name for (name,) in found if "_codes_" in name or "_cells_" in name)


# What is found.


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("n", [150, N])
def test_defaults_find_the_true_neighbours(db, small, metric, n):
    vectors, queries = clustered(n + 300)[:n], clustered(n + 300)[n:]
    rng = np.random.default_rng(1)
    vectors *= rng.uniform(0.5, 2, (n, 1)).astype(np.float32)  # no two of one length
    collection = db.collection("own", dim=DIM, metric=metric)
    collection.add_embeddings(names(n), vectors)
    assert plan(collection, queries[0]) == ("codes" if n < 200 else "cells and codes")
    assert recall(collection, vectors, queries, metric) >= 0.99
    assert recall(collection, vectors, queries, metric, k=1) >= 0.99


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_exact_search_agrees_with_numpy(engine, metric):
    vectors = clustered(300, dim=9)
    own = engine.collection("own", dim=9, metric=metric)
    own.add_embeddings(names(300), vectors)
    scores = similarities(vectors, vectors[7], metric)
    found = own.search(vectors[7], k=20)
    assert [match.id - 1 for match in found] == np.argsort(-scores, kind="stable")[:20].tolist()
    assert [match.similarity for match in found] == pytest.approx(
        np.sort(scores)[::-1][:20].tolist(), abs=1e-5
    )
    least = float(np.sort(scores)[-5]) - 1e-6
    assert len(own.search(vectors[7], k=20, min_similarity=least)) == 5


def test_all_cells_and_all_rows_are_an_exact_search(indexed, vectors):
    for query in clustered(20, seed=3):
        exact = indexed.search(query, k=50, exact=True)
        probed = indexed.search(query, k=50, n_probes=10_000, oversampling=1000)
        assert [m.id for m in probed] == [m.id for m in exact]
        assert [m.similarity for m in probed] == [m.similarity for m in exact]


@pytest.mark.parametrize("k", [200, N, N + 1, 10_000])
def test_k_beyond_a_cell_and_beyond_the_collection(indexed, vectors, k):
    found = indexed.search(vectors[0], k=k)
    assert len(found) == min(k, N) and len({match.id for match in found}) == len(found)


def test_a_small_collection_has_no_index(db):
    own = db.collection("own", dim=DIM)
    own.add_embeddings(names(199), clustered(199))
    assert plan(own, 1) == "exact" and index_tables(db) == []
    assert own.index.build() is False
    assert own.index.check().is_consistent


def test_an_odd_dim_is_padded(db, small):
    vectors = clustered(400, dim=13)
    own = db.collection("own", dim=13)
    own.add_embeddings(names(400), vectors)
    assert plan(own, 1) == "cells and codes" and own.index.check().is_consistent
    assert recall(own, vectors, clustered(30, dim=13, seed=2), n_probes=1000) >= 0.99


@pytest.mark.parametrize("dim", [2048, 5000])
def test_long_embeddings_are_indexed(db, small, dim):
    vectors = clustered(100, dim=dim)
    own = db.collection("own", dim=dim)
    own.add_embeddings(names(100), vectors)
    assert plan(own, 1) == "codes" and own.index.check().is_consistent
    assert recall(own, vectors, vectors[:5] + 0.1) >= 0.99


def test_the_explanation_tells_what_was_done(indexed, vectors):
    found = indexed.explain(vectors[0], k=5)
    assert list(found.matches) == indexed.search(vectors[0], k=5)
    assert [step.name for step in found.steps][-1] == "rank exactly"
    assert "BIT_COUNT" in next(step.sql for step in found.steps if step.sql)
    assert all(step.milliseconds >= 0 for step in found.steps)
    assert "own_codes_1" not in found.analysis and "actual time" in found.analysis


def test_the_shown_statement_finds_the_neighbours_in_plain_sql(db, indexed, vectors):
    db.install_functions()
    statement = indexed.search_sql(vectors[5], k=3)
    db.rows("SET @query = CAST(%s AS BINARY)", (pack(vectors[5]),))
    _, rows = db.rows(
        f"SELECT id FROM ({statement}) AS found ORDER BY DISTANCE(embedding, @query, 'COSINE') "
        "LIMIT 3".replace("%", "%%")
    )
    assert [row[0] for row in rows] == [match.id for match in indexed.search(vectors[5], k=3)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_probes": 0}, "n_probes is 0"),
        ({"oversampling": 0.5}, "oversampling is 0.5"),
        ({"k": 0}, "k is 0"),
        ({"min_similarity": -2}, "min_similarity is -2"),
    ],
)
def test_knobs_out_of_range_are_refused(indexed, options, message):
    with pytest.raises(InputError, match=message):
        indexed.search(1, **options)


def test_a_metric_is_remembered(db, small):
    db.collection("own", dim=2, metric="dot").add_embeddings(["a", "b"], [[1, 1], [5, 5]])
    again = db.collection("own")
    assert again.metric == "dot" and again.search(1, k=1, exclude_self=False)[0].image_name == "b"
    with pytest.raises(InputError, match="'own' ranks by dot, not by cosine"):
        db.collection("own", metric="cosine")
    with pytest.raises(InputError, match="unknown metric 'l3'; choose cosine, euclidean, dot"):
        db.collection("own", metric="l3")


# Kept true.


def test_codes_come_and_go_with_their_rows(db, indexed, vectors):
    more = clustered(100, seed=9)
    ids = indexed.add_embeddings(names(100), more)
    assert indexed.search(more[3], k=1)[0].id == ids[3]
    indexed.remove_rows([*ids[:50], 1, 2])
    report = indexed.index.check()
    assert report.is_consistent and report.codes == report.rows == N + 100 - 52
    assert indexed.search(more[3], k=1)[0].id != ids[3]


def test_a_changed_image_changes_its_code(db, small, tmp_path, photos):
    class Grey:
        id, dim, has_text = "grey", 3, False

        def embed_images(self, images):
            return np.array([np.asarray(i).mean(axis=(0, 1)) + 1 for i in images], np.float32)

    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(300):
        Image.new("RGB", (2, 2), tuple(rng.integers(0, 256, 3))).save(tmp_path / f"{i}.png")
    colours = db.collection("colours", model=Grey())
    colours.add(tmp_path)
    assert plan(colours, 1) == "cells and codes"
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "7.png")
    assert colours.add(tmp_path).updated == 1
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert colours.search(red, k=1)[0].image_name == "7.png"
    assert colours.index.check().is_consistent


def test_a_rolled_back_change_leaves_no_code(db, indexed, monkeypatch):
    def fail(self, table, ids):
        return lookalike.Statement("SELECT 1 FROM no_such_table")

    monkeypatch.setattr(type(db.dialect), "delete_rows", fail)
    with pytest.raises(DatabaseError):
        indexed.remove_rows([1, 2, 3])
    assert indexed.index.check().is_consistent and indexed.index.check().codes == N


def test_rows_of_other_programs_are_found(db, indexed, vectors):
    new = clustered(1, seed=77)[0] * 3
    db.rows("INSERT INTO own (image_name, embedding) VALUES ('theirs', %s)", (new,))
    assert indexed.search(new, k=1)[0].image_name == "theirs"
    report = indexed.index.check()
    assert report.is_consistent and (report.rows, report.codes) == (N + 1, N)
    indexed.add_embeddings(["ours"], clustered(1, seed=78))  # takes care of theirs, too
    assert indexed.index.check().codes == N + 2
    assert indexed.search(new, k=1)[0].image_name == "theirs"


def test_rows_that_other_programs_delete_are_not_found(db, indexed, vectors):
    db.rows("DELETE FROM own WHERE id <= 2900")
    found = indexed.search(vectors[0], k=100)
    assert sorted(match.id for match in found) == list(range(2901, N + 1))
    assert len(indexed.index.check().stale) == 2900
    indexed.index.build()
    assert indexed.index.check().is_consistent


def test_an_embedding_that_another_program_changes_is_told(db, indexed):
    db.rows("UPDATE own SET embedding = %s WHERE id = 5", (clustered(1, seed=5)[0] * -1,))
    assert indexed.index.check().stale == (5,)


@pytest.mark.parametrize("harm", ["DROP TABLE {codes}", "TRUNCATE {codes}", "DROP TABLE {cells}"])
def test_an_index_spoilt_by_hand_gives_a_slower_right_answer(db, indexed, vectors, harm):
    cells, codes = index_tables(db)
    db.rows(harm.format(cells=cells, codes=codes))
    with lookalike.connect(url_of(db)) as other:
        for collection in (indexed, other.collection("own")):
            exact = collection.search(vectors[4], k=5, exact=True)
            assert collection.search(vectors[4], k=5) == exact
            assert plan(collection, vectors[4]) in ("exact", "cells and codes")
        fresh = other.collection("own")
        fresh.add_embeddings(["one more"], clustered(1, seed=3))
        assert fresh.index.check().is_consistent and fresh.index.check().codes == N + 1


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE lookalike_indexes SET seed = seed + 1",
        "UPDATE own_cells_1 SET centroid = REVERSE(centroid)",
        "UPDATE own_cells_1 SET centroid = 'x' WHERE cell = 1",
        "DELETE FROM own_cells_1",
    ],
)
def test_parameters_that_do_not_match_are_refused(db, indexed, vectors, harm):
    db.rows(harm)
    with lookalike.connect(url_of(db)) as other:
        with pytest.raises(DatabaseError, match="does not match its fingerprint.*--rebuild"):
            other.collection("own").search(vectors[0])
        assert other.collection("own").search(vectors[0], k=1, exact=True)[0].id == 1
        assert other.collection("own").index.build()
        assert other.collection("own").search(vectors[0], k=1)[0].id == 1


def test_a_dropped_collection_leaves_no_index_to_the_next(db, indexed):
    db.rows("DROP TABLE own_files, own")
    again = db.collection("own", dim=DIM)
    again.add_embeddings(["a"], clustered(1))
    assert [match.image_name for match in again.search(1, exclude_self=False)] == ["a"]
    assert again.index.check().is_consistent


def test_searching_a_collection_that_is_deleted_is_an_error(db, indexed, vectors):
    db.rows("DROP TABLE own_files, own")
    with pytest.raises(DatabaseError, match="own.*doesn't exist"):
        indexed.search(vectors[0])


# Training.


def url_of(db):
    url = db.connection.url
    return f"mysql://root@localhost/{url.database}?unix_socket={url.options['unix_socket']}"


def test_growth_trains_again_and_leaves_one_generation(db, small):
    own = db.collection("own", dim=DIM)
    for i in range(4):
        own.add_embeddings(names(300), clustered(300, seed=i))
    assert index_tables(db) == ["own_cells_2", "own_codes_2"]
    trained = db.rows("SELECT generation, building, trained_rows FROM lookalike_indexes")[1]
    assert trained == [(2, None, 1200)]
    assert own.index.check().is_consistent


def test_another_connection_follows_a_new_generation(db, indexed, vectors):
    with lookalike.connect(url_of(db)) as other:
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
    with lookalike.connect(url_of(db)) as other:
        other.rows("SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', 'own'), 256), 64), 0)")
        assert indexed.index.build() is False
    assert indexed.index.build() is True


def test_adding_deleting_and_searching_go_on_while_it_trains(db, indexed, vectors):
    errors, stop = [], threading.Event()

    def work(action):
        with lookalike.connect(url_of(db)) as other:
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
from lookalike.index import training
training.FEWEST_ROWS, training.ROWS_FOR_CELLS = 50, 200
with lookalike.connect(sys.argv[1]) as db:
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
        with lookalike.connect(url_of(db)) as other:
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
from lookalike.index import training
training.FEWEST_ROWS, training.ROWS_FOR_CELLS = 50, 200
with lookalike.connect(sys.argv[1]) as db:
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
        with lookalike.connect(url_of(db)) as other:
            report = other.collection("own").index.check()
            assert report.is_consistent and report.rows >= N


def test_a_server_that_is_killed_leaves_index_and_table_equal(
    installed_mysqld, tmp_path, monkeypatch, small, vectors
):
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
    private = lookalike.PrivateServer(tmp_path / "home")
    status = private.start()
    try:
        with lookalike.connect(status.url) as db:
            db.collection("own", dim=DIM).add_embeddings(names(N), vectors)
        for delay in (0.05, 0.3):
            killed_while_adding(
                status.url, delay, lambda pid=status.pid: os.kill(pid, signal.SIGKILL)
            )
            status = private.start()
            with lookalike.connect(status.url) as db:
                report = db.collection("own").index.check()
                assert report.is_consistent and report.rows >= N
    finally:
        private.stop()


def test_a_longest_name_has_room_for_its_side_tables(db, small):
    name = "n" * 48
    own = db.collection(name, dim=DIM)
    own.add_embeddings(names(300), clustered(300))
    assert plan(own, 1) == "cells and codes" and own.index.check().is_consistent


# Random histories.


class Histories(RuleBasedStateMachine):
    """Inserts, deletes, foreign changes and rebuilds in any order, compared with numpy."""

    url: str

    @initialize()
    def open(self):
        self.db = lookalike.connect(self.url)
        for table in ("own_files", "own"):
            self.db.rows(f"DROP TABLE IF EXISTS {table}")
        self.own = self.db.collection("own", dim=8)
        self.rows = {}
        self.insert(60, 0)

    @rule(n=st.integers(1, 150), seed=st.integers(0, 10**6))
    def insert(self, n, seed):
        vectors = clustered(n, dim=8, seed=seed)
        self.rows |= dict(zip(self.own.add_embeddings(names(n), vectors), vectors, strict=True))

    @rule(seed=st.integers(0, 10**6))
    def insert_by_another_program(self, seed):
        vector = clustered(1, dim=8, seed=seed)[0]
        self.db.rows("INSERT INTO own (image_name, embedding) VALUES ('x', %s)", (vector,))
        self.rows[self.db.rows("SELECT LAST_INSERT_ID()")[1][0][0]] = vector

    @rule(share=st.floats(0, 1), seed=st.integers(0, 10**6))
    def delete(self, share, seed):
        rng = np.random.default_rng(seed)
        gone = [row_id for row_id in self.rows if rng.random() < share]
        assert self.own.remove_rows(gone) == len(gone)
        for row_id in gone:
            del self.rows[row_id]

    @rule(seed=st.integers(0, 10**6))
    def update(self, seed):
        if not self.rows:
            return
        row_id = sorted(self.rows)[seed % len(self.rows)]
        vector = clustered(1, dim=8, seed=seed)
        index = self.own._state.index
        with self.db.connection.transaction():  # as Ingest does for a file that has changed
            index.remove([row_id])
            change = self.db.dialect.update_embedding(Table("own"), row_id, pack(vector[0]))
            self.db.connection.execute(change)
            index.insert([row_id], vector)
        self.rows[row_id] = vector[0]

    @rule(seed=st.integers(0, 10**6))
    def crash_while_inserting(self, seed):
        with contextlib.suppress(KeyboardInterrupt), self.db.connection.transaction():
            insert_rows(self.own._state.index, names(5), clustered(5, dim=8, seed=seed))
            raise KeyboardInterrupt
        self.reopen()

    @rule()
    def rebuild(self):
        self.own.index.build()

    @rule()
    def reopen(self):
        self.db.close()
        self.db = lookalike.connect(self.url)
        self.own = self.db.collection("own")

    @rule(seed=st.integers(0, 10**6), k=st.integers(1, 40))
    def search(self, seed, k):
        query = clustered(1, dim=8, seed=seed)[0]
        ids = np.array(sorted(self.rows), int)
        vectors = np.array([self.rows[i] for i in ids]).reshape(-1, 8)
        scores = similarities(vectors, query, "cosine")
        expected = ids[np.lexsort((ids, -scores))[:k]].tolist()
        found = self.own.search(query, k=k, n_probes=10_000, oversampling=1000)
        assert [match.id for match in found] == expected
        assert len(self.own.search(query, k=k)) == min(k, len(ids))

    @invariant()
    def index_and_table_are_equal(self):
        if hasattr(self, "own"):
            assert self.own.index.check().is_consistent

    def teardown(self):
        if hasattr(self, "db"):
            self.db.close()


def test_random_histories(database_url, small):
    Histories.url = database_url
    case = Histories.TestCase
    case.settings = settings(
        max_examples=15,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    case("runTest").runTest()
