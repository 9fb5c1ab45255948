"""Mixes, pages, percentiles and levels, against numpy."""

import numpy as np
import pytest

import lookalike
from lookalike import EmbeddingError, Image, InputError, ModelError, Query, Text

N, DIM = 300, 16


@pytest.fixture(scope="module")
def vectors():
    return np.random.default_rng(5).standard_normal((N, DIM)).astype(np.float32)


@pytest.fixture
def own(db, vectors):
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings([f"v{i}" for i in range(N)], vectors)
    return collection


def unit(vector):
    return vector / np.linalg.norm(vector)


def ranking(vectors, query, left_out=()):
    cosines = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)) @ unit(query)
    return [i + 1 for i in np.argsort(-cosines, kind="stable") if i + 1 not in left_out]


def test_a_mix_is_the_weighted_sum_of_unit_embeddings(own, vectors):
    found = own.search(Query(1) + 0.5 * Query("v4") - Query(vectors[7]), k=20)
    query = unit(vectors[0]) + 0.5 * unit(vectors[4]) - unit(vectors[7])
    assert [match.id for match in found] == ranking(vectors, query, left_out={1, 5})[:20]
    everything = own.search(Query(1) + Query(5), k=20, exclude_self=False)
    expected = ranking(vectors, unit(vectors[0]) + unit(vectors[4]))
    assert [match.id for match in everything] == expected[:20]


def test_a_weight_of_one_term_only_turns_it_round(own, vectors):
    found, plain = own.search(3 * Query(vectors[7])), own.search(vectors[7])
    assert [match.id for match in found] == [match.id for match in plain]
    assert own.search(-Query(vectors[7]), k=1)[0].id == ranking(vectors, vectors[7])[-1]


def test_metrics_mix_in_their_own_ways(db, vectors):
    dot = db.collection("dots", dim=DIM, metric="dot")
    dot.add_embeddings([str(i) for i in range(N)], vectors)
    mixed = vectors[0] - 0.5 * vectors[1]
    found = dot.search(Query(vectors[0]) - 0.5 * Query(vectors[1]), k=9)
    assert [match.id for match in found] == (np.argsort(-(vectors @ mixed))[:9] + 1).tolist()

    near = db.collection("near", dim=DIM, metric="euclidean")
    near.add_embeddings([str(i) for i in range(N)], vectors)
    mean = (vectors[0] + 3 * vectors[1]) / 4
    found = near.search(Query(vectors[0]) + 3 * Query(vectors[1]), k=9)
    order = np.argsort(np.linalg.norm(vectors - mean, axis=1))[:9] + 1
    assert [match.id for match in found] == order.tolist()
    with pytest.raises(InputError, match="the weights add up to 0"):
        near.search(Query(vectors[0]) - Query(vectors[1]))


def test_what_cancels_out_and_what_is_no_query_is_refused(own, vectors):
    with pytest.raises(EmbeddingError, match="cancel each other out"):
        own.search(Query(vectors[0]) - Query(vectors[0]))
    with pytest.raises(InputError, match="the query is empty"):
        own.search(lookalike.Mix(()))
    with pytest.raises(InputError, match="a set is not a query"):
        own.search({1, 2})
    with pytest.raises(InputError, match="no such image: v4"):
        own.search(Image("v4"))
    with pytest.raises(ModelError, match="has no model"):
        own.search(Text("red") + Query(1))


def test_a_list_of_numbers_is_a_vector(own, vectors):
    expected = own.search(vectors[3])
    assert own.search(vectors[3].tolist()) == expected
    assert own.search(tuple(vectors[3].tolist())) == expected
    assert own.search(Query(vectors[3].tolist())) == expected
    with pytest.raises(EmbeddingError, match="has 2 dimensions, and this collection has 16"):
        own.search([1, 2])
    for wrong in ([], ["a", "b"], [[1, 2], [3, 4]], vectors[:2].tolist(), [vectors[0], "x"]):
        with pytest.raises(InputError, match="is not a query vector; give a list of numbers"):
            own.search(wrong)


def test_pages_follow_each_other(own, vectors):
    whole = own.search(vectors[0], k=50)
    pages = [own.search(vectors[0], k=10, offset=start) for start in range(0, 50, 10)]
    assert [match for page in pages for match in page] == whole
    assert own.search(vectors[0], k=10, offset=N - 3) == own.search(vectors[0], k=N)[-3:]
    assert own.search(vectors[0], k=10, offset=N) == []
    with pytest.raises(InputError, match="offset is 9999"):
        own.search(vectors[0], k=10, offset=9999)


def test_ties_are_broken_by_id_on_every_page(db):
    own = db.collection("ties", dim=2)
    own.add_embeddings([str(i) for i in range(30)], [[1, 1]] * 30)
    query = np.array([1, 0])
    pages = [own.search(query, k=7, offset=start) for start in range(0, 30, 7)]
    assert [match.id for page in pages for match in page] == list(range(1, 31))


def test_the_percentile_is_the_share_of_random_pairs(own, vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (units @ units.T)[np.triu_indices(N, 1)]
    for match in own.search(vectors[3], k=N)[1:]:
        share = 100 * (pairs < match.similarity).mean()
        assert match.percentile == pytest.approx(share, abs=0.6)
    assert own.search(vectors[3], k=1)[0].percentile == 100


def test_a_least_percentile_leaves_out_the_rest(own, vectors):
    found = own.search(vectors[3], k=N, min_percentile=90)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (units @ units.T)[np.triu_indices(N, 1)]
    expected = (units @ units[3] >= np.percentile(pairs, 90)).sum()
    assert abs(len(found) - expected) <= 1
    assert own.search(vectors[3], k=N, min_percentile=90, min_similarity=2 / 3) == [
        match for match in found if match.similarity >= 2 / 3
    ]


def test_percentiles_are_kept_and_measured_again_when_the_collection_has_grown(db, own, vectors):
    own.search(vectors[0])
    stored = db.rows("SELECT collection, kind, id_range FROM lookalike_levels")[1]
    assert stored == [("own", "image", N)]
    own.add_embeddings([f"w{i}" for i in range(4 * N)], np.tile(vectors, (4, 1)))
    assert db.rows("SELECT * FROM lookalike_levels")[1] == []
    again = db.collection("own")
    again.search(vectors[0])
    assert db.rows("SELECT id_range FROM lookalike_levels")[1] == [(5 * N,)]


def test_an_unmeasured_model_is_judged_by_the_collections_own_pairs(own, vectors):
    itself, second, *_ = own.search(vectors[3], k=N)
    assert (itself.level, second.level) == ("strong", "chance")


@pytest.mark.parametrize("metric", ["euclidean", "dot"])
def test_other_metrics_have_levels_too(db, vectors, metric):
    own = db.collection("others", dim=DIM, metric=metric)
    own.add_embeddings([str(i) for i in range(N)], vectors)
    found = own.search(100 * vectors[3] if metric == "dot" else vectors[3], k=N)
    assert found[N // 2].level == "chance"
    if metric == "dot":
        assert found[0].level == "strong"


def test_few_rows_have_no_percentiles_nor_levels_of_an_unmeasured_model(db):
    own = db.collection("few", dim=2)
    own.add_embeddings(["a", "b"], [[1, 0], [0, 1]])
    same, other = own.search(np.array([1, 0]), k=2)
    assert same.percentile is None and same.level is None and other.level is None
    with pytest.raises(InputError, match="min_percentile is not available"):
        own.search(np.array([1, 0]), min_percentile=50)


@pytest.fixture
def album(db, photos):
    collection = db.collection("photos", model="efficientnet-lite2")
    collection.add(photos)
    return collection


def levels(matches):
    return {match.image_name: match.level for match in matches}


def test_the_same_picture_changed_is_strong_and_any_other_is_chance(album, photos):
    found = levels(album.search(photos / "cat.jpg", k=27))
    cats = {"cat.jpg", "cat-crop.jpg", "cat-mirrored.jpg", "cat-dark.jpg"}
    assert {name for name, level in found.items() if level == "strong"} == cats
    assert {level for name, level in found.items() if name not in cats} == {"chance"}


def test_words_for_what_is_not_stored_find_nothing_but_chance(album):
    for word in ("bicycle", "grasshopper", "piano", "dog", "a dog on a beach"):
        assert set(levels(album.search(Text(word))).values()) == {"chance"}, word


def test_words_for_what_is_stored_are_no_chance(album):
    found = levels(album.search(Text("a photo of a cat"), k=27))
    cats = {name for name in found if name.startswith("cat")}
    assert all(found[name] == "strong" for name in cats)
    assert {level for name, level in found.items() if name not in cats} == {"chance"}
    for word in ("bee", "lemon", "bridge", "coffee"):
        best, *_ = album.search(Text(word))
        assert best.level != "chance", word


def test_a_measured_model_has_levels_for_any_number_of_images(db, photos):
    collection = db.collection("two", model="efficientnet-lite2")
    collection.add(photos / "cat-dark.jpg", photos / "rocket.jpg")
    found = collection.search(photos / "cat.jpg")
    assert levels(found) == {"cat-dark.jpg": "strong", "rocket.jpg": "chance"}
    assert [match.percentile for match in found] == [None, None]
    assert levels(collection.search(Text("bicycle"))) == dict.fromkeys(levels(found), "chance")


def test_a_collection_of_one_thing_alone_does_not_make_it_chance(db, photos):
    collection = db.collection("cats", model="efficientnet-lite2")
    collection.add(*sorted(photos.glob("cat*.jpg")))
    assert set(levels(collection.search(photos / "cat.jpg")).values()) == {"strong"}
    assert set(levels(collection.search(Text("cat"))).values()) == {"strong"}


def test_mixes_of_images_have_levels_and_those_with_words_have_none(album, photos):
    cats = album.search(Image(photos / "cat.jpg") + Image(photos / "cat-dark.jpg"), k=27)
    assert {m.image_name for m in cats if m.level == "strong"} == {
        *("cat.jpg", "cat-crop.jpg", "cat-mirrored.jpg", "cat-dark.jpg")
    }
    for mix in (Text("cat") + Image(photos / "cat.jpg"), Text("cat") + Text("dog"), -Text("cat")):
        assert {match.level for match in album.search(mix)} == {None}
    mixed = album.search(Text("cat") + Image(photos / "cat.jpg"))
    assert mixed[0].percentile is None


def test_words_have_percentiles_of_their_own(db, album, photos):
    words = album.search(Text("cat"), k=1)[0]
    image = album.search(photos / "cat-dark.jpg", k=2)[1]
    assert words.similarity < image.similarity
    assert words.percentile > 95 and image.percentile > 95
    kinds = db.rows("SELECT kind FROM lookalike_levels ORDER BY kind")[1]
    assert kinds == [("image",), ("text",)]


def test_files_with_the_querys_bytes_can_be_left_out(db, photos, tmp_path):
    collection = db.collection("photos", model="efficientnet-lite2")
    collection.add(photos)
    copy = tmp_path / "copy.jpg"
    copy.write_bytes((photos / "cat.jpg").read_bytes())
    names = [m.image_name for m in collection.search(copy, k=3, exclude_self=True)]
    assert "cat.jpg" not in names and len(names) == 3
    assert collection.search(copy, k=1)[0].image_name == "cat.jpg"
    content = copy.read_bytes()
    assert collection.search(content, k=3, exclude_self=True)[0].image_name == names[0]
