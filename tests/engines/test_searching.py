"""Searches on every engine: what numpy finds, in its order."""

import numpy as np
import pytest
from PIL import Image

from lookalike import EmbeddingError, InputError, ModelError, Query, Text, UnsupportedServer
from tests.engines.conftest import DIM
from tests.oracle import nearest, similarities

METRICS = [
    pytest.param(metric, marks=pytest.mark.capability(metric))
    for metric in ("cosine", "euclidean", "dot")
]


def ids_of(matches):
    return [match.id for match in matches]


@pytest.fixture(scope="module")
def by_metric(stored):
    """{metric: a collection of the same embeddings}"""
    made = {"cosine": stored.collection}
    for metric in ("euclidean", "dot"):
        made[metric] = stored.db.collection(metric, dim=DIM, metric=metric)
        made[metric].add_embeddings([f"v{i}" for i in range(300)], stored.vectors)
    return made


@pytest.mark.parametrize("metric", METRICS)
def test_search_agrees_with_numpy(by_metric, vectors, metric):
    queries = np.random.default_rng(8).standard_normal((3, DIM)).astype(np.float32)
    for query in (queries[0], 100 * queries[1], -queries[2]):
        scores, order = similarities(vectors, query, metric), nearest(vectors, query, metric)
        for options in ({"k": 10}, {"k": 1000}, {"k": 10, "exact": True}):
            matches = by_metric[metric].search(query, **options)
            assert ids_of(matches) == order[: options["k"]]
            assert [match.image_name for match in matches[:3]] == [f"v{i - 1}" for i in order[:3]]
            expected = [scores[i - 1] for i in order[: options["k"]]]
            assert [m.similarity for m in matches] == pytest.approx(expected, rel=1e-6, abs=1e-6)
    many = by_metric[metric].search_many(list(queries), k=5)
    assert [ids_of(each) for each in many] == [nearest(vectors, q, metric)[:5] for q in queries]


@pytest.mark.parametrize("metric", METRICS)
def test_ties_are_broken_by_id(engine, metric):
    own = engine.collection("ties", dim=3, metric=metric)
    rows = [[0, 1, 0], [2, 0, 0], [2, 0, 0], [2, 0, 0], [0, 0, 1]]
    own.add_embeddings(list("abcde"), rows)
    query = np.array([2, 0, 0])
    assert [match.image_name for match in own.search(query, k=3)] == ["b", "c", "d"]
    assert [match.image_name for match in own.search(query, k=2)] == ["b", "c"]
    assert [match.image_name for match in own.search(query, k=2, exact=True)] == ["b", "c"]


@pytest.mark.parametrize("metric", METRICS)
def test_less_similar_results_are_left_out(by_metric, vectors, metric):
    scores = similarities(vectors, vectors[0], metric)
    least = float(np.sort(scores)[-40] + np.sort(scores)[-41]) / 2
    found = by_metric[metric].search(vectors[0], k=300, min_similarity=least)
    assert ids_of(found) == nearest(vectors, vectors[0], metric)[:40]
    (first,) = by_metric[metric].search(vectors[0], k=1, min_similarity=least)
    assert first.id == nearest(vectors, vectors[0], metric)[0]


@pytest.mark.capability("cosine")
def test_similarity_is_never_above_one(stored):
    found = stored.collection.search_many(list(stored.vectors[:12]), k=1)
    assert all(matches[0].similarity <= 1 for matches in found)


@pytest.mark.capability("cosine")
def test_a_stored_image_is_found_by_id_and_by_name(stored):
    own = stored.collection
    by_vector = own.search(stored.vectors[4], k=5)
    for query in (5, "v4", "5", Query(5)):
        assert own.search(query, k=5, exclude_self=False) == by_vector
        assert own.search(query, k=4) == by_vector[1:]
    mean = stored.vectors[4] / np.linalg.norm(stored.vectors[4])
    mean = mean - 0.5 * stored.vectors[9] / np.linalg.norm(stored.vectors[9])
    expected = [i for i in nearest(stored.vectors, mean) if i not in (5, 10)]
    assert ids_of(own.search(Query(5) - 0.5 * Query(10), k=5)) == expected[:5]


@pytest.mark.capability("rows")
def test_rows_without_a_direction_are_never_found(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    zeros = engine.dialect.vector(bytes(8))
    engine.rows("INSERT INTO own (image_name, embedding) VALUES ('0', %s)", (zeros,))
    if "NOT NULL" not in engine.dialect.vector_type(2):
        engine.rows("INSERT INTO own (image_name, embedding) VALUES ('null', NULL)")
        with pytest.raises(InputError, match="no image with id 3"):
            own.search(3)
    for exact in (False, True):
        found = own.search(np.array([1, 0]), exact=exact)
        assert [match.image_name for match in found] == ["a"]


@pytest.mark.capability("pages")
def test_pages_are_one_ranking(stored):
    query = np.random.default_rng(9).standard_normal(DIM).astype(np.float32)
    order = nearest(stored.vectors, query)
    for exact in (False, True):
        pages = [
            ids_of(stored.collection.search(query, k=70, offset=offset, exact=exact))
            for offset in range(0, 420, 70)
        ]
        assert [row_id for page in pages for row_id in page] == order
        assert pages[-1] == []
    (last,) = stored.collection.search(query, k=5, offset=299)
    assert last.id == order[-1]


@pytest.mark.capability("refusals")
@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (np.zeros(DIM), EmbeddingError, "all zero"),
        (np.ones(DIM + 1), EmbeddingError, f"{DIM + 1} dimensions, and this collection has {DIM}"),
        (np.full(DIM, np.nan), EmbeddingError, "NaN"),
        (np.full(DIM, np.inf), EmbeddingError, "infinity"),
        ("nothing.jpg", InputError, "not an image file"),
        (99_999, InputError, "no image with id 99999"),
        (Text("a dog"), ModelError, "has no model"),
        (Image.new("RGB", (4, 4)), ModelError, "has no model"),
        (1.5, InputError, "a float is not a query"),
    ],
)
def test_bad_queries_are_refused(stored, query, error, message):
    with pytest.raises(error, match=message):
        stored.collection.search(query)


@pytest.mark.capability("refusals")
@pytest.mark.parametrize("k", [0, -1, 10_001, 1_000_000])
def test_k_out_of_range_is_refused(stored, k):
    with pytest.raises(InputError, match=f"k is {k}; ask for 1 to 10,000"):
        stored.collection.search(1, k=k)


@pytest.mark.capability("refusals")
def test_min_similarity_out_of_range_is_refused(stored):
    with pytest.raises(InputError, match=r"min_similarity is 1.5; a cosine is from -1 to 1"):
        stored.collection.search(1, min_similarity=1.5)


# By SQL.


@pytest.mark.capability("search_sql")
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_search_sql_answers_by_itself(by_metric, stored, metric):
    """Its values may be bound, or be literals."""
    own, db, vectors = by_metric[metric], stored.db, stored.vectors
    scores, order = similarities(vectors, vectors[1], metric), nearest(vectors, vectors[1], metric)
    others = [row_id for row_id in order if row_id != 2]
    least = (scores[order[1] - 1] + scores[order[2] - 1]) / 2
    for query, options, expected in (
        (vectors[1], {"k": 4}, order[:4]),
        (vectors[1], {"k": 4, "offset": 3}, order[3:7]),
        ("v1", {"k": 4}, others[:4]),  # without itself
        ("v1", {"k": 4, "offset": 2, "exact": True}, others[2:6]),
        (vectors[1], {"k": 4, "min_similarity": float(least)}, order[:2]),
    ):
        statement = own.search_sql(query, **options)
        columns, rows = db.rows(*statement)
        assert db.rows(str(statement))[1] == rows
        assert columns == ["id", "image_name", "similarity"]
        assert [(row_id, f"v{row_id - 1}") for row_id in expected] == [row[:2] for row in rows]
        # Servers that rank by themselves may compute in float32.
        error = 1e-6 if db.dialect.indexed_metrics else 1e-12
        expected_scores = [scores[row_id - 1] for row_id in expected]
        assert [row[2] for row in rows] == pytest.approx(expected_scores, rel=error, abs=error)


@pytest.mark.capability("search_sql")
def test_sql_returns_a_frame(stored):
    frame = stored.db.sql("SELECT id, image_name FROM own WHERE id <= %s", (2,))
    assert frame.to_dict("list") == {"id": [1, 2], "image_name": ["v0", "v1"]}
    assert stored.db.sql("SELECT '100%' AS share")["share"][0] == "100%"
    assert stored.db.sql("CREATE TABLE t (a INT)").empty


@pytest.mark.capability("bits")
def test_sql_returns_vectors_as_arrays(stored, remark):
    if not stored.db.dialect.has_vector_results:
        remark("`Database.sql` returns what the server sends, which is no array")
        return
    frame = stored.db.sql("SELECT embedding FROM own ORDER BY id")["embedding"]
    assert np.array_equal(np.stack(frame), stored.vectors)


@pytest.mark.capability("functions")
def test_a_vector_can_be_bound_in_sql(engine, vectors, refused):
    own = engine.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(20)], vectors[:20])
    if not engine.dialect.has_functions:
        with refused(engine, "rank with "):
            engine.install_functions()
        for call in (engine.install_native_functions, engine.install_mysql_ai):
            with pytest.raises(UnsupportedServer, match="rank with "):
                call()
        assert engine.native_functions() == frozenset() and engine.remove_native_functions() == []
        return
    engine.install_functions()
    query = "SELECT id FROM own ORDER BY my_dot_product(embedding, %s) DESC LIMIT 1"
    best = np.argmax(vectors[:20] @ vectors[2]) + 1
    assert engine.sql(query, (vectors[2],))["id"].tolist() == [best]
