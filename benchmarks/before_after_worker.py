"""What `before_after` runs in a process of each version: it imports nothing of the benchmarks."""

import json
import sys
import time

import numpy as np

import lookalike
from lookalike.index import training

K = 10


def main() -> None:
    url, n, data = sys.argv[1:]
    base = np.load(f"{data}.npy", mmap_mode="r")[: int(n)]
    queries = np.load(f"{data}_queries.npy")
    with lookalike.connect(url) as db:
        own = db.collection("own", dim=base.shape[1])
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            if command == "build":
                answer: object = build(own, base)
            else:
                answer = search(own, queries, *arguments)
            print(json.dumps(answer), flush=True)


def build(own: lookalike.Collection, base: np.ndarray) -> dict[str, float]:
    """Add all vectors, then train; both in seconds."""
    kept, training.FEWEST_ROWS = training.FEWEST_ROWS, 10**9
    start = time.perf_counter()
    own.add_embeddings([str(i) for i in range(len(base))], base)
    added = time.perf_counter()
    training.FEWEST_ROWS = kept
    own.index.build()
    return {"add": added - start, "build": time.perf_counter() - added}


def search(
    own: lookalike.Collection, queries: np.ndarray, first: int, n: int
) -> tuple[list[list[int]], list[float]]:
    """Return the rows found, counted from 0, and the milliseconds of each search."""
    found, times = [], []
    for i in range(first, first + n):
        start = time.perf_counter()
        matches = own.search(queries[i % len(queries)], k=K)
        times.append((time.perf_counter() - start) * 1000)
        ids = [match.id - 1 for match in matches]
        found.append(ids + [-1] * (K - len(ids)))
    return found, times


if __name__ == "__main__":
    main()
