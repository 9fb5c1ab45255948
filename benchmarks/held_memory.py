"""Memory of a process that holds an index, over many searches and changes.

    python -m benchmarks.held_memory [--n 100000] [--searches 100000] [--changes 10000]

The changes, rows inserted, replaced and deleted in turn, come from another connection, between the
searches, so the copy is brought forward all the time. Every result of a changed row is checked.
"""

import argparse
import time
from collections.abc import Iterator
from itertools import cycle

import numpy as np
import psutil

import lookalike
from benchmarks.data import further, load
from benchmarks.server import STOCK_POOL, database, fill, url
from lookalike import Collection

REPORTS = 10
CHANGED_AT_ONCE = 10


def change(writer: Collection, vectors: np.ndarray) -> Iterator[tuple[int, np.ndarray | None]]:
    """Insert rows, replace them, delete them; yield an id and its new embedding, None if gone."""
    for start in cycle(range(0, len(vectors) - 2 * CHANGED_AT_ONCE, CHANGED_AT_ONCE)):
        first = vectors[start : start + CHANGED_AT_ONCE]
        second = vectors[start + CHANGED_AT_ONCE : start + 2 * CHANGED_AT_ONCE]
        ids = writer.upsert(first)
        yield ids[0], first[0]
        writer.upsert(second, ids=ids)
        yield ids[0], second[0]
        writer.remove_rows(ids)
        yield ids[0], None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--searches", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=10_000)
    arguments = parser.parse_args()
    dataset, vectors = load("synthetic", arguments.n), further(2000)
    each = arguments.searches * CHANGED_AT_ONCE // arguments.changes
    with database(STOCK_POOL) as db:
        fill("synthetic", dataset.base)
        collection = db.collection("synthetic")
        collection.index.build()
        with collection.hold_index() as held, lookalike.connect(url()) as other:
            held.wait()
            changes = change(other.collection("synthetic"), vectors)
            process, done, in_memory = psutil.Process(), 0, 0
            print("| searches | seconds | resident MB | codes | by the copy |")
            print("|---:|---:|---:|---:|---:|")
            started = time.perf_counter()
            for report in range(REPORTS + 1):
                print(
                    f"| {done:,} | {time.perf_counter() - started:.0f} "
                    f"| {process.memory_info().rss / 2**20:,.0f} | {held.status().codes:,} "
                    f"| {in_memory} of {report} |",
                    flush=True,
                )
                if report == REPORTS:
                    break
                for _ in range(arguments.searches // REPORTS // each):
                    row_id, vector = next(changes)
                    query = vectors[0] if vector is None else vector
                    found = [match.id for match in collection.search(query)]
                    assert (row_id in found) == (vector is not None), "not as fresh as the table"
                    for number in range(each - 1):
                        collection.search(dataset.queries[number % len(dataset.queries)])
                    done += each
                in_memory += "memory" in collection.explain(dataset.queries[0]).plan


if __name__ == "__main__":
    main()
