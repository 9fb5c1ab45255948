"""The levels' benchmark: its thresholds keep the targets on made-up queries."""

import numpy as np
import pytest

from benchmarks import levels
from lookalike.search.percentiles import IMAGE, PERCENTILES, Percentiles

NOBODYS = Percentiles(np.linspace(0, 1, len(PERCENTILES)))


def asked(rng, n, label, held):
    """Ten results: the scores of strangers grow with the collection, those right lie 4 above."""
    similarities = rng.normal(np.log10(n), 1, 10)
    right = np.zeros(10, bool)
    if held:
        right[:5] = True
        similarities[:5] += 4
    shares = np.ones(10)
    query = np.ones(2, np.float32)
    return levels.Asked(IMAGE, label, n, held, True, query, similarities, shares, right, NOBODYS)


def test_fitted_thresholds_keep_the_targets_and_grow():
    rng = np.random.default_rng(0)
    queries = [
        asked(rng, n, label, held)
        for n in levels.COLLECTIONS
        for label in range(20)
        for held in (True, False)
        for _ in range(10)
    ]
    found = levels.fit(queries, lambda one: one.similarities)
    assert found.growth == pytest.approx(1, abs=0.15)
    assert found.weak <= found.strong
    strong, absent = [], []
    for one in queries:
        names = np.array([found.level(score, one.n) for score in one.similarities])
        strong += one.right[names == "strong"].tolist()
        if not one.held:
            absent.append((names != "chance").any())
    assert np.mean(strong) >= 0.9 and np.mean(absent) <= 0.1


def test_each_half_has_labels_of_its_own():
    fitted, reported = levels.halves()
    assert len(fitted) == len(reported) == 25 and not fitted & reported
