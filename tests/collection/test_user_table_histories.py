"""Tables of the user's own while several programs write, against numpy."""

import random
import threading
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lookalike
from lookalike import DatabaseError, IndexSizes, LookalikeError
from tests.collection.user_tables import DIM, EVERYTHING, expected, found, insert, vectors_of

SIZES = IndexSizes(fewest_rows=50, rows_for_cells=100)


class Writer(threading.Thread):
    """Writes random transactions to rows of its own, and searches for what it has committed."""

    def __init__(self, url, number, seconds):
        super().__init__()
        self.url, self.number, self.until = url, number, time.monotonic() + seconds
        self.rows, self.problems = {}, []
        self.commits = 0

    def run(self):
        try:
            with lookalike.connect(self.url, index_sizes=SIZES) as db:
                self.write(db)
        except (LookalikeError, AssertionError) as error:
            self.problems.append(repr(error))

    def write(self, db):
        random_ = random.Random(self.number)
        goods = db.collection("goods")
        while time.monotonic() < self.until:
            rows = dict(self.rows)
            with db.session():
                db.rows("START TRANSACTION")
                for _ in range(random_.randint(1, 8)):
                    self.change(db, rows, random_)
                is_kept = random_.random() < 0.7
                db.rows("COMMIT" if is_kept else "ROLLBACK")
            if is_kept:
                self.rows, self.commits = rows, self.commits + 1
            if self.rows:
                self.look(goods, random_)

    def change(self, db, rows, random_):
        key = self.number + 10 * random_.randint(0, 60)
        vector = vectors_of(random_.randint(0, 10**6), 1)[0]
        if random_.random() < 0.3:
            db.rows("DELETE FROM goods WHERE id = %s", (key,))
            rows.pop(key, None)
            return
        if key in rows and random_.random() < 0.6:
            db.rows("UPDATE goods SET v = %s WHERE id = %s", (vector, key))
        else:
            db.rows("REPLACE INTO goods VALUES (%s, %s)", (key, vector))
        rows[key] = vector

    def look(self, goods, random_):
        """One's own last commit is seen, and ranked right among one's own rows."""
        query = random_.choice(list(self.rows.values()))
        matches = [m.id for m in goods.search(query, k=1000, **EVERYTHING)]
        mine = [key for key in matches if key % 10 == self.number]
        if mine != expected(self.rows, query, k=1000):
            self.problems.append(f"{mine[:9]} is not {expected(self.rows, query)[:9]}")


def build(url):
    with lookalike.connect(url, index_sizes=SIZES) as db:
        db.collection("goods").index.build()  # False where a refresh is training


def test_writers_see_what_they_have_committed_while_others_refresh(db, database_url):
    db.rows(f"CREATE TABLE goods (id BIGINT UNSIGNED PRIMARY KEY, v VECTOR({DIM}))")
    insert(db, "goods", [(10 * key + 9, v) for key, v in enumerate(vectors_of(0, 200))])
    with lookalike.connect(database_url, index_sizes=SIZES) as sized:
        goods = sized.table("goods")
        assert goods.index.status().indexed == 200
        writers = [Writer(database_url, number, 4) for number in (1, 2, 3)]
        for writer in writers:
            writer.start()
        builder = threading.Thread(target=lambda: [build(database_url) for _ in range(4)])
        builder.start()
        refreshed = 0
        while any(thread.is_alive() for thread in (*writers, builder)):
            goods.index.refresh()
            refreshed += 1
        for writer in writers:
            writer.join()
            assert not writer.problems and writer.commits
        stored = {row[0]: row[1] for row in db.rows("SELECT id, v FROM goods")[1]}
        for writer in writers:
            mine = {key for key in stored if key % 10 == writer.number}
            assert mine == set(writer.rows)
        assert goods.index.refresh().pending == 0 and refreshed > 5
        report = goods.index.check()
        assert report.is_consistent and report.codes == len(stored)
        for query in vectors_of(1, 5):
            assert found(goods, query) == expected(stored, query)


def test_two_refreshes_at_once_are_right(db, database_url):
    db.rows(f"CREATE TABLE goods (id INT PRIMARY KEY, v VECTOR({DIM}))")
    rows = dict(enumerate(vectors_of(0, 200)))
    insert(db, "goods", rows.items())
    problems = []

    def refresh():
        try:
            with lookalike.connect(database_url, index_sizes=SIZES) as other:
                for _ in range(15):
                    other.collection("goods").index.refresh()
        except DatabaseError as error:
            problems.append(error)

    with lookalike.connect(database_url, index_sizes=SIZES) as sized:
        goods = sized.table("goods")
        threads = [threading.Thread(target=refresh) for _ in range(2)]
        for thread in threads:
            thread.start()
        for key, vector in enumerate(vectors_of(1, 150)):
            db.rows("UPDATE goods SET v = %s WHERE id = %s", (vector, key))
            rows[key] = vector
        for thread in threads:
            thread.join()
        assert not problems
        assert goods.index.refresh().pending == 0
        report = goods.index.check()
        assert report.is_consistent and report.codes == 200
        assert found(goods, rows[3]) == expected(rows, rows[3])


class Histories(RuleBasedStateMachine):
    """Writes, refreshes, rebuilds and lost logs in any order."""

    url: str

    @initialize(signed=st.booleans())
    def open(self, signed):
        self.db = lookalike.connect(self.url, index_sizes=SIZES)
        for table in self.db.tables():
            self.db.drop_index(table.name)
        self.db.rows("DROP TABLE IF EXISTS goods")
        self.db.rows(f"CREATE TABLE goods (id INT PRIMARY KEY, v VECTOR({DIM}))")
        self.low, self.moved, self.rows = -30 if signed else 0, 0, {}
        self.goods = self.db.table("goods")
        self.write(120, 0)

    @rule(n=st.integers(1, 80), seed=st.integers(0, 10**6))
    def write(self, n, seed):
        for key, vector in zip(
            np.random.default_rng(seed).integers(self.low, 200, n), vectors_of(seed, n), strict=True
        ):
            self.db.rows("REPLACE INTO goods VALUES (%s, %s)", (int(key), vector))
            self.rows[int(key)] = vector

    @rule(seed=st.integers(0, 10**6))
    def move_a_key(self, seed):
        if self.rows:
            key = sorted(self.rows)[seed % len(self.rows)]
            self.moved += 1
            self.db.rows("UPDATE goods SET id = %s WHERE id = %s", (1000 + self.moved, key))
            self.rows[1000 + self.moved] = self.rows.pop(key)

    @rule(share=st.floats(0, 1), seed=st.integers(0, 10**6))
    def delete(self, share, seed):
        rng = np.random.default_rng(seed)
        for key in [key for key in self.rows if rng.random() < share]:
            self.db.rows("DELETE FROM goods WHERE id = %s", (key,))
            del self.rows[key]

    @rule(seed=st.integers(0, 10**6))
    def make_null(self, seed):
        if self.rows:
            key = sorted(self.rows)[seed % len(self.rows)]
            self.db.rows("UPDATE goods SET v = NULL WHERE id = %s", (key,))
            del self.rows[key]

    @rule()
    def refresh(self):
        assert self.goods.index.refresh().pending == 0

    @rule()
    def rebuild(self):
        self.goods.index.build()

    @rule(seed=st.integers(0, 10**6), k=st.integers(1, 40))
    def search(self, seed, k):
        query = vectors_of(seed, 1)[0]
        assert found(self.goods, query, k=k) == expected(self.rows, query, k)
        assert len(self.goods.search(query, k=k)) == min(k, len(self.rows))

    @invariant()
    def index_and_table_are_equal(self):
        if hasattr(self, "goods"):
            assert self.goods.index.check().is_consistent

    def teardown(self):
        if hasattr(self, "db"):
            self.db.close()


@pytest.mark.slow
def test_random_histories(database_url):
    Histories.url = database_url
    Histories.TestCase.settings = settings(
        max_examples=10,
        stateful_step_count=12,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    Histories.TestCase("runTest").runTest()
