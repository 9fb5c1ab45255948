"""Random histories of a collection, against numpy."""

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lookalike
from lookalike.core.vectors import pack
from lookalike.dialects import Table
from lookalike.index.rows import insert_rows
from tests.index.clusters import SMALL, clustered, names
from tests.oracle import similarities

pytestmark = pytest.mark.slow


# Random histories.


class Histories(RuleBasedStateMachine):
    """Inserts, deletes, foreign changes and rebuilds in any order, compared with numpy."""

    url: str

    @initialize()
    def open(self):
        self.db = lookalike.connect(self.url, index_sizes=SMALL)
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
        self.db = lookalike.connect(self.url, index_sizes=SMALL)
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


def play(machine, max_examples, steps):
    """Play random histories of a machine."""
    machine.TestCase.settings = settings(
        max_examples=max_examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    machine.TestCase("runTest").runTest()


def test_random_histories(database_url):
    Histories.url = database_url
    play(Histories, 15, 12)
