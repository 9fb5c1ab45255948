"""The arithmetic of large collections: what the page says, and what a simulation of queues says."""

import numpy as np
import pytest

from benchmarks.scaling import CLIP, TABLES, ingest_rate, nodes, training_hours
from benchmarks.simulation import Latency, Stages, fan_out, ingest, queue
from tests.places import REPO


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.mark.parametrize("name", TABLES)
def test_the_page_has_the_table_of_the_benchmark(name):
    assert TABLES[name]() in (REPO / "docs" / "scaling.md").read_text()


@pytest.mark.parametrize(("n", "dim", "seconds"), [(1_000_000, 512, 60.7), (10_000_000, 128, 451)])
def test_training_takes_what_was_measured(n, dim, seconds):
    assert training_hours(n, dim) * 3600 == pytest.approx(seconds, rel=0.05)


def test_a_queue_of_one_core_waits_as_the_formula_says(rng):
    """M/M/1: the mean time in the system is 1 / (mu - lambda)."""
    service = rng.exponential(10, 400_000)  # mu: 100 a second
    took = queue(service, rate=60, nodes=1, cores=1, rng=rng)
    assert took.mean() == pytest.approx(1000 / (100 - 60), rel=0.05)


def test_nodes_are_enough_and_one_fewer_is_busier(rng):
    enough = nodes(1000, 20, cores=4)
    assert 1000 * 20 / 1000 / (enough * 4) <= 0.7 < 1000 * 20 / 1000 / ((enough - 1) * 4)
    took = queue(np.full(100_000, 20.0), 1000, enough, 4, rng)
    assert np.quantile(took, 0.99) < 100


def test_a_search_of_all_shards_is_the_slowest_of_them(rng):
    one = Latency(2.0, 10.0)
    times = one.sample(400_000, rng)
    assert np.quantile(times, [0.5, 0.99]) == pytest.approx([2, 10], rel=0.03)
    # the median of the slowest of 16 is the quantile .5 ** (1 / 16) of one
    expected = np.quantile(times, 0.5 ** (1 / 16)) + 16 * 0.1
    assert np.median(fan_out(one, 16, 0.1, 50_000, rng)) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("workers", [1, 10, 200])
def test_the_slowest_stage_decides(rng, workers):
    stages = Stages(4823.0, CLIP, 2243.0)
    simulated = ingest(500_000, workers, stages, 64, rng)
    assert simulated == pytest.approx(ingest_rate(workers, CLIP), rel=0.03)
