"""The same calls on every engine, compared with numpy."""

import numpy as np
import pytest
from PIL import Image

from lookalike import EmbeddingError, InputError, ModelError, Query, Text, UnsupportedServer
from lookalike.core.vectors import unpack
from lookalike.dialects import Table

DIM = 24
RNG_SEED = 7


@pytest.fixture
def vectors():
    return np.random.default_rng(RNG_SEED).standard_normal((300, DIM)).astype(np.float32)


@pytest.fixture
def own(engine, vectors):
    collection = engine.collection("own", dim=DIM)
    collection.add_embeddings([f"v{i}" for i in range(len(vectors))], vectors)
    return collection


def oracle(vectors, query):
    """Similarities by definition, in float64, and the order of their rows."""
    exact = vectors.astype(np.float64)
    similarity = exact @ query / (np.linalg.norm(exact, axis=1) * np.linalg.norm(query))
    return similarity, np.argsort(-similarity, kind="stable")


@pytest.mark.parametrize("k", [1, 10, 300, 1000])
def test_search_agrees_with_numpy(own, vectors, k):
    query = np.random.default_rng(8).standard_normal(DIM).astype(np.float32)
    similarity, order = oracle(vectors, query)
    matches = own.search(query, k=k)
    assert [match.id for match in matches] == [int(i) + 1 for i in order[:k]]
    assert [match.image_name for match in matches] == [f"v{i}" for i in order[:k]]
    expected = pytest.approx(similarity[order[:k]].tolist(), abs=1e-6)
    assert [match.similarity for match in matches] == expected


def test_min_similarity_leaves_out_what_is_less_similar(own, vectors):
    similarity, order = oracle(vectors, vectors[0])
    expected = [int(i) + 1 for i in order if similarity[i] >= 0.3]
    assert 1 < len(expected) < 100
    assert [m.id for m in own.search(vectors[0], k=300, min_similarity=0.3)] == expected
    assert own.search(-vectors[0], min_similarity=0.999) == []


def test_ties_are_broken_by_id(engine):
    own = engine.collection("ties", dim=3)
    own.add_embeddings(list("abcde"), [[0, 1, 0], [2, 0, 0], [1, 0, 0], [4, 0, 0], [0, 0, 1]])
    assert [match.image_name for match in own.search(np.array([1, 0, 0]), k=3)] == ["b", "c", "d"]


def test_similarity_is_never_above_one(own, vectors):
    assert all(own.search(vector, k=1)[0].similarity <= 1 for vector in vectors[:50])


def test_a_stored_image_is_found_by_id_and_by_name(own, vectors):
    by_vector = own.search(vectors[4], k=5)
    for stored in (5, "v4", "5", Query(5)):
        assert own.search(stored, k=5, exclude_self=False) == by_vector
        assert own.search(stored, k=4) == by_vector[1:]


def test_names_tell_letter_case_and_accents_apart(engine):
    own = engine.collection("names", dim=2)
    own.add_embeddings(["Café", "cafe", "CAFE"], [[1, 0], [0, 1], [1, 1]])
    assert own.search("CAFE", k=1, exclude_self=False)[0].id == 3
    with pytest.raises(InputError, match="'cafE' is not an image file"):
        own.search("cafE")


def test_an_ambiguous_name_asks_for_an_id(engine):
    own = engine.collection("names", dim=2)
    own.add_embeddings(["a", "a"], [[1, 0], [0, 1]])
    with pytest.raises(InputError, match="several images are named 'a': give an id, as 1"):
        own.search("a")


def test_rows_without_a_direction_are_never_found(engine):
    own = engine.collection("own", dim=2)
    own.add_embeddings(["a"], [[1, 1]])
    engine.rows("INSERT INTO own (image_name, embedding) VALUES ('0', %s)", (bytes(8),))
    if "NOT NULL" not in engine.dialect.vector_type(2):
        engine.rows("INSERT INTO own (image_name, embedding) VALUES ('null', NULL)")
        with pytest.raises(InputError, match="no image with id 3"):
            own.search(3)
    for exact in (False, True):
        found = own.search(np.array([1, 0]), exact=exact)
        assert [match.image_name for match in found] == ["a"]


def test_deleted_rows_are_gone_with_their_files(engine, photos):
    collection = engine.collection("photos", model="efficientnet-lite2")
    collection.add(photos / "cat.jpg", photos / "rocket.jpg")
    assert collection.remove_rows([1, 99]) == 1
    (left,) = collection.search(2, exclude_self=False)
    assert left.image_name == "rocket.jpg"
    assert engine.rows("SELECT id FROM photos_files")[1] == [(2,)]
    assert collection.add(photos / "cat.jpg").added == 1


@pytest.mark.parametrize("k", [0, -1, 10_001, 1_000_000])
def test_k_out_of_range_is_refused(own, k):
    with pytest.raises(InputError, match=f"k is {k}; ask for 1 to 10,000"):
        own.search(1, k=k)


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (np.zeros(DIM), EmbeddingError, "all zero"),
        (np.ones(DIM + 1), EmbeddingError, f"{DIM + 1} dimensions, and this collection has {DIM}"),
        (np.full(DIM, np.nan), EmbeddingError, "NaN"),
        ("nothing.jpg", InputError, "not an image file"),
        (99_999, InputError, "no image with id 99999"),
        (Text("a dog"), ModelError, "has no model"),
        (Image.new("RGB", (4, 4)), ModelError, "has no model"),
        (1.5, InputError, "a float is not a query"),
    ],
)
def test_bad_queries_are_refused(own, query, error, message):
    with pytest.raises(error, match=message):
        own.search(query)


def test_min_similarity_out_of_range_is_refused(own):
    with pytest.raises(InputError, match=r"min_similarity is 1.5; a cosine is from -1 to 1"):
        own.search(1, min_similarity=1.5)


def test_bad_embeddings_leave_nothing_behind(engine):
    own = engine.collection("own", dim=3)
    for bad in ([[1, 2]], [[0, 0, 0]], [[1, np.nan, 2]]):
        with pytest.raises(EmbeddingError):
            own.add_embeddings(["a"], bad)
    with pytest.raises(EmbeddingError, match="1 names do not fit 2 embeddings"):
        own.add_embeddings(["a"], [[1, 2, 3], [4, 5, 6]])
    assert engine.collections() == [] and not own.exists


def test_embeddings_are_stored_bit_for_bit(own, engine, vectors):
    packed = engine.dialect.embedding_bytes(Table("own"))
    stored = engine.rows(f"SELECT {packed} FROM own ORDER BY id")[1]
    assert unpack([row[0] for row in stored], DIM).tobytes() == vectors.tobytes()
    assert np.array_equal([item.embedding for item in own.get(range(1, 301))], vectors)


def test_sql_returns_vectors_as_arrays(own, engine, vectors):
    if not engine.dialect.has_vector_results:
        pytest.skip("its client protocol does not tell a vector from bytes")
    stored = engine.sql("SELECT embedding FROM own ORDER BY id")["embedding"]
    assert np.array_equal(np.stack(stored), vectors)


def test_search_sql_answers_by_itself(engine, own, vectors):
    """Its values may be bound, or be literals."""
    x = vectors.astype(np.float64)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    order = (np.argsort(-(unit @ unit[1]), kind="stable") + 1).tolist()
    for query, options, expected in (
        (vectors[1], {"k": 4}, order[:4]),
        (vectors[1], {"k": 4, "offset": 3}, order[3:7]),
        ("v1", {"k": 4}, order[1:5]),  # without itself
        ("v1", {"k": 4, "offset": 2, "exact": True}, order[3:7]),
        (vectors[1], {"k": 4, "min_similarity": float(unit[order[1] - 1] @ unit[1])}, order[:2]),
    ):
        statement = own.search_sql(query, **options)
        columns, rows = engine.rows(*statement)
        assert engine.rows(str(statement))[1] == rows
        assert columns == ["id", "image_name", "similarity"]
        assert [(row_id, f"v{row_id - 1}") for row_id in expected] == [row[:2] for row in rows]
        similarities = [unit[row_id - 1] @ unit[1] for row_id in expected]
        # Servers that rank by themselves may compute in float32.
        error = 1e-7 if engine.dialect.indexed_metrics else 1e-12
        assert [row[2] for row in rows] == pytest.approx(similarities, abs=error)


def test_sql_returns_a_frame(own, engine):
    frame = engine.sql("SELECT id, image_name FROM own WHERE id <= %s", (2,))
    assert frame.to_dict("list") == {"id": [1, 2], "image_name": ["v0", "v1"]}
    assert engine.sql("SELECT '100%' AS share")["share"][0] == "100%"
    assert engine.sql("CREATE TABLE t (a INT)").empty


def test_a_vector_can_be_bound_in_sql(own, engine, vectors):
    if not engine.dialect.has_functions:
        with pytest.raises(UnsupportedServer, match="rank with "):
            engine.install_functions()
        return
    engine.install_functions()
    query = "SELECT id FROM own ORDER BY my_dot_product(embedding, %s) DESC LIMIT 1"
    best = np.argmax(vectors @ vectors[2]) + 1
    assert engine.sql(query, (vectors[2],))["id"].tolist() == [best]
