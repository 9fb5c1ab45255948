"""Search by SQL, in memory and by MariaDB's index, in turn in one run, and what that decides.

    python -m benchmarks.side_by_side [--n 100000] [--without-mariadb]

Each block of queries is searched in every way before the next one, so that noise hits all alike.
Loading is measured in processes that have done nothing else.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import psutil

import lookalike
from benchmarks import fresh, mariadb
from benchmarks.clients import CLIENTS, Processes, by_threads
from benchmarks.data import further, load
from benchmarks.dataset import CACHE, Dataset, K
from benchmarks.figures import Figures, Target
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.server import LARGE_POOL, STOCK_POOL, database, fill, index_bytes, url
from benchmarks.ways import (
    CODES,
    MARIADB,
    SQL,
    VECTORS,
    Lookalike,
    LookalikeSearcher,
    MariaDB,
    Searcher,
    Way,
)
from lookalike.core.vectors import FloatArray

BLOCKS = 8
ROUNDS = 3
SECONDS = 4.0
MORE = 5000
MEBIBYTE = 2**20
SPARE = 200 * MEBIBYTE  # what a client takes beside its copy

RECALL, P50, P99 = f"recall@{K}", "p50, ms", "p99, ms"
ONE = "1 client, queries/s"
FOUR = f"{CLIENTS} clients, queries/s (in memory: threads with one copy)"
COPIES = f"{CLIENTS} processes, each with a copy, queries/s"
MANY = "search_many of all, queries/s"
LOAD, COPY = "loading the copy, s", "the copy, MB"
BEYOND = "the loading process at most, beyond the copy, MB"
BEFORE = "of which before it loads, MB"
FILL, BUILD = "adding the vectors, vectors/s", "making the index, s"
DISK, INSERT = "the index on disk, MB", "adding more with the index, vectors/s"
ROWS = (
    *(RECALL, P50, P99, ONE, FOUR, COPIES, MANY),
    *(LOAD, COPY, BEYOND, BEFORE, FILL, BUILD, DISK, INSERT),
)

TARGETS = {
    100_000: (Target(VECTORS, P50, 1.0, to=MARIADB),),
    1_000_000: (
        Target(CODES, P50, 1 / 4, to=SQL),
        Target(VECTORS, P50, 1 / 9, to=SQL),
        Target(VECTORS, P50, 1.0, to=MARIADB),
        Target(CODES, MANY, 800, at_least=True),
        Target(VECTORS, MANY, 4000, at_least=True),
        Target(CODES, LOAD, 6),
        Target(CODES, BEYOND, 250),
    ),
}


def compare(
    dataset: Dataset,
    where: str,
    *,
    more: FloatArray,
    with_mariadb: bool = True,
    seconds: float = SECONDS,
    rounds: int = ROUNDS,
    home: Path = mariadb.HOME,
) -> Figures:
    """Measure all ways on a new collection in an empty database.

    where: its URL. more: vectors to add afterwards. seconds: how long several clients search.
    rounds: how often each of the other figures is taken. home: where MariaDB is installed.
    """
    memory = [Lookalike(where, dataset.name, "codes"), Lookalike(where, dataset.name, "vectors")]
    ways: list[Way] = [Lookalike(where, dataset.name), *memory]
    figures = Figures([SQL, CODES, VECTORS, MARIADB][: 4 if with_mariadb else 3], ROWS)
    make_index(figures, dataset, where)
    for _ in range(rounds):
        for way in memory:
            measure_loading(figures, way)
    with ExitStack() as stack:
        if with_mariadb:
            ways.append(stack.enter_context(_mariadb(figures, dataset, more, home)))
        with opened(ways) as searchers:
            take_turns(figures, searchers, dataset)
            _many(figures, searchers, dataset.queries, rounds)
            _clients(figures, ways, searchers, dataset.queries, seconds, rounds)
        for way in memory:
            _copies(figures, way, dataset.queries, seconds, rounds)
    with lookalike.connect(where) as db:
        collection = db.collection(dataset.name)
        start = time.perf_counter()
        collection.add_embeddings([f"more{i}" for i in range(len(more))], more)
        figures.add(INSERT, SQL, len(more) / (time.perf_counter() - start))
    return figures


def make_index(figures: Figures, dataset: Dataset, where: str) -> fresh.Fresh:
    """Add a dataset to a new collection, and train its index; return what that took."""
    figures.add(FILL, SQL, fill(dataset.name, dataset.base, where))
    build = fresh.run("build", where, dataset.name)
    figures.add(BUILD, SQL, build.seconds)
    with lookalike.connect(where) as db:
        figures.add(DISK, SQL, index_bytes(db) / MEBIBYTE)
    return build


def measure_loading(figures: Figures, way: Lookalike) -> None:
    """Load the copy of a way in a process of its own."""
    assert way.held
    loaded = fresh.run(way.held, way.url, way.collection)
    figures.add(LOAD, way.name, loaded.seconds)
    figures.add(COPY, way.name, loaded.held / MEBIBYTE)
    figures.add(BEYOND, way.name, (loaded.peak - loaded.held) / MEBIBYTE)
    figures.add(BEFORE, way.name, loaded.before / MEBIBYTE)


@contextmanager
def _mariadb(figures: Figures, dataset: Dataset, more: FloatArray, home: Path) -> Iterator[MariaDB]:
    """MariaDB with the same vectors; more of them are added at the end."""
    with mariadb.indexed(dataset.base, home) as server:
        figures.add(FILL, MARIADB, server.load_rate)
        figures.add(BUILD, MARIADB, server.build_time)
        figures.add(DISK, MARIADB, server.index_size / MEBIBYTE)
        yield MariaDB(server.socket)
        with mariadb.connect(server.socket) as connection:
            rate = mariadb.insert_at_once(connection, more, first_id=dataset.n)
        figures.add(INSERT, MARIADB, rate)


@contextmanager
def opened(ways: Sequence[Way]) -> Iterator[dict[str, Searcher]]:
    """Open all ways at once, by name."""
    with ExitStack() as stack:
        yield {way.name: stack.enter_context(way.open()) for way in ways}


def take_turns(figures: Figures, searchers: Mapping[str, Searcher], dataset: Dataset) -> None:
    """Search for each block of queries in every way, once all are warm."""
    truth, names = ground_truth(dataset), list(searchers)
    found: dict[str, list[list[int]]] = {name: [] for name in names}
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        timed(searchers[name], dataset.queries)
    for turn, block in enumerate(np.array_split(dataset.queries, BLOCKS)):
        first = turn % len(names)
        for name in [*names[first:], *names[:first]]:
            ids, times = timed(searchers[name], block)
            found[name] += ids
            seconds[name] += times
            figures.add(P50, name, float(np.median(times)) * 1000)
            figures.add(ONE, name, len(times) / sum(times))
    for name in names:
        figures.add(P99, name, float(np.percentile(seconds[name], 99)) * 1000)
        figures.add(RECALL, name, recall_at_k(found[name], truth, K))


def timed(searcher: Searcher, queries: FloatArray) -> tuple[list[list[int]], list[float]]:
    """Return the rows that each query finds, and its seconds."""
    found, seconds = [], []
    for query in queries:
        start = time.perf_counter()
        found.append(searcher.search(query))
        seconds.append(time.perf_counter() - start)
    return found, seconds


def _many(
    figures: Figures, searchers: Mapping[str, Searcher], queries: FloatArray, rounds: int
) -> None:
    for _ in range(rounds):
        for name, searcher in searchers.items():
            if isinstance(searcher, LookalikeSearcher):
                start = time.perf_counter()
                searcher.search_many(queries)
                figures.add(MANY, name, len(queries) / (time.perf_counter() - start))


def _clients(
    figures: Figures,
    ways: Sequence[Way],
    searchers: Mapping[str, Searcher],
    queries: FloatArray,
    seconds: float,
    rounds: int,
) -> None:
    """Several clients in turn: threads that share a copy in memory, and else processes."""
    with ExitStack() as stack:
        processes = {
            way.name: stack.enter_context(Processes(way, queries))
            for way in ways
            if way.name in (SQL, MARIADB)
        }
        for _ in range(rounds):
            for name, searcher in searchers.items():
                if name in processes:
                    figures.add(FOUR, name, processes[name].rate(seconds))
                else:
                    figures.add(FOUR, name, by_threads(searcher, queries, seconds=seconds))


def _copies(
    figures: Figures, way: Lookalike, queries: FloatArray, seconds: float, rounds: int
) -> None:
    """Several processes, each with a copy of its own, if there is memory for them."""
    needed = CLIENTS * ((figures.value(COPY, way.name) or 0) * MEBIBYTE + SPARE)
    if needed > psutil.virtual_memory().available:
        print(f"{way.name}: {CLIENTS} copies do not fit into the memory that is free", flush=True)
        return
    with Processes(way, queries) as processes:
        for _ in range(rounds):
            figures.add(COPIES, way.name, processes.rate(seconds))


def report(dataset: Dataset, figures: Figures, targets: Sequence[Target] = ()) -> None:
    """Print the table, and whether the targets are reached."""
    size = f"{dataset.n:,} x {dataset.dim}, {len(dataset.queries):,} queries"
    print(f"\n{dataset.name}, {size}; in brackets: times {SQL}'s\n")
    print(figures.table(), flush=True)
    for target in targets:
        print(target.verdict(figures), flush=True)
    file = dataset.folder / f"side-by-side-{dataset.n}.json"
    file.write_text(json.dumps(figures.values(), indent=2))


def measure(n: int, *, with_mariadb: bool) -> Figures:
    """Compare all ways on the first n synthetic vectors, on the benchmark's own server."""
    dataset = load("synthetic", n)
    with database(STOCK_POOL if n <= 200_000 else LARGE_POOL):
        figures = compare(dataset, url(), more=further(MORE), with_mariadb=with_mariadb)
    report(dataset, figures, TARGETS.get(n, ()))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--without-mariadb", action="store_true")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    measure(arguments.n, with_mariadb=not arguments.without_mariadb)


if __name__ == "__main__":
    main()
