"""Embeddings in the database: near ones are found as numpy finds them, and decided."""

import numpy as np
import pytest

from lookalike import InputError
from tests.duplicates.finding import find_with

pytestmark = pytest.mark.capability("duplicates")

DIM = 24


def planted(n, seed=0):
    """Random unit vectors (n, DIM), of which every tenth has 1 to 3 near neighbours after it."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, DIM))
    for start in range(0, n - 3, 10):
        for place in range(start + 1, start + 2 + start // 10 % 3):
            base[place] = base[start] + 0.03 * rng.standard_normal(DIM)
    return (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)


def stars(embeddings, least):
    """Groups by brute force: by id, each row takes the later free ones that are near enough."""
    similarities = embeddings.astype(float) @ embeddings.astype(float).T
    taken, groups = set(), {}
    for row in range(len(embeddings)):
        if row in taken:
            continue
        near = [o for o in np.flatnonzero(similarities[row] >= least) if o > row and o not in taken]
        taken.update(near)
        if near:
            groups[row + 1] = {int(other) + 1 for other in near}
    return groups


def found(groups):
    return {group.keep.id: {image.id for image in group.duplicates} for group in groups}


@pytest.mark.parametrize(("n", "most_compared"), [(300, 300), (1500, 1500), (300, 299), (1500, 9)])
def test_similar_embeddings_are_grouped_as_by_brute_force(engine, n, most_compared):
    own = engine.collection("own", dim=DIM)
    embeddings = planted(n)
    own.add_embeddings([f"v{i}" for i in range(n)], embeddings)
    groups = find_with(own, min_similarity=0.9, most_compared=most_compared)
    assert found(groups) == stars(embeddings, 0.9)
    if n > most_compared:
        is_borrowed = own.metric in engine.dialect.indexed_metrics
        assert (own._state.index.load() is None) == is_borrowed
    for group in groups:
        for image in group.duplicates:
            expected = embeddings[group.keep.id - 1].astype(float) @ embeddings[image.id - 1]
            assert image.similarity == pytest.approx(expected, abs=1e-6)
            assert image.tier == group.tier == "similar" and image.path is None
        assert group.keep.tier is None
    sizes = [len(group.duplicates) for group in groups]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("most_compared", [2000, 0])
def test_more_neighbours_than_one_question_brings_are_all_found(db, most_compared):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((1200, DIM))
    embeddings[100:200] = embeddings[100] + 0.02 * rng.standard_normal((100, DIM))
    embeddings[300:400] = embeddings[300]  # and copies, which are one picture
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(1200)], embeddings)
    groups = found(find_with(own, min_similarity=0.95, most_compared=most_compared))
    assert groups == {101: set(range(102, 201)), 301: set(range(302, 401))}


def test_rows_without_embeddings_are_none(db):
    db.rows(
        "CREATE TABLE own (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        f"embedding VECTOR({DIM}))"
    )
    db.rows("INSERT INTO own (image_name) VALUES " + ", ".join(["('x')"] * 300))
    assert db.collection("own").duplicates.find(min_similarity=0.95) == []
    own = db.collection("own", dim=DIM)
    own.add_embeddings(["a", "b"], [[1.0] * DIM] * 2)
    assert found(own.duplicates.find(min_similarity=0.95)) == {301: {302}}


def test_rows_of_other_programs_are_seen(db):
    own = db.collection("own", dim=DIM)
    embeddings = planted(1100)
    own.add_embeddings([f"v{i}" for i in range(1100)], embeddings)
    db.rows("INSERT INTO own (image_name, embedding) SELECT 'x', embedding FROM own WHERE id = 5")
    assert {5, 1101} in [
        {keep, *others} for keep, others in found(own.duplicates.find(min_similarity=0.95)).items()
    ]


def test_decisions_are_remembered(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b", "c"], [[1, 0], [1, 0.01], [1, 0.02]])
    assert found(own.duplicates.find(min_similarity=0.95)) == {1: {2, 3}}
    own.duplicates.mark_distinct(3, 1)
    own.duplicates.mark_distinct(1, 3)
    assert found(db.collection("own").duplicates.find(min_similarity=0.95)) == {1: {2}}
    assert db.rows("SELECT * FROM own_distinct")[1] == [(1, 3)]
    own.duplicates.mark_distinct(1, 2, 3)
    assert own.duplicates.find(min_similarity=0.95) == []
    assert own.duplicates.unmark_distinct(2, 3) == 1 and own.duplicates.unmark_distinct(2, 3) == 0
    assert found(own.duplicates.find(min_similarity=0.95)) == {2: {3}}
    own.remove_rows([1])
    assert db.rows("SELECT COUNT(*) FROM own_distinct")[1] == [(0,)]
    with pytest.raises(InputError, match="no image with id 99"):
        own.duplicates.mark_distinct(2, 99)
    with pytest.raises(InputError, match="two different images"):
        own.duplicates.mark_distinct(2, 2)


def test_what_cannot_be_honoured_is_refused(db):
    own = db.collection("own", dim=2)
    with pytest.raises(InputError, match="it has no collections yet"):
        own.duplicates.find(min_similarity=0.95)
    own.add_embeddings(["a"], [[1, 0]])
    assert own.duplicates.find(min_similarity=0.95) == []
    own.remove_rows([1])
    assert own.duplicates.find(min_similarity=0.95) == []
    for options, message in (
        ({"min_similarity": 1.5}, "min_similarity is 1.5"),
        ({"tier": "identical", "min_similarity": 0.9}, "no meaning without the tier similar"),
        ({"tier": "same"}, "there is no tier 'same'"),
        ({"keep": "newest"}, "cannot keep 'newest'"),
        ({"orientations": "any"}, "no orientations 'any': give auto, upright, all"),
    ):
        with pytest.raises(InputError, match=message):
            own.duplicates.find(**options)
    with pytest.raises(InputError, match="not both"):
        own.duplicates.delete([], move_to="x", permanently=True)
    with pytest.raises(InputError, match="no tier 'all'"):
        own.duplicates.delete([], tier="all")


def test_other_metrics_need_their_own_threshold(db):
    own = db.collection("own", dim=2, metric="euclidean")
    own.add_embeddings(["a", "b", "c"], [[1, 0], [1, 0.1], [3, 0]])
    with pytest.raises(InputError, match="was measured for the metric euclidean: give --min-"):
        own.duplicates.find()
    assert found(own.duplicates.find(min_similarity=-0.2)) == {1: {2}}
    assert own.duplicates.find(tier="near-duplicate") == []


def test_nothing_is_similar_by_default_where_it_was_never_measured(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 0], [1, 0.01]])
    with pytest.raises(
        InputError, match=r"embeddings of your own: give --min-similarity .* --tier"
    ):
        own.duplicates.find()
    db.rows("UPDATE lookalike_collections SET model = 'clip-ViT-B-32'")
    clip = db.collection("own")
    with pytest.raises(InputError, match="was measured for the model clip-ViT-B-32"):
        clip.duplicates.find()
    assert clip.duplicates.find(tier="near-duplicate") == []
    assert found(clip.duplicates.find(min_similarity=0.95)) == {1: {2}}


def test_a_table_that_others_made_is_searched_and_stays_as_it_is(db):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY, image_name TEXT, embedding VECTOR(2))")
    db.rows(
        "INSERT INTO t VALUES (7, 'a', STRING_TO_VECTOR('[1,2]')), (3, 'b', "
        "STRING_TO_VECTOR('[1,2]')), (5, NULL, NULL), (6, 'zero', STRING_TO_VECTOR('[0,0]'))"
    )
    assert found(db.collection("t").duplicates.find(min_similarity=0.95)) == {3: {7}}
    assert db.rows("SHOW TABLES")[1] == [("t",)]
