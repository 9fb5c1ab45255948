"""Filtered searches, filtered first or through the codes: `python -m benchmarks.filters`.

100,000 vectors of 128 dims in clusters within 20 kinds, on a MySQL of its own in benchmarks/.cache
with the stock buffer pool. Attributes in JSON: `rank`, by chance, and `kind`, which goes with what
is near. Each filter is searched in both ways and as planned, and compared with numpy.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.ground_truth import similarities
from benchmarks.server import STOCK_POOL, database, fill
from lookalike import Collection
from lookalike.attributes.catalog import filter_of
from lookalike.core.vectors import FloatArray
from lookalike.search import selectivity
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.searcher import Searcher
from lookalike.search.trace import Trace

N, DIM, KINDS, SUBJECTS, K = 100_000, 128, 20, 2000, 10
SHARES = (0.9, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0001)
TOLERANCE = 1e-3

Rows = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Data:
    """Vectors (n, dim), the kind of each, and a rank from 0 to 1 by chance; then the queries'."""

    base: FloatArray
    kinds: npt.NDArray[np.int64]
    ranks: npt.NDArray[np.float64]
    queries: FloatArray
    query_kinds: npt.NDArray[np.int64]


def make(n: int, n_queries: int) -> Data:
    rng = np.random.default_rng(0)
    kinds = rng.standard_normal((KINDS, DIM))
    kind_of = rng.integers(0, KINDS, SUBJECTS)
    subjects = kinds[kind_of] + 0.8 * rng.standard_normal((SUBJECTS, DIM))
    subject = rng.integers(0, SUBJECTS, n + n_queries)
    rows = subjects[subject] + 0.7 * rng.standard_normal((n + n_queries, DIM))
    rows = (rows + 2 * rng.standard_normal(DIM)).astype(np.float32)
    found = kind_of[subject]
    return Data(rows[:n], found[:n], rng.permutation(n) / n, rows[n:], found[n:])


def index_and_describe(collection: Collection, data: Data) -> None:
    """Train the index, and set the attributes."""
    collection.index.build()
    started = time.perf_counter()
    collection.attributes.set(
        {"path": f"v{i}", "rank": rank, "kind": f"kind {kind}", "brand": "acme"}
        for i, (rank, kind) in enumerate(zip(data.ranks.tolist(), data.kinds.tolist(), strict=True))
    )
    print(f"attributes of {len(data.base):,} rows set in {time.perf_counter() - started:.1f} s")


@contextmanager
def cost_of_filtering_first(times: float) -> Iterator[None]:
    """Have the planner think that to filter first costs so many times what it does."""
    kept = selectivity.RANKED, selectivity.SCANNED, selectivity.FEW_ROWS
    selectivity.RANKED, selectivity.SCANNED = kept[0] * times, kept[1] * times
    selectivity.FEW_ROWS = kept[2] if times <= 1 else -1
    try:
        yield
    finally:
        selectivity.RANKED, selectivity.SCANNED, selectivity.FEW_ROWS = kept


def search_all(
    collection: Collection, data: Data, filters: list[tuple[str, Rows]]
) -> tuple[float, float, Counter[str]]:
    """Median milliseconds, recall, and the plans; filters: one a query, with what passes."""
    times, hits, wanted, plans = [], 0, 0, Counter[str]()
    for query, (where, passing) in zip(data.queries, filters, strict=False):
        started = time.perf_counter()
        index, options = collection._state.index, SearchOptions(k=K, where=where)
        searcher = Searcher(index, filter_of(index.table, where))
        plan, matches, _ = searcher.search(Asked(query, options), Trace())
        times.append((time.perf_counter() - started) * 1000)
        plans[plan] += 1
        scores = similarities(query, data.base[passing], "cosine")
        worst = np.sort(scores)[-K:][0]
        found = similarities(query, data.base[[match.id - 1 for match in matches]], "cosine")
        hits += int(np.sum(found >= worst - TOLERANCE))
        wanted += min(K, len(scores))
    return float(np.median(times)), hits / wanted, plans


def cases(data: Data) -> Iterator[tuple[str, list[tuple[str, Rows]]]]:
    """What a filter lets pass, and the filter of each query."""
    for share in SHARES:
        filter_ = (f"rank<{share}", data.ranks < share)
        yield f"{share:.2%} by chance", [filter_] * len(data.queries)
    named = [f"kind {kind}" for kind in range(KINDS)]
    ways: dict[str, Any] = {
        "the query's kind (5%)": ("kind={}", lambda kind: data.kinds == kind),
        "another kind (5%)": ("kind={1}", lambda kind: data.kinds == (kind + 1) % KINDS),
        "all but the query's kind (95%)": ("kind!={}", lambda kind: data.kinds != kind),
    }
    for name, (where, passes) in ways.items():
        yield (
            name,
            [
                (where.format(named[kind], named[(kind + 1) % KINDS]), passes(kind))
                for kind in data.query_kinds.tolist()
            ],
        )


def show(*cells: object) -> None:
    print("| " + " | ".join(f"{c:.3g}" if isinstance(c, float) else str(c) for c in cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure filtered searches.")
    parser.add_argument("--queries", type=int, default=100)
    arguments = parser.parse_args()
    data = make(N, arguments.queries)
    with database(STOCK_POOL) as db:
        fill("filters", data.base)
        collection = db.collection("filters")
        index_and_describe(collection, data)
        for indexed in (False, True):
            if indexed:
                collection.attributes.index("rank")
                collection.attributes.index("kind")
            print(f"\n{'with' if indexed else 'without'} a database index on the attribute")
            show("passes", "filter first, ms", "codes, ms", "recall", "planned", "ms", "recall")
            for name, filters in cases(data):
                with cost_of_filtering_first(0):
                    first, _, _ = search_all(collection, data, filters[:10])
                with cost_of_filtering_first(1e6):
                    codes, codes_recall, _ = search_all(collection, data, filters)
                ms, recall, plans = search_all(collection, data, filters)
                plan = ", ".join(f"{plan} {count}" for plan, count in plans.most_common())
                show(name, first, codes, round(codes_recall, 4), plan, ms, round(recall, 4))


if __name__ == "__main__":
    main()
