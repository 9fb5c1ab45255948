"""The index's estimates, and the plan that training chooses, against exact inner products."""

from dataclasses import replace

import numpy as np
import pytest

from lookalike.core.types import Plan
from lookalike.index.ivf import Index, Preparation, unit_for
from lookalike.index.probes import LEAST_RESCORED, K, PlanFinder
from lookalike.index.rotation import FactoredRotation

DIM = 64
RNG = np.random.default_rng(8)
UNKNOWN = Plan(1, 0.0, 0, None, 0.99)


def make_index(vectors, metric="cosine", n_cells=20):
    unit = 1.0 if metric == "cosine" else unit_for(vectors)
    prepared = Preparation(metric, FactoredRotation(DIM, 0), unit)(vectors)
    centroids = prepared[RNG.permutation(len(prepared))[:n_cells]]
    spreads = np.full(n_cells, np.std(prepared) * np.sqrt(DIM), np.float32)
    index = Index(metric, DIM, 1, 0, unit, UNKNOWN, len(vectors), centroids, spreads)
    codes = index.encode(np.arange(len(vectors)), prepared).in_key_order()
    return index, codes


def data(n, spread=0.5):
    subjects = RNG.standard_normal((10, DIM))
    rows = subjects[RNG.integers(0, 10, n)] + spread * RNG.standard_normal((n, DIM))
    return rows.astype(np.float32)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_estimates_of_dot_are_as_near_whatever_the_query_and_the_vectors_measure(scale):
    vectors = data(400) * np.float32(scale)
    index, codes = make_index(vectors, "dot")
    query = data(1)[0] * np.float32(1e-20)
    prepared = index.preparation.query(query)
    cells = np.arange(index.n_cells)
    found = index.estimates(prepared, cells, codes, codes.cells)
    direction = query.astype(float) / np.linalg.norm(query.astype(float))
    exact = (vectors[codes.ids].astype(float) / index.unit) @ direction
    residuals = index.preparation(vectors[codes.ids]) - index.centroids[codes.cells]
    # The paper's bound: |r| |y| / sqrt(dim), and |y| is at most the query's length, which is 1.
    errors = np.abs(found - exact) / np.linalg.norm(residuals, axis=1).clip(min=1e-6)
    assert np.sqrt(np.mean(errors**2)) < 1 / np.sqrt(DIM)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_estimates_are_within_the_papers_bound(metric):
    vectors, query = data(400), data(1)[0]
    index, codes = make_index(vectors, metric)
    prepared = index.preparation.query(query)
    found = index.estimates(prepared, np.arange(index.n_cells), codes, codes.cells)
    exact, q = vectors[codes.ids].astype(float), query.astype(float)
    if metric == "cosine":
        exact /= np.linalg.norm(exact, axis=1, keepdims=True)
        scores = exact @ (q / np.linalg.norm(q))
    else:
        exact, q = exact / index.unit, q / index.unit
        scores = exact @ q - (exact**2).sum(axis=1) / 2
    centroids = index.centroids[codes.cells]
    residuals = np.linalg.norm(index.preparation(vectors[codes.ids]) - centroids, axis=1)
    rests = np.linalg.norm(prepared - centroids, axis=1)
    errors = (found - scores) / (residuals * rests).clip(min=1e-6)
    assert np.sqrt(np.mean(errors**2)) < 1 / np.sqrt(DIM)


def test_lengths_at_the_ends_of_float32_are_prepared_alike():
    vectors = data(50)
    for metric, scales in (("cosine", (1e-38, 1e-30, 1e30)), ("dot", (1e-30, 1e30))):
        usual = Preparation(metric, FactoredRotation(DIM, 0), unit_for(vectors))(vectors)
        for scale in scales:
            scaled = vectors * np.float32(scale)
            prepared = Preparation(metric, FactoredRotation(DIM, 0), unit_for(scaled))(scaled)
            assert np.isfinite(prepared).all()
            lengths = np.linalg.norm(prepared, axis=1) / np.linalg.norm(usual, axis=1)
            cosines = (prepared * usual).sum(axis=1) / np.linalg.norm(prepared, axis=1)
            cosines /= np.linalg.norm(usual, axis=1)
            assert cosines == pytest.approx(1, abs=1e-3)
            assert lengths == pytest.approx(lengths[0], rel=1e-2)


def searched(index, codes, query, plan):
    """The rows that a search with this plan compares exactly, by numpy."""
    prepared = index.preparation.query(query)
    scores = index.cell_scores(prepared)[0]
    cells = np.argsort(-scores)[: plan.n_probes]
    cells = cells[scores[cells] >= scores.max() - plan.probe_gap]
    rows = np.flatnonzero(np.isin(codes.cells, cells))
    place = np.empty(index.n_cells, np.intp)
    place[cells] = np.arange(len(cells))
    which = place[codes.cells[rows]]
    estimates = index.estimates(prepared, cells, codes.take(rows), which)
    return codes.ids[rows[np.argsort(-estimates)[: plan.rescored]]]


@pytest.mark.parametrize("target", [0.8, 0.99])
def test_a_plan_finds_the_target_for_queries_it_has_not_seen(target):
    vectors = data(4500, spread=1.5)
    vectors, queries = vectors[:4000], vectors[4000:]
    index, codes = make_index(vectors, n_cells=100)
    prepared = index.preparation(vectors)
    chosen = RNG.permutation(4000)[:300]
    finder = PlanFinder("cosine", prepared[chosen], chosen)
    for start in range(0, 4000, 700):
        part = np.arange(start, min(start + 700, 4000))
        finder.see(part, finder.similarities(part, prepared[part]))
    plan = finder.plan(index, codes, target)
    assert target <= plan.recall <= 1 and plan.target_recall == target
    index = replace(index, plan=plan)
    hits = 0
    exact = vectors.astype(float) / np.linalg.norm(vectors.astype(float), axis=1, keepdims=True)
    for query in queries:
        scores = exact @ (query / np.linalg.norm(query))
        kth = np.sort(scores)[-K]
        near = scores[searched(index, codes, query, plan)] >= kth - 1e-3 * abs(kth)
        hits += min(K, int(near.sum()))
    assert hits / (K * len(queries)) >= target - 0.015


def test_few_neighbours_and_copies_of_one_embedding_have_a_plan():
    for vectors in (data(12), np.repeat(data(1), 300, axis=0)):
        index, codes = make_index(vectors, n_cells=1)
        finder = PlanFinder("cosine", index.preparation(vectors), np.arange(len(vectors)))
        ids, prepared = np.arange(len(vectors)), index.preparation(vectors)
        finder.see(ids, finder.similarities(ids, prepared))
        plan = finder.plan(index, codes, 0.99)
        assert plan.n_probes == 1 and plan.rescored >= LEAST_RESCORED
