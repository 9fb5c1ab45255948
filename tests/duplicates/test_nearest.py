"""All embeddings compared with one another, against numpy in float64."""

import numpy as np
import pytest

from lookalike.duplicates import nearest

N, DIM, K = 300, 16, 5


def similarities(embeddings, metric):
    """All of them by the definition, one by one."""
    rows = embeddings.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(((rows[:, np.newaxis] - rows) ** 2).sum(axis=2))
    if metric == "cosine":
        rows = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    return rows @ rows.T


def by_sorting(embeddings, metric, least, all_from):
    """{(row, column): whether it is among the K nearest} of those that are wanted."""
    scores = similarities(embeddings, metric)
    np.fill_diagonal(scores, -np.inf)
    wanted = {}
    for row, line in enumerate(scores):
        for rank, column in enumerate(np.argsort(-line, kind="stable")[:-1]):
            is_nearest = rank < K and line[column] >= least
            if is_nearest or line[column] >= all_from:
                wanted[row, int(column)] = bool(is_nearest)
    return wanted, scores


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("bound", [(0, 100), (-100, 100), (0, 97), (99.9, 99)])
def test_the_nearest_are_those_of_numpy(metric, bound, scale):
    embeddings = (scale * np.random.default_rng(0).standard_normal((N, DIM))).astype(np.float32)
    every = np.sort(similarities(embeddings, metric)[np.triu_indices(N, 1)])

    def at(percent):
        if abs(percent) == 100:
            return np.inf * percent
        place = round(percent / 100 * (len(every) - 1))
        return (every[place] + every[max(place - 1, 0)]) / 2

    least, all_from = map(at, bound)
    expected, scores = by_sorting(embeddings, metric, least, all_from)
    found, last = {}, 0
    for near in nearest.all_near(embeddings, metric, k=K, least=least, all_from=all_from, most=N):
        pairs = list(zip(near.rows.tolist(), near.columns.tolist(), strict=True))
        assert not found.keys() & set(pairs) and near.done > last
        last = near.done
        found |= dict(zip(pairs, near.is_nearest.tolist(), strict=True))
        assert near.similarity == pytest.approx([scores[pair] for pair in pairs], rel=1e-9)
    assert found == expected and last == N


def test_fewer_than_are_asked_for_are_all():
    two = np.array([[1, 0], [1, 1]], np.float32)
    (near,) = nearest.all_near(two, "cosine", k=2, least=-np.inf, all_from=np.inf, most=9)
    assert near.rows.tolist() == [0, 1] and near.columns.tolist() == [1, 0]
    (near,) = nearest.all_near(two[:1], "cosine", k=1, least=-np.inf, all_from=np.inf, most=9)
    assert near.rows.size == 0 and near.done == 1


def test_of_too_many_the_nearest_are_taken():
    """A thousand pictures that are all alike are no million pairs."""
    rng = np.random.default_rng(0)
    alike = (1 + 0.01 * rng.standard_normal((N, DIM))).astype(np.float32)
    found = nearest.all_near(alike, "cosine", k=K, least=0.5, all_from=0.9, most=20)
    pairs = {
        pair
        for near in found
        for pair in zip(near.rows.tolist(), near.columns.tolist(), strict=True)
    }
    scores = similarities(alike, "cosine")
    np.fill_diagonal(scores, -np.inf)
    best = {(row, int(c)) for row, line in enumerate(scores) for c in np.argsort(-line)[:20]}
    assert scores.max(axis=1).min() > 0.9 and len(pairs) == 20 * N
    # What differs by less than float32 tells may be either.
    assert len(pairs ^ best) <= 0.01 * len(best)


def test_of_equal_ones_no_more_are_taken():
    equal = np.ones((N, DIM), np.float32)
    for k, most in ((K, 1), (K, 20)):
        found = list(nearest.all_near(equal, "cosine", k=k, least=0.5, all_from=0.9, most=most))
        assert sum(near.is_nearest.sum() for near in found) == k * N
        assert sum(len(near.rows) for near in found) <= (k + most) * N
