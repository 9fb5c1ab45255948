"""Percentiles: a similarity as the share of random pairs that are less similar."""

import numpy as np
import pytest

from lookalike.search.percentiles import PERCENTILES, Percentiles


def percentiles_of(scores):
    return Percentiles(np.percentile(scores, PERCENTILES))


def test_a_percentile_is_the_share_that_is_less_similar():
    scores = np.random.default_rng(0).normal(0.2, 0.1, 100_000)
    found = percentiles_of(scores)
    for similarity in (0.1, 0.2, 0.35, 0.5):
        share = 100 * np.mean(scores < similarity)
        assert found.percentile(similarity) == pytest.approx(share, abs=0.1)
        assert found.similarity(found.percentile(similarity)) == pytest.approx(similarity, abs=0.01)
    assert found.percentile(-1) == 0 and found.percentile(1) == 100


def test_of_equal_pairs_none_is_less_similar():
    # 9% of the pairs are of one placeholder; its copies differ in the last bits.
    scores = np.concatenate([np.linspace(0, 0.5, 9100), np.full(450, 1.0), np.full(450, 1 - 6e-8)])
    found = percentiles_of(scores)
    assert found.percentile(1.0) == pytest.approx(91, abs=1) == found.percentile(0.99999994)
    assert found.percentile(0.25) == pytest.approx(45.5, abs=0.2)
