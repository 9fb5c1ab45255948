"""A collection on one MariaDB beside the same one spread over four, on this machine.

    python -m benchmarks.shards [-n 200000] [--dim 128]

All servers share the machine's cores, so this shows what spreading costs, not what it gains.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lookalike
from benchmarks.dataset import CACHE
from examples.shards.servers import Servers
from lookalike.core.vectors import FloatArray

SHARDS = ["shard1", "shard2", "shard3", "shard4"]
K, QUERIES, FILTERED_QUERIES, BATCH = 10, 200, 20, 2000
CENTRES, NOISE = 2000, 0.6
LATE = lookalike.IndexSizes(rows_for_cells=10**9)  # rows first: an index slows inserts down
WHERE, PRICES = "price<10", 100


def make(n: int, dim: int) -> tuple[FloatArray, FloatArray]:
    """Return n clustered unit vectors, and queries of the same kind."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(CENTRES, dim))
    chosen = centres[rng.integers(CENTRES, size=n + QUERIES)]
    vectors = (chosen + NOISE * rng.normal(size=chosen.shape)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors[:n], vectors[n:]


def fill(db: lookalike.Database, vectors: FloatArray, shards: Sequence[str]) -> None:
    """Store the vectors with a price each, and print how long that took."""
    began = time.monotonic()
    collection = db.collection("vectors", dim=vectors.shape[1], shards=shards)
    for start in range(0, len(vectors), BATCH):
        collection.upsert(vectors[start : start + BATCH])
    print(f"  stored in {time.monotonic() - began:.0f} s", flush=True)
    collection.attributes.update({1: {"price": 0}})
    prices = f"UPDATE vectors SET attributes = JSON_OBJECT('price', (id - 1) % {PRICES})"
    for name in shards:
        db.rows("SELECT spider_direct_sql(%s, '', %s)", (prices, f'server "{name}"'))
    if not shards:
        db.rows(prices)


def index(db: lookalike.Database) -> None:
    """Create the servers' indexes, and print how long that took."""
    began = time.monotonic()
    db.collection("vectors").index.build()
    print(f"  indexed in {time.monotonic() - began:.0f} s", flush=True)


def measure(db: lookalike.Database, vectors: FloatArray, queries: FloatArray) -> None:
    """Print p50 and recall of searches, and p50 of filtered ones, which must be exact."""
    collection = db.collection("vectors")
    passing = np.arange(len(vectors)) % PRICES < 10
    scores = vectors @ queries.T
    hits, times = 0, []
    for number, query in enumerate(queries):
        began = time.perf_counter()
        found = collection.search(query, k=K)
        times.append(time.perf_counter() - began)
        truth = np.argsort(-scores[:, number])[:K] + 1
        hits += len({match.id for match in found} & set(truth.tolist()))
    recall = hits / K / len(queries)
    print(f"  p50 {1000 * statistics.median(times):.1f} ms, recall@{K} {recall:.4f}")
    times = []
    for number, query in enumerate(queries[:FILTERED_QUERIES]):
        began = time.perf_counter()
        found = collection.search(query, k=K, where=WHERE)
        times.append(time.perf_counter() - began)
        expected = np.argsort(-np.where(passing, scores[:, number], -2))[:K] + 1
        if {match.id for match in found} != set(expected.tolist()):
            print("  differs:", [(match.id, match.similarity) for match in found])
            print("  numpy:", [(row, scores[row - 1, number]) for row in expected.tolist()])
    print(f"  {WHERE}: p50 {1000 * statistics.median(times):.0f} ms, exact", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=200_000)
    parser.add_argument("--dim", type=int, default=128)
    asked = parser.parse_args()
    vectors, queries = make(asked.n, asked.dim)
    mariadbd = lookalike.PrivateServer(CACHE / "mariadb", engine="mariadb").install()
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder), mariadbd)
        try:
            servers.start()
            # The first shard alone is the one server.
            alone = servers.url.replace("/head/", "/shard1/")
            for title, url, shards in (("four", servers.url, SHARDS), ("one", alone, [])):
                print(f"{title}: {asked.n:,} x {asked.dim}", flush=True)
                with lookalike.connect(url, index_sizes=LATE) as db:
                    fill(db, vectors, shards)
                with lookalike.connect(url) as db:
                    index(db)
                    measure(db, vectors, queries)
                    db.delete_collection("vectors")
        finally:
            servers.stop()


if __name__ == "__main__":
    main()
