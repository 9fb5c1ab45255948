"""The index beside what else there is, on the same data in one run: `make bench`.

    python -m benchmarks.index [--large] [--mariadb]

It works on a MySQL of its own in benchmarks/.cache. --large adds a million vectors, --mariadb
MariaDB's index at the larger of the sizes as well (ten minutes for a million).
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import psutil

import lookalike
from benchmarks import article, mariadb
from benchmarks.data import further, load
from benchmarks.dataset import CACHE, Dataset
from benchmarks.ground_truth import ground_truth, recall_at_k
from lookalike import Collection, Database, IndexSizes, PrivateServer
from lookalike.core.vectors import FloatArray

K = 10
STOCK_POOL = 128 * 2**20
LARGE_POOL = 4 * 2**30
MORE = 20_000
CLIENTS = 4
CLIENT_SECONDS = 8


@dataclass
class Figures:
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


@contextmanager
def database(pool: int) -> Iterator[Database]:
    """A new database on the benchmark's own server, with a buffer pool of so many bytes."""
    server = PrivateServer(CACHE / "mysql")
    server.install()
    server.start()
    try:
        with lookalike.connect(server.url) as db:
            db.rows("DROP DATABASE IF EXISTS bench")
            db.rows("CREATE DATABASE bench")
            set_pool(db, pool)
            with lookalike.connect(url()) as bench:
                yield bench
    finally:
        server.stop()


def url() -> str:
    return PrivateServer(CACHE / "mysql").url.replace("/lookalike?", "/bench?")


def set_pool(db: Database, pool: int) -> None:
    """Resize the buffer pool, and wait until the server has done so."""
    db.rows("SET GLOBAL innodb_buffer_pool_size = %s", (pool,))
    while db.rows("SHOW STATUS LIKE 'Innodb_buffer_pool_resize_status_code'")[1][0][1] != "0":
        time.sleep(0.2)


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


def client(name: str, seconds: float) -> tuple[int, float]:
    """Search for so long in a process of its own: how many queries, and its memory in MB."""
    queries = np.load(CACHE / f"{name}_queries.npy")
    with lookalike.connect(url()) as db:
        collection = db.collection(name)
        collection.search(queries[0], k=K)
        end, done = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            collection.search(queries[done % len(queries)], k=K)
            done += 1
    return done, psutil.Process().memory_info().rss / 2**20


def measure(dataset: Dataset, pool: int) -> Iterator[Figures]:
    """Load, index, search and add; with --large's buffer pool then again with the stock one."""
    is_small = dataset.n <= 200_000
    with database(pool if is_small else LARGE_POOL) as db:
        start = time.perf_counter()
        fill(dataset.name, dataset.base)
        load_rate = dataset.n / (time.perf_counter() - start)
        collection = db.collection(dataset.name)
        start = time.perf_counter()
        collection.index.build()
        build = time.perf_counter() - start
        bytes_each = index_bytes(db, dataset)
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
            with multiprocessing.get_context("spawn").Pool(CLIENTS) as clients:
                arguments = [(dataset.name, CLIENT_SECONDS)] * CLIENTS
                done = clients.starmap(client, arguments)
            insert_rate = add_more(collection, dataset)
            yield Figures(
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
                client_mb=max(memory for _, memory in done),
                qps=sum(queries for queries, _ in done) / CLIENT_SECONDS,
            )


def index_bytes(db: Database, dataset: Dataset) -> float:
    """Bytes of the index's tables, codes and centroids, for each vector."""
    names = [name for (name,) in db.rows("SHOW TABLES")[1]]
    tables = [name for name in names if "_codes_" in name or "_cells_" in name]
    db.rows(f"ANALYZE TABLE {', '.join(tables)}")
    _, sizes = db.rows(
        "SELECT table_name, data_length + index_length FROM information_schema.tables "
        "WHERE table_schema = DATABASE()"
    )
    return sum(size for name, size in sizes if name in tables) / dataset.n


def fill(collection: str, base: FloatArray) -> None:
    """Add vectors to a new collection, named v0, v1 and so on, without training its index."""
    with lookalike.connect(url(), index_sizes=IndexSizes(fewest_rows=10**9)) as db:
        new = db.collection(collection, dim=base.shape[1])
        new.add_embeddings([f"v{i}" for i in range(len(base))], base)


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


def show(rows: list[Figures]) -> None:
    columns = list(asdict(rows[0]))
    print("\n| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows:
        cells = [f"{v:.4g}" if isinstance(v, float) else str(v) for v in asdict(row).values()]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the index.")
    parser.add_argument("--large", action="store_true", help="a million vectors as well")
    parser.add_argument("--mariadb", action="store_true", help="MariaDB's index at a million, too")
    arguments = parser.parse_args()
    rows: list[Figures] = []
    for name, n in (("real", None), ("real512", None), ("synthetic", 100_000)):
        rows += measure(load(name, n), STOCK_POOL)
    hundred = load("synthetic", 100_000)
    others: dict[str, Any] = alternatives(hundred)
    others["mariadb"] = asdict(mariadb.measure(hundred, further(mariadb.MORE)))
    if arguments.large:
        rows += measure(load("synthetic", 1_000_000), LARGE_POOL)
    if arguments.mariadb:
        million = load("synthetic", 1_000_000)
        others["mariadb_1m"] = asdict(mariadb.measure(million, further(mariadb.MORE)))
    show(rows)
    at_100k = next(row for row in rows if row.data.startswith("synthetic, 100,000"))
    others["times_the_article"] = others["article_ms"] / at_100k.p50
    print("\n" + json.dumps(others, indent=2))
    result = {"index": [asdict(row) for row in rows], "others": others}
    CACHE.joinpath("index.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
