"""Neighbours by the index in memory: all near pairs, whatever the metric and the tables hold."""

import numpy as np
import pytest

from lookalike.core.vectors import pack
from lookalike.duplicates import neighbours
from lookalike.duplicates.in_memory import Reach, neighbours_in_memory
from lookalike.duplicates.pictures import read_images
from lookalike.duplicates.workers import workers
from lookalike.index import loading
from tests.duplicates.finding import find_with
from tests.oracle import similarities

N, DIM = 1500, 20
LEAST = {"cosine": 0.9, "euclidean": -0.6, "dot": 1.0}


def find(own, **options):
    """Find duplicates with the index, however few pictures there are."""
    return find_with(own, most_compared=9, **options)


def planted(n=N):
    """Random vectors (n, DIM), every tenth with 1 to 3 near ones after it; some are longer."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((n, DIM)) / np.sqrt(DIM)
    for start in range(0, n - 3, 10):
        for place in range(start + 1, start + 2 + start // 10 % 3):
            rows[place] = rows[start] + 0.02 * rng.standard_normal(DIM)
    return (rows * (1 + (np.arange(n) // 10 % 2))[:, np.newaxis]).astype(np.float32)


def near_pairs(vectors, metric):
    """All pairs of rows that are similar enough, by numpy."""
    pairs = set()
    for row, vector in enumerate(vectors):
        near = np.flatnonzero(similarities(vectors, vector, metric) >= LEAST[metric])
        pairs |= {(row + 1, int(other) + 1) for other in near if other > row}
    return pairs


def ends(groups):
    return {frozenset((g.keep.id, image.id)) for g in groups for image in g.duplicates}


def by_sql(own, monkeypatch, **options):
    with monkeypatch.context() as patch:
        patch.setattr(neighbours, "load", lambda *args, **named: None)
        return find(own, **options)


@pytest.mark.nightly
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_every_near_pair_is_in_a_group(db, metric, monkeypatch):
    vectors = planted()
    own = db.collection("own", dim=DIM, metric=metric)
    own.add_embeddings([f"v{i}" for i in range(N)], vectors)
    groups = find(own, min_similarity=LEAST[metric])
    grouped = {row_id for pair in ends(groups) for row_id in pair}
    pairs = near_pairs(vectors, metric)
    # The dot product has no neighbourhoods: some pairs are far down a ranking.
    missed = [pair for pair in pairs if not grouped & set(pair)]
    assert len(pairs) > 100 and len(missed) <= (len(pairs) // 100 if metric == "dot" else 0)
    assert {tuple(sorted(pair)) for pair in ends(groups)} <= pairs
    if metric != "dot":
        assert groups == by_sql(own, monkeypatch, min_similarity=LEAST[metric])


@pytest.mark.nightly
def test_copies_rows_of_others_and_rows_without_codes(db, monkeypatch):
    vectors = planted()
    vectors[700:900] = vectors[700]  # more copies than a picture asks for neighbours
    vectors[900] = vectors[700] + 0.001
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(N)], vectors)
    # A hole that the index does not know of, and a tail that it cannot process.
    db.rows("DELETE FROM own WHERE id = 13")
    monkeypatch.setattr(own._state.index, "advance_tail", lambda ids: None)
    db.rows("INSERT INTO own VALUES (9000, 'x', %s)", (pack(vectors[20] * 3 + 0.001),))
    groups = find(own, min_similarity=0.9)
    found = {group.keep.id: {image.id for image in group.duplicates} for group in groups}
    assert found[701] == set(range(702, 902))
    assert 9000 in found[21] and 13 not in {row_id for pair in ends(groups) for row_id in pair}
    assert groups == by_sql(own, monkeypatch, min_similarity=0.9)


@pytest.mark.nightly
def test_more_near_ones_than_are_asked_for_first(db):
    vectors = planted()
    rng = np.random.default_rng(1)
    vectors[1000:1300] = vectors[1000] + 0.002 * rng.standard_normal((300, DIM))
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(N)], vectors)
    groups = find(own, min_similarity=0.95)
    largest = {groups[0].keep.id, *(image.id for image in groups[0].duplicates)}
    assert largest == set(range(1001, 1301))


@pytest.mark.nightly
def test_batches_of_any_size_find_the_same(db):
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(N)], planted())
    own.duplicates.find(tier="identical")  # makes the tables
    index = own._state.index
    images, copy = read_images(index.table), loading.load(index, notify=print)

    def pairs(**sizes):
        reach = Reach(0.9, 0.9, 0.9)
        with workers() as crew:
            found = neighbours_in_memory(
                index.table, copy, images, reach, crew, lambda done, total: None, **sizes
            )
        return {(min(pair), max(pair)) for part in found for pair in zip(*part[:2], strict=True)}

    assert len(pairs()) > 100
    for batch in (1, 100):
        assert pairs(batch=batch, most_candidates=10) == pairs()


def test_the_steps_are_told_and_why_mysql_searches(db, monkeypatch):
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(N)], planted())
    seen, lines = [], []
    own._state.notify = lines.append
    find(own, min_similarity=0.9, progress=lambda *step: seen.append(step))
    assert ("Reading the index", N, N) in seen and ("Looking for neighbours", N, N) in seen
    monkeypatch.setattr(loading, "refusal", lambda: "faiss is old")
    find(own, min_similarity=0.9)
    assert lines == ["MySQL searches the index, which takes longer, because faiss is old."]


@pytest.mark.nightly
def test_a_limit_of_memory(db):
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(N)], planted())
    lines = []
    own._state.notify = lines.append
    expected = find(own, min_similarity=0.9)
    assert find(own, min_similarity=0.9, index_memory=1000) == expected
    assert len(lines) == 1 and "the limit is 0.0 MB: MySQL searches it" in lines[0]
