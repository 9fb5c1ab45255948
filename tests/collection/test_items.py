"""Embeddings that users bring: upsert and get; many queries at once."""

import numpy as np
import pytest

from lookalike import EmbeddingError, InputError, Text
from tests.oracle import similarities

DIM = 24


def vectors(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


@pytest.fixture
def own(db):
    """A collection without a model, empty."""
    return db.collection("own", dim=DIM)


def test_rows_are_inserted_and_read_back(own):
    given = vectors(3)
    ids = own.upsert(given, names=["a", "b", "b"], attributes=[{"price": 5}, {}, {"tags": ["x"]}])
    assert ids == [1, 2, 3]
    items = own.get([3, 99, 1])
    assert [(item.id, item.image_name, item.path) for item in items] == [
        (3, "b", None),
        (1, "a", None),
    ]
    assert np.array_equal(items[0].embedding, given[2])
    assert [item.attributes for item in items] == [{"tags": ["x"]}, {"price": 5}]
    bare = own.get([1], include=())[0]
    assert bare.embedding is None and bare.attributes == {}
    with pytest.raises(InputError, match="'vectors' cannot be included"):
        own.get([1], include=["vectors"])


def test_ids_create_and_replace_rows(db, own):
    own.upsert(vectors(2), names=["a", "b"])
    given = vectors(3, seed=1)
    assert own.upsert(given, ids=[2, 7, 900], attributes=[{"n": 1}, {"n": 2}, {"n": 3}]) == [
        2,
        7,
        900,
    ]
    assert own.count() == 4
    items = own.get([2, 7, 900])
    assert [item.image_name for item in items] == ["b", "", ""]
    assert np.array_equal(np.stack([item.embedding for item in items]), given)
    own.upsert(given[:1], ids=[2], names=["new"], attributes=[{"n": None}])
    assert (own.get([2])[0].image_name, own.get([2])[0].attributes) == ("new", {})
    assert own.search(given[1], k=1)[0].id == 7
    assert own.upsert(vectors(1, seed=2)) == [901]


def test_replaced_rows_are_found_through_the_index(db, own):
    given = vectors(400)
    ids = own.upsert(given)
    assert own.index.check().codes == 400
    changed = given.copy()
    changed[:150] = vectors(150, seed=3)
    extra = vectors(100, seed=4)
    own.upsert(np.concatenate([changed[:150], extra]), ids=[*ids[:150], *range(1000, 1100)])
    report = own.index.check()
    assert report.is_consistent and report.codes == 500
    base = np.concatenate([changed, extra])
    all_ids = np.array([*ids, *range(1000, 1100)])
    for query in (changed[3], extra[5], vectors(1, seed=9)[0]):
        best = all_ids[np.argsort(-similarities(base, query, "cosine"))[:10]]
        found = own.search(query, k=10, n_probes=10_000, oversampling=50)
        assert [match.id for match in found] == best.tolist()


def test_nothing_is_stored_of_what_is_refused(own):
    for given, options, error, message in (
        (vectors(2), {"ids": [1, 1]}, InputError, "id 1 comes twice"),
        (vectors(2), {"ids": [1]}, EmbeddingError, "1 ids do not fit 2 embeddings"),
        (vectors(2), {"names": ["a"]}, EmbeddingError, "1 names do not fit 2"),
        (vectors(1), {"attributes": [{"a/b": 1}]}, InputError, "cannot be an attribute's name"),
        (vectors(1), {"attributes": [{"a": {"b": 1}}]}, InputError, "row 1: a: "),
        (vectors(1)[:, :5], {}, EmbeddingError, "24"),
        (vectors(2) * [[1], [0]], {}, EmbeddingError, "zero"),
    ):
        with pytest.raises(error, match=message):
            own.upsert(given, **options)
    assert own.count() == 0


def test_the_row_of_a_file_is_not_replaced(db, photos, embedded_model):
    images = db.collection("images", model=embedded_model)
    images.add(photos / "cat.jpg")
    before = images.get([1])[0]
    with pytest.raises(InputError, match=r"row 1 is of the file .*cat.jpg"):
        images.upsert(np.ones((1, embedded_model.dim)), ids=[1])
    assert np.array_equal(images.get([1])[0].embedding, before.embedding)


def test_attributes_come_with_results_on_request(own):
    given = vectors(3)
    own.upsert(given, attributes=[{"price": 5}, {"price": 7}, {}])
    assert own.search(given[1], k=1)[0].attributes is None
    found = own.search(given[1], k=3, include=["attributes"])
    assert {match.id: match.attributes for match in found} == {
        1: {"price": 5},
        2: {"price": 7},
        3: {},
    }
    with pytest.raises(InputError, match="'names' cannot be included"):
        own.search(given[1], include=["names"])


@pytest.mark.parametrize("n", [50, 1500])
def test_many_queries_at_once_answer_as_one_by_one(own, n):
    given = vectors(n)
    ids = np.array(own.upsert(given))
    queries = [*vectors(40, seed=5), int(ids[3]), given[8]]
    statements = []
    own._state.connection._tracer = statements.append
    many = own.search_many(queries, k=7)
    at_once = len(statements)
    assert many == [own.search(query, k=7) for query in queries]
    assert at_once < 15 or n == 50
    assert ids[3] not in [match.id for match in many[40]]
    for query, matches in zip(queries[:40], many, strict=False):
        worst = np.sort(similarities(given, query, "cosine"))[-7]
        assert sum(match.similarity >= worst - 1e-3 for match in matches) >= 6
    assert own.search_many([]) == []
    with pytest.raises(InputError, match="the text query is empty"):
        own.search_many([given[0], Text(" ")])
