"""How wide MariaDB's own index is searched."""

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from lookalike.dialects.hnsw import candidates
from tests.conftest import new_database
from tests.index.clusters import names, recall

DIM, ROWS = 64, 2000


@pytest.mark.parametrize(
    ("k", "n_rows", "oversampling", "kept"),
    [
        (1, 0, None, 100),
        (10, 100_000, None, 100),
        (10, 1_000_000, None, 200),
        (10, 10_000_000, None, 400),
        (300, 1000, None, 300),
        (100, 10_000_000, None, 400),
        (10_000, 1000, None, 10_000),  # the server takes no more
        (10, 1_000_000, 3.0, 30),
        (10, 1000, 1000.0, 10_000),
    ],
)
def test_candidates_grow_with_results_and_rows(k, n_rows, oversampling, kept):
    assert candidates(k, n_rows, oversampling) == kept


def test_oversampling_finds_more_or_less(mariadb):
    """Noise has no structure that leads to the neighbours, so that a narrow search misses them."""
    noise = np.random.default_rng(1).standard_normal((ROWS, DIM)).astype(np.float32)
    queries = np.random.default_rng(2).standard_normal((30, DIM)).astype(np.float32)
    sizes = IndexSizes(fewest_rows=200, rows_for_cells=600)
    with new_database(mariadb) as url, lookalike.connect(url, index_sizes=sizes) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(ROWS), noise)
        assert own.index.status().kind == "server"
        few = recall(own, noise, queries, oversampling=1)
        found = recall(own, noise, queries)
        most = recall(own, noise, queries, oversampling=100)
        assert few < found - 0.05 and found > 0.9 and most > 0.99
        assert len(own.search(queries[0], k=ROWS)) == ROWS
        assert "SET STATEMENT" not in own.explain(queries[0]).analysis
