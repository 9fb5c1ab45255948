"""Queues of servers, shards and embedding machines, simulated from measured times.

They check the arithmetic of `benchmarks.scaling`, which has means only: a queue also has a tail.
"""

import heapq
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


class Latency(NamedTuple):
    """A measured latency in milliseconds; between its quantiles it is taken as lognormal."""

    p50: float
    p99: float

    def sample(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Return n times in ms, shape (n,)."""
        sigma = np.log(self.p99 / self.p50) / 2.3263  # the 99th percentile of a standard normal
        return np.asarray(rng.lognormal(np.log(self.p50), sigma, n))


def quantiles(times: FloatArray) -> Latency:
    """Return p50 and p99 of times."""
    p50, p99 = np.quantile(times, [0.5, 0.99])
    return Latency(float(p50), float(p99))


def queue(
    service: FloatArray, rate: float, nodes: int, cores: int, rng: np.random.Generator
) -> FloatArray:
    """Return how long each search takes, in ms, waiting included.

    service: what each takes by itself, in ms. They arrive at random, `rate` a second, at nodes that
    the client chooses at random; each core of a node does one at a time.
    """
    arrivals = np.cumsum(rng.exponential(1000 / rate, len(service)))
    chosen = rng.integers(nodes, size=len(service))
    free = [[0.0] * cores for _ in range(nodes)]
    took = np.empty(len(service))
    for i, (arrival, node, needs) in enumerate(zip(arrivals, chosen, service, strict=True)):
        core = heapq.heappop(free[node])
        ends = max(core, arrival) + needs
        heapq.heappush(free[node], ends)
        took[i] = ends - arrival
    return took


def fan_out(
    latency: Latency, shards: int, merge: float, n: int, rng: np.random.Generator
) -> FloatArray:
    """Return how long searches take that ask all shards at once and wait for the last, in ms.

    merge: what the head adds for each shard, in ms.
    """
    times = latency.sample(n * shards, rng).reshape(n, shards)
    return np.asarray(times.max(axis=1) + merge * shards)


class Stages(NamedTuple):
    """Images a second of each stage of an ingest; embed: of one worker."""

    scan: float
    embed: float
    write: float


def ingest(
    n: int, workers: int, stages: Stages, batch: int, rng: np.random.Generator, noise: float = 0.2
) -> float:
    """Return how many images a second are stored, of n; start and end of the run included.

    A driver lists batches, the first free worker embeds one, and one writer stores them in the
    order in which they come back. noise: the spread of a worker's times, relative to their mean.
    """
    free = [0.0] * workers
    heapq.heapify(free)
    done: list[float] = []
    for i in range(-(-n // batch)):
        listed = (i + 1) * batch / stages.scan
        began = max(heapq.heappop(free), listed)
        ended = began + max(0.1, rng.normal(1, noise)) * batch / stages.embed
        heapq.heappush(free, ended)
        done.append(ended)
    stored = 0.0
    for ended in sorted(done):
        stored = max(stored, ended) + batch / stages.write
    return n / stored
