"""Searches through the index: what numpy finds, whatever the options."""

import numpy as np
import pytest

import lookalike
from lookalike import InputError
from tests.index.clusters import DIM, SMALL, N, clustered, index_tables, names, plan, recall
from tests.oracle import similarities


@pytest.fixture(scope="module")
def module_db(module_database_url):
    with lookalike.connect(module_database_url, index_sizes=SMALL) as db:
        yield db


@pytest.fixture(scope="module")
def indexed(module_db):
    """A collection that the tests only read."""
    collection = module_db.collection("own", dim=DIM)
    collection.add_embeddings(names(N), clustered(N))
    return collection


# What is found.


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("n", [150, N])
def test_defaults_find_the_true_neighbours(db, metric, n):
    vectors, queries = clustered(n + 100)[:n], clustered(n + 100)[n:]
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


def test_a_small_collection_has_no_index(database_url):
    with lookalike.connect(database_url) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(199), clustered(199))
        assert plan(own, 1) == "exact" and index_tables(db) == []
        assert own.index.build() is False
        assert own.index.check().is_consistent
        own.add_embeddings(["one more"], clustered(1))
        assert plan(own, 1) == "codes"


def test_an_odd_dim_is_padded(db):
    vectors = clustered(400, dim=13)
    own = db.collection("own", dim=13)
    own.add_embeddings(names(400), vectors)
    assert plan(own, 1) == "cells and codes" and own.index.check().is_consistent
    assert recall(own, vectors, clustered(30, dim=13, seed=2), n_probes=1000) >= 0.99


@pytest.mark.parametrize("dim", [2048, 5000])
def test_long_embeddings_are_indexed(db, dim):
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


def test_the_shown_statement_ranks_the_neighbours_in_plain_sql(module_db, indexed, vectors):
    statement = indexed.search_sql(vectors[5], k=3)
    assert "BIT_COUNT" in statement.sql
    _, rows = module_db.rows(str(statement))
    x = vectors.astype(np.float64)
    similarity = x @ x[5] / (np.linalg.norm(x, axis=1) * np.linalg.norm(x[5]))
    assert [row[0] for row in rows] == (np.argsort(-similarity)[:3] + 1).tolist()
    assert [row[2] for row in rows] == pytest.approx(np.sort(similarity)[::-1][:3], abs=1e-12)


@pytest.mark.parametrize(
    ("metric", "dim"),
    [
        *(("cosine", dim) for dim in (1, 3, 6, 130)),
        ("euclidean", 1),
        ("euclidean", 130),
        ("dot", 6),
    ],
)
def test_the_shown_statement_of_any_metric_and_length(db, metric, dim):
    vectors = np.random.default_rng(dim).standard_normal((300, dim)).astype(np.float32)
    # also names of the statement's own parts, and a row without direction
    own = db.collection("candidates", dim=dim, metric=metric)
    own.add_embeddings([f"v{i}" for i in range(300)], vectors)
    zero = np.zeros(dim, np.float32).tobytes()
    db.rows("INSERT INTO candidates (image_name, embedding) VALUES ('zero', %s)", (zero,))
    x, query = vectors.astype(np.float64), vectors[7].astype(np.float64)
    similarity = x @ query
    if metric == "euclidean":
        similarity = -np.linalg.norm(x - query, axis=1)
    if metric == "cosine":
        similarity /= np.linalg.norm(x, axis=1) * np.linalg.norm(query)
    for options in ({"exact": True}, {"n_probes": 1000, "oversampling": 60}):
        _, rows = db.rows(str(own.search_sql(vectors[7], k=5, **options)))
        found = [row[2] for row in rows if row[1] != "zero"]
        assert found == pytest.approx(np.sort(similarity)[::-1][: len(found)], abs=1e-12)
        assert len(rows) == 5 and (metric != "cosine" or len(found) == 5)


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


def test_a_metric_is_remembered(db):
    db.collection("own", dim=2, metric="dot").add_embeddings(["a", "b"], [[1, 1], [5, 5]])
    again = db.collection("own")
    assert again.metric == "dot" and again.search(1, k=1, exclude_self=False)[0].image_name == "b"
    with pytest.raises(InputError, match="'own' ranks by dot, not by cosine"):
        db.collection("own", metric="cosine")
    with pytest.raises(InputError, match="unknown metric 'l3'; choose cosine, euclidean, dot"):
        db.collection("own", metric="l3")
