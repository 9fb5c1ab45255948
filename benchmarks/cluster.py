"""Searches and failover in a group of three servers on this machine.

    python -m benchmarks.cluster [--rows N] [--kills N]

All servers and clients share this machine's cores: the searches a second tell what the routing
costs, and the time of the processors, which server did the work.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

import lookalike
from benchmarks.clients import Processes
from benchmarks.figures import Figures
from examples.cluster.cluster import Cluster, Node
from lookalike.core.vectors import FloatArray

DIM, TURNS, CLIENTS, SECONDS = 512, 3, 2, 6.0
EXPEL_DEFAULT = 5  # seconds


@dataclass(frozen=True)
class Searches:
    """A client's way to search, for its process."""

    url: str

    @contextmanager
    def open(self) -> Iterator["Opened"]:
        with lookalike.connect(self.url) as db:
            opened = Opened(db.collection("vectors"))
            opened.search(np.ones(DIM, np.float32))
            time.sleep(2.5)  # until the secondaries are known to have everything
            yield opened


class Opened:
    def __init__(self, collection: lookalike.Collection) -> None:
        self._collection = collection

    def search(self, query: FloatArray) -> object:
        return self._collection.search(query, k=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000, help="0: failover only")
    parser.add_argument("--kills", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        cluster = Cluster(Path(folder, "cluster"))
        try:
            started = time.monotonic()
            cluster.form()
            print(f"formed in {time.monotonic() - started:.0f} s", flush=True)
            if given.rows:
                rng = np.random.default_rng(0)
                _load(cluster.url, rng, given.rows)
                queries = rng.standard_normal((200, DIM)).astype(np.float32)
                print(_throughput(cluster, queries).table(), flush=True)
            for expel in (0, EXPEL_DEFAULT):
                _failover(cluster, given.kills, expel)
        finally:
            cluster.stop()


def _load(url: str, rng: np.random.Generator, n_rows: int) -> None:
    with lookalike.connect(url) as db:
        vectors = db.collection("vectors", dim=DIM)
        for start in range(0, n_rows, 2000):
            vectors.upsert(rng.standard_normal((min(2000, n_rows - start), DIM)))
        print(f"{n_rows:,} rows x {DIM}, {vectors.index.status().indexed:,} indexed", flush=True)


def _throughput(cluster: Cluster, queries: FloatArray) -> Figures:
    primary, secondaries = cluster.primary, cluster.secondaries
    assert primary is not None
    hosts = [f"127.0.0.1:{node.port}" for node in (primary, *secondaries)]
    ways = {f"{n} {'nodes' if n > 1 else 'node'}": ",".join(hosts[:n]) for n in (1, 2, 3)}
    figures = Figures(list(ways))
    for _ in range(TURNS):
        for way, listed in ways.items():
            searches = Searches(f"mysql://root@{listed}/lookalike")
            with Processes(searches, queries, CLIENTS) as clients:
                before = [_seconds_of(node) for node in cluster.nodes]
                rate = clients.rate(SECONDS)
                spent = [
                    _seconds_of(node) - b for node, b in zip(cluster.nodes, before, strict=True)
                ]
            figures.add("searches a second", way, rate)
            per_search = {
                node.port: 1000 * seconds / (rate * SECONDS)
                for node, seconds in zip(cluster.nodes, spent, strict=True)
            }
            figures.add("the primary's processor, ms a search", way, per_search[primary.port])
            others = sum(per_search[node.port] for node in secondaries)
            figures.add("the secondaries', together", way, others)
    return figures


def _seconds_of(node: Node) -> float:
    """Return how long a server's process has used processors."""
    pid = node.pid
    assert pid is not None
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def _failover(cluster: Cluster, n_kills: int, expel: int) -> None:
    """Print how long it takes until a write is acknowledged again, and the slowest search."""
    writes, searches, rejoined = [], [], []
    for _ in range(n_kills):
        for node in cluster.nodes:
            node.run(f"SET GLOBAL group_replication_member_expel_timeout = {expel}")
        with lookalike.connect(cluster.url) as db:
            write, search = _after_kill(cluster, db.collection("points", dim=2))
        writes.append(write)
        searches.append(search)
        killed = next(node for node in cluster.nodes if node.pid is None)
        started = time.monotonic()
        cluster.restart(killed)
        rejoined.append(time.monotonic() - started)
    figures = (
        f"{name} {statistics.median(found):.1f} s ({min(found):.1f} to {max(found):.1f})"
        for name, found in (
            ("until a write", writes),
            ("slowest search", searches),
            ("until it has joined again", rejoined),
        )
    )
    print(f"{n_kills} kills, expel timeout {expel} s: {'; '.join(figures)}", flush=True)


def _after_kill(cluster: Cluster, points: lookalike.Collection) -> tuple[float, float]:
    points.upsert([[1.0, 0.0]])
    time.sleep(2.5)
    primary = cluster.primary
    assert primary is not None
    primary.kill()
    killed, slowest = time.monotonic(), 0.0
    while True:
        started = time.monotonic()
        points.search([1.0, 0.0])
        slowest = max(slowest, time.monotonic() - started)
        try:
            points.upsert([[0.0, 1.0]])
            return time.monotonic() - killed, slowest
        except lookalike.DatabaseError:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
