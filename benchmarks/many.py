"""Many queries in one call of search_many, by SQL and by the index in memory.

    python -m benchmarks.many [--n 100000] [--queries 100 1000 10000]

The collection is the synthetic one of benchmarks.data. Both ways answer the same queries in one
run; the time in memory contains loading the index.
"""

import argparse
import time
from unittest.mock import patch

import numpy as np

from benchmarks.data import DIM, further, load
from benchmarks.dataset import Dataset, K
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.server import STOCK_POOL, database
from lookalike import Collection
from lookalike.core.vectors import FloatArray
from lookalike.search import searcher

WAYS = {"by SQL": False, "in memory": True}


def measure(collection: Collection, queries: FloatArray, dataset: Dataset) -> None:
    """Print a line for each way: seconds, queries a second, recall, and what lookalike chooses."""
    truth = ground_truth(Dataset(dataset.name, dataset.base, queries, dataset.folder))
    index = collection._state.index.load()
    assert index is not None
    chosen = searcher.pays(index, [searcher.SearchOptions(k=K)] * len(queries))
    for way, in_memory in WAYS.items():
        with patch.object(searcher, "pays", return_value=in_memory):
            started = time.perf_counter()
            found = collection.search_many(list(queries), k=K)
            seconds = time.perf_counter() - started
        ids = np.array([[match.id - 1 for match in matches] for matches in found])
        print(
            f"| {len(queries):,} | {way}{' (chosen)' if in_memory == chosen else ''} "
            f"| {seconds:.2f} | {len(queries) / seconds:,.0f} "
            f"| {recall_at_k(ids, truth, K):.4f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--queries", type=int, nargs="+", default=[100, 1000, 10_000])
    arguments = parser.parse_args()
    dataset, queries = load("synthetic", arguments.n), further(max(arguments.queries))
    with database(STOCK_POOL) as db:
        collection = db.collection(dataset.name, dim=DIM)
        collection.add_embeddings([str(i) for i in range(dataset.n)], dataset.base)
        collection.search_many(list(dataset.queries[:200]), k=K)  # warm
        print("| queries | | seconds | queries/s | recall@10 |\n|---:|---|---:|---:|---:|")
        for n in arguments.queries:
            measure(collection, queries[:n], dataset)


if __name__ == "__main__":
    main()
