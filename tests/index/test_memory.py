"""The index in memory finds what numpy finds."""

import numpy as np
import pytest

from lookalike.index import loading, memory
from tests.index.clusters import clustered, names
from tests.oracle import similarities

N, K = 3000, 10


def loaded(collection, **options):
    return loading.load(collection._state.index, notify=print, **options)


def recall_of(ids, vectors, queries, metric):
    """The share of the true K nearest among the candidates, whose ids are places plus 1."""
    hits = 0
    for query, found in zip(queries, ids, strict=True):
        scores = similarities(vectors, query, metric)
        kth = np.sort(scores)[-K]
        candidates = scores[found[found > 0] - 1]
        hits += min(K, np.sum(candidates >= kth - 1e-3 * abs(kth)))
    return hits / (K * len(queries))


def by_sql(collection, queries, **options):
    """The ids of the shortlist that SQL makes for each query."""
    store = collection._state.index
    index, found = store.load(), []
    for query in queries:
        statement = store.table.dialect.search_codes(
            store.table, index.shortlist(query, **options), None
        )
        found.append(np.array([row[0] for row in store.table.connection.query(statement)]))
    return found


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("dim", [13, 64, 100])
def test_candidates_are_as_good_as_those_of_sql(db, metric, dim):
    vectors, queries = np.split(clustered(N + 100, dim), [N])
    if metric == "dot":
        rng = np.random.default_rng(1)
        vectors = vectors * rng.lognormal(0, 0.7, (N, 1)).astype(np.float32)
    own = db.collection("own", dim=dim, metric=metric)
    own.add_embeddings(names(N), vectors)
    found = loaded(own)
    assert len(found) == N and not found.tail.size
    rows = max(50, found.index.plan.rescored)
    candidates = found.candidates(queries, rows=rows)
    assert candidates.ids.shape == candidates.estimates.shape == (100, rows)
    reference = by_sql(own, queries, n_probes=None, rows=rows)
    mine = recall_of(candidates.ids, vectors, queries, metric)
    assert mine >= recall_of(reference, vectors, queries, metric) - 0.01 and mine >= 0.97
    for query, ids, estimates in zip(queries, candidates.ids, candidates.estimates, strict=True):
        known = ids > 0
        exact = similarities(vectors, query, metric)[ids[known] - 1]
        assert (np.diff(estimates[known]) <= 0).all()
        assert np.corrcoef(exact, estimates[known])[0, 1] > 0.3
        # Unbiased: the mean error is small beside what they range over.
        assert abs(np.mean(exact - estimates[known])) < 0.2 * (np.ptp(exact) + 1e-6)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_very_short_and_very_long_embeddings(db, metric, scale):
    vectors = (clustered(N, 24) * scale).astype(np.float32)
    own = db.collection("own", dim=24, metric=metric)
    own.add_embeddings(names(N), vectors)
    candidates = loaded(own).candidates(vectors[:50], rows=100)
    assert recall_of(candidates.ids, vectors, vectors[:50], metric) >= 0.97


def test_one_query_and_many_have_the_same_candidates(indexed, vectors):
    found = loaded(indexed)
    many = found.candidates(vectors[:70], rows=60)
    for place in range(0, 70, 7):
        one = found.candidates(vectors[place : place + 1], rows=60)
        assert set(one.ids[0]) == set(many.ids[place])


def test_cells_of_any_length_have_an_order():
    for scale in (0, 1e-30, 1, 2.0**50):
        cells = np.full((8, 8), scale, np.float32)
        cells[:4] *= -1
        parts = list(memory._halves(cells))
        assert sorted(np.concatenate(parts)) == list(range(8))
        if scale:
            assert set(np.concatenate(parts)[:4]) in ({0, 1, 2, 3}, {4, 5, 6, 7})


def test_near_cells_follow_one_another(indexed):
    found = loaded(indexed)
    assert sorted(found.places) == list(range(found.index.n_cells))
    centroids = found.index.centroids[np.argsort(found.places)]
    shuffled = np.random.default_rng(0).permutation(centroids)
    steps = [np.linalg.norm(np.diff(each, axis=0), axis=1).mean() for each in (centroids, shuffled)]
    assert steps[0] < 0.8 * steps[1]
