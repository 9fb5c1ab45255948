"""Random histories of a collection whose index another process holds, against numpy."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from tests.index.clusters import clustered, names
from tests.index.test_histories import Histories, play
from tests.oracle import similarities
from tests.search.holder import Holder

pytestmark = pytest.mark.nightly


class HeldHistories(Histories):
    """The same histories, with a search in another process after each step."""

    with_vectors: bool
    plans: Counter[str]
    holder: Holder | None = None

    @initialize()
    def hold(self):
        self.holder = Holder(self.url, "own", self.with_vectors)
        self.seed = 0

    @rule()
    def drop_and_create_again(self):
        self.db.delete_collection("own")
        self.own = self.db.collection("own", dim=8)
        self.rows = {}
        self.insert(60, 1)

    @rule(n=st.integers(1, 20), seed=st.integers(0, 10**6))
    def insert_below_the_last_id(self, n, seed):
        free = sorted({*range(1, 2000)} - set(self.rows))[:n]
        vectors = clustered(n, dim=8, seed=seed)
        self.own.upsert(vectors, ids=free, names=names(n))
        self.rows |= dict(zip(free, vectors, strict=True))

    @rule()
    def prune_the_log(self):
        self.db.rows("DELETE FROM lookalike_index_log")

    @rule()
    def another_history_with_the_same_version(self):
        """As after a failover that has lost the latest commits."""
        self.db.rows("UPDATE lookalike_index_versions SET token = 1")
        self.db.rows("DELETE FROM lookalike_index_log")

    @rule()
    def a_replica_that_lags(self):
        """Its version is lower, and the copy is not loaded anew for it."""
        ((version, token),) = self.db.rows("SELECT version, token FROM lookalike_index_versions")[1]
        self.db.rows("UPDATE lookalike_index_versions SET version = 0, token = 5")
        self.held_and_numpy_agree()
        self.db.rows(
            "UPDATE lookalike_index_versions SET version = %s, token = %s", (version, token)
        )

    @invariant()
    def held_and_numpy_agree(self):
        if self.holder is None:
            return
        self.seed += 1
        query = clustered(1, dim=8, seed=self.seed)[0]
        ids = np.array(sorted(self.rows), int)
        vectors = np.array([self.rows[i] for i in ids]).reshape(-1, 8)
        scores = similarities(vectors, query, "cosine")
        expected = ids[np.lexsort((ids, -scores))[:10]].tolist()
        found, plan = self.holder.search(query, n_probes=10_000, oversampling=400)
        self.plans[plan] += 1
        assert found == expected, plan

    def teardown(self):
        if self.holder is not None:
            self.holder.close()
        super().teardown()


@pytest.mark.parametrize(
    ("with_vectors", "plan"),
    [(True, "codes and float32 in memory"), (False, "codes in memory")],
)
def test_random_histories(database_url, with_vectors, plan):
    HeldHistories.url, HeldHistories.with_vectors = database_url, with_vectors
    HeldHistories.plans = Counter()
    play(HeldHistories, 8, 20)
    assert HeldHistories.plans[plan] > 20, HeldHistories.plans
