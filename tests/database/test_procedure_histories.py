"""Random histories of a collection, searched and refreshed by stored procedures, against numpy."""

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.index.clusters import clustered
from tests.index.test_histories import Histories, play
from tests.oracle import similarities

pytestmark = pytest.mark.slow


class ProcedureHistories(Histories):
    """Also lets the server encode what other programs have inserted."""

    @initialize()
    def open(self):
        super().open()
        self.db.install_functions()

    @rule()
    def refresh_in_the_server(self):
        if self.own.status().indexed:
            self.db.rows("CALL lookalike_refresh('own')")

    @rule(seed=st.integers(0, 10**6), k=st.integers(1, 10))
    def call(self, seed, k):
        query = clustered(1, dim=8, seed=seed)[0]
        ids = np.array(sorted(self.rows), int)
        scores = similarities(np.array([self.rows[i] for i in ids]).reshape(-1, 8), query)
        order = np.lexsort((ids, -scores))[:k]
        exact = self.answer(query, k, '{"exact": true}')
        assert [row[0] for row in exact] == ids[order].tolist()
        assert np.allclose([row[2] for row in exact], scores[order], atol=1e-12)
        found = self.answer(query, k, '{"n_probes": 60000}')
        assert len(found) == len(order)
        known = dict(zip(ids.tolist(), scores.tolist(), strict=True))
        assert all(abs(known[row[0]] - row[2]) < 1e-12 for row in found)
        # A shortlist of 50 or more of 8 bits each misses few of ten.
        assert len({row[0] for row in found} & set(ids[order].tolist())) >= 0.5 * len(order)

    def answer(self, query, k, options):
        call = "CALL lookalike_search_with('own', %s, %s, %s)"
        return self.db.rows(call, (query.tobytes(), k, options))[1]


def test_random_histories(database_url):
    ProcedureHistories.url = database_url
    play(ProcedureHistories, 8, 10)
