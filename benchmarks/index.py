"""The index beside what else there is, on the same data in one run: `make bench`.

    python -m benchmarks.index [--large] [--mariadb]
    python -m benchmarks.index --huge [--huge-n 10000000]

It works on a MySQL of its own in benchmarks/.cache. --large adds a million vectors, --mariadb the
comparison with MariaDB's index of a million (a quarter of an hour). --huge measures nothing but
ten million vectors of 128 dims: see `benchmarks.huge`.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks import article, huge, side_by_side
from benchmarks.clients import Processes
from benchmarks.data import further, load
from benchmarks.dataset import CACHE, Dataset, K
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.server import LARGE_POOL, STOCK_POOL, database, fill, index_bytes, set_pool, url
from benchmarks.ways import Lookalike
from lookalike import Collection

MORE = 20_000


@dataclass
class Row:
    """One row of the table; times in milliseconds but build_s, in seconds."""

    data: str
    pool_mb: int
    n_cells: int
    n_probes: int
    recall: float
    of_all_cells: float
    p50: float
    p99: float
    build_s: float
    load_rate: float
    insert_rate: float
    index_bytes: float
    client_mb: float
    qps: float


def search_all(collection: Collection, dataset: Dataset, **options: Any) -> tuple[Any, Any]:
    """Ids found, shape (n_queries, K), and the milliseconds of each query."""
    found, milliseconds = [], []
    for query in np.asarray(dataset.queries):
        start = time.perf_counter()
        matches = collection.search(query, k=K, **options)
        milliseconds.append((time.perf_counter() - start) * 1000)
        ids = [match.id - 1 for match in matches]
        found.append(ids + [-1] * (K - len(ids)))
    return np.array(found), np.array(milliseconds)


def measure(dataset: Dataset, pool: int) -> Iterator[Row]:
    """Load, index, search and add; with --large's buffer pool then again with the stock one."""
    is_small = dataset.n <= 200_000
    with database(pool if is_small else LARGE_POOL) as db:
        load_rate = fill(dataset.name, dataset.base)
        collection = db.collection(dataset.name)
        start = time.perf_counter()
        collection.index.build()
        build = time.perf_counter() - start
        bytes_each = index_bytes(db) / dataset.n
        truth = ground_truth(dataset)
        # All cells of a million take half a second a query.
        everything = search_all(collection, dataset, n_probes=10**6)[0] if is_small else None
        for size in (pool,) if is_small else (LARGE_POOL, STOCK_POOL):
            set_pool(db, size)
            search_all(collection, dataset)  # warm
            found, times = search_all(collection, dataset)
            index = collection._state.index.load()
            assert index is not None
            recall = recall_at_k(found, truth, K)
            with Processes(Lookalike(url(), dataset.name), dataset.queries) as clients:
                rate = clients.rate()
            insert_rate = add_more(collection, dataset)
            yield Row(
                data=f"{dataset.name}, {dataset.n:,} x {dataset.dim}",
                pool_mb=size // 2**20,
                n_cells=index.n_cells,
                n_probes=index.plan.n_probes,
                recall=recall,
                of_all_cells=(
                    float("nan")
                    if everything is None
                    else recall / recall_at_k(everything, truth, K)
                ),
                p50=float(np.median(times)),
                p99=float(np.percentile(times, 99)),
                build_s=build,
                load_rate=load_rate,
                insert_rate=insert_rate,
                index_bytes=bytes_each,
                client_mb=clients.memory / 2**20,
                qps=rate,
            )


def add_more(collection: Collection, dataset: Dataset) -> float:
    """Vectors a second into the indexed collection, which are then deleted again."""
    if dataset.name == "synthetic":
        more = np.asarray(further(MORE))
    else:
        more = np.asarray(dataset.base[:MORE])
    start = time.perf_counter()
    ids = collection.add_embeddings([str(i) for i in range(len(more))], more)
    rate = len(more) / (time.perf_counter() - start)
    collection.remove_rows(ids)
    return rate


def alternatives(dataset: Dataset) -> dict[str, float]:
    """Milliseconds of a query by the article's SQL, and by fetching all vectors into numpy."""
    with database(STOCK_POOL) as db:
        by_article = article.measure(db, dataset.base, dataset.queries)
        fill("synthetic", dataset.base)
        collection = db.collection("synthetic")
        times = []
        for query in np.asarray(dataset.queries[:3]):
            start = time.perf_counter()
            collection.search(query, k=K, exact=True)
            times.append((time.perf_counter() - start) * 1000)
    return {
        "article_ms": by_article.scaled(dataset.n) * 1000,
        "article_ms_per_row": by_article.per_row * 1000,
        "fetch_all_ms": float(np.median(times)),
    }


def show(rows: list[Row]) -> None:
    columns = list(asdict(rows[0]))
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in asdict(row).values()]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the index.")
    parser.add_argument("--large", action="store_true", help="a million vectors as well")
    parser.add_argument("--mariadb", action="store_true", help="beside MariaDB's at a million, too")
    parser.add_argument("--huge", action="store_true", help="ten million vectors, and no others")
    parser.add_argument("--huge-n", type=int, default=huge.N, help="another number of them")
    arguments = parser.parse_args()
    if arguments.huge:
        huge.measure(arguments.huge_n)
        return
    rows: list[Row] = []
    for name, n in (("real", None), ("real512", None), ("synthetic", 100_000)):
        rows += measure(load(name, n), STOCK_POOL)
    others: dict[str, Any] = alternatives(load("synthetic", 100_000))
    compared = {"100k": side_by_side.measure(100_000, with_mariadb=True)}
    if arguments.large:
        rows += measure(load("synthetic", 1_000_000), LARGE_POOL)
    if arguments.large or arguments.mariadb:
        compared["1m"] = side_by_side.measure(1_000_000, with_mariadb=arguments.mariadb)
    show(rows)
    at_100k = next(row for row in rows if row.data.startswith("synthetic, 100,000"))
    others["times_the_article"] = others["article_ms"] / at_100k.p50
    print("\n" + json.dumps(others, indent=2))
    side = {size: figures.values() for size, figures in compared.items()}
    result = {"index": [asdict(row) for row in rows], "side_by_side": side, "others": others}
    CACHE.joinpath("index.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
