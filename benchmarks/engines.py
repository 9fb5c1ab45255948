"""The engines side by side: the same vectors in MySQL, in MariaDB twice, and in seekdb.

    python -m benchmarks.engines [--n 100000] [--seekdb-n 100000]

Each block of queries is searched on every engine before the next one, so that noise hits all alike.
Filters are on attributes without an index. seekdb, from `pylibseekdb`, has a memory budget of 5 GB:
with 1 GB, its default, making an index has hung.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import lookalike
from benchmarks import mariadb
from benchmarks.data import further, load
from benchmarks.dataset import CACHE, Dataset, K
from benchmarks.figures import Figures
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.server import LARGE_POOL, database, index_bytes
from benchmarks.server import url as mysql_url
from lookalike import Collection, Database, IndexKind, IndexSizes
from tests import mariadb_server, seekdb_server

MYSQL, MARIADB, MARIADB_OURS, SEEKDB = "MySQL", "MariaDB", "MariaDB, lookalike's", "seekdb"
BLOCKS, QUERIES, FILTERED, WARM = 8, 400, 40, 50
CHUNK = 5000  # rows of a call
SEEKDB_MEMORY = "5G"
NEVER = IndexSizes(fewest_rows=10**9, rows_for_cells=10**9)

RECALL, P50, P99 = f"recall@{K}", "p50, ms", "p99, ms"
TENTH, HUNDREDTH = "filter of 10%, p50, ms", "filter of 1%, p50, ms"
TENTH_RECALL, HUNDREDTH_RECALL = f"filter of 10%, recall@{K}", f"filter of 1%, recall@{K}"
LOAD, BUILD, DISK = "loading, vectors/s", "making the index, s", "the index on disk, MB"
INSERT = f"adding {CHUNK:,} more with the index, vectors/s"
ROWS = (LOAD, BUILD, DISK, INSERT, RECALL, P50, P99)
FILTERS = (TENTH, TENTH_RECALL, HUNDREDTH, HUNDREDTH_RECALL)
SHARES = {TENTH: (10, TENTH_RECALL), HUNDREDTH: (100, HUNDREDTH_RECALL)}


@dataclass(frozen=True)
class Way:
    """A collection on a running server, and the kind of its index.

    size: bytes of the index on disk, where they can be told.
    """

    name: str
    url: str
    collection: str
    kind: IndexKind
    dataset: Dataset
    size: Callable[[Database], int] | None = None


@contextmanager
def servers(n: int, seekdb_n: int) -> Iterator[list[Way]]:
    """Start the servers with new data, and yield the ways on them."""
    dataset = load("synthetic", n)
    with ExitStack() as stack:
        stack.enter_context(database(LARGE_POOL))
        socket = stack.enter_context(mariadb_server.running(mariadb.HOME, mariadb.server_options()))
        maria = f"mariadb://root@localhost/{mariadb_server.DATABASE}?unix_socket={socket}"
        ways = [
            Way(MYSQL, mysql_url(), "own", "lookalike", dataset, index_bytes),
            Way(MARIADB, maria, "theirs", "server", dataset, _hnsw_bytes),
            Way(MARIADB_OURS, maria, "own", "lookalike", dataset, index_bytes),
        ]
        if seekdb_n:
            socket = stack.enter_context(seekdb_server.running(CACHE / "seekdb"))
            seekdb = seekdb_server.url(socket)
            with lookalike.connect(seekdb) as db:
                db.rows("ALTER SYSTEM SET memory_budget = %s", (SEEKDB_MEMORY,))
            few = dataset if seekdb_n == n else load("synthetic", seekdb_n)
            name = SEEKDB if few is dataset else f"{SEEKDB}, {seekdb_n:,} vectors"
            ways.append(Way(name, seekdb, "theirs", "server", few))
        yield ways


def _hnsw_bytes(db: Database) -> int:
    ((datadir,),) = db.rows("SELECT @@datadir")[1]
    files = Path(datadir, mariadb_server.DATABASE).glob("theirs#i#*.ibd")
    return sum(file.stat().st_size for file in files)


def fill(figures: Figures, way: Way) -> None:
    """Load the vectors without an index, then make it."""
    base, n = way.dataset.base, way.dataset.n
    start = time.perf_counter()
    with lookalike.connect(way.url, index_sizes=NEVER) as db:
        own = db.collection(way.collection, dim=way.dataset.dim)
        for first in range(0, n, CHUNK):
            rows = range(first, min(first + CHUNK, n))
            groups = [{"group10": i % 10, "group100": i % 100} for i in rows]
            names = [f"v{i}" for i in rows]
            own.upsert(np.asarray(base[first : rows.stop]), names=names, attributes=groups)
    figures.add(LOAD, way.name, n / (time.perf_counter() - start))
    with lookalike.connect(way.url) as db:
        start = time.perf_counter()
        if not db.collection(way.collection).index.build(kind=way.kind):
            raise SystemExit(f"{way.name} has made no index")
        figures.add(BUILD, way.name, time.perf_counter() - start)
        if way.size:
            figures.add(DISK, way.name, way.size(db) / 2**20)


def search(figures: Figures, ways: list[Way]) -> None:
    """Search for each block of queries in every way, once all are warm."""
    with ExitStack() as stack:
        opened = [stack.enter_context(lookalike.connect(way.url)) for way in ways]
        found = {
            way.name: db.collection(way.collection) for way, db in zip(ways, opened, strict=True)
        }
        _plain(figures, ways, found)
        for figure, (share, recall) in SHARES.items():
            _filtered(figures, ways, found, figure, share, recall)


def _plain(figures: Figures, ways: list[Way], collections: dict[str, Collection]) -> None:
    ids: dict[str, list[list[int]]] = {way.name: [] for way in ways}
    seconds: dict[str, list[float]] = {way.name: [] for way in ways}
    for way in ways:
        for query in way.dataset.queries[-WARM:]:
            collections[way.name].search(query, k=K)
    for turn in range(BLOCKS):
        for way in [*ways[turn % len(ways) :], *ways[: turn % len(ways)]]:
            block = np.array_split(way.dataset.queries[:QUERIES], BLOCKS)[turn]
            times = []
            for query in block:
                start = time.perf_counter()
                matches = collections[way.name].search(query, k=K)
                times.append(time.perf_counter() - start)
                rows = [match.id - 1 for match in matches]
                ids[way.name].append(rows + [-1] * (K - len(rows)))
            figures.add(P50, way.name, float(np.median(times)) * 1000)
            seconds[way.name] += times
    for way in ways:
        figures.add(P99, way.name, float(np.percentile(seconds[way.name], 99)) * 1000)
        figures.add(RECALL, way.name, _recall(way.dataset, ids[way.name]))


def _recall(dataset: Dataset, ids: list[list[int]]) -> float:
    some = Dataset(dataset.name, dataset.base, dataset.queries[: len(ids)], dataset.folder)
    return recall_at_k(ids, ground_truth(some), K)


def _filtered(
    figures: Figures,
    ways: list[Way],
    collections: dict[str, Collection],
    figure: str,
    share: int,
    recall: str,
) -> None:
    """Search among the rows of one group of `share` groups; of those numpy tells the nearest."""
    hits = {way.name: 0 for way in ways}
    for turn, query in enumerate(ways[0].dataset.queries[:FILTERED]):
        for way in [*ways[turn % len(ways) :], *ways[: turn % len(ways)]]:
            group = turn % share
            where = {f"group{share}": group}
            start = time.perf_counter()
            matches = collections[way.name].search(query, k=K, where=where)
            figures.add(figure, way.name, (time.perf_counter() - start) * 1000)
            base = way.dataset.base[group::share]
            scores = base @ query / (np.linalg.norm(base, axis=1) * np.linalg.norm(query))
            kth = np.partition(scores, -K)[-K] - 1e-3
            hits[way.name] += sum(match.similarity >= kth for match in matches)
    for way in ways:
        figures.add(recall, way.name, hits[way.name] / (K * FILTERED))


def grow(figures: Figures, way: Way) -> None:
    """Add vectors to the indexed collection."""
    more = further(CHUNK)
    with lookalike.connect(way.url) as db:
        own = db.collection(way.collection)
        start = time.perf_counter()
        own.upsert(more, names=[f"more{i}" for i in range(CHUNK)])
        figures.add(INSERT, way.name, CHUNK / (time.perf_counter() - start))


def measure(n: int, seekdb_n: int) -> Figures:
    """Measure all engines on new servers."""
    with servers(n, seekdb_n) as ways:
        figures = Figures([way.name for way in ways], ROWS + FILTERS)
        for way in ways:
            fill(figures, way)
            print(f"{way.name}: loaded and indexed", flush=True)
        search(figures, ways)
        for way in ways:
            grow(figures, way)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seekdb-n", type=int, default=100_000, help="0 leaves seekdb out")
    arguments = parser.parse_args()
    figures = measure(arguments.n, arguments.seekdb_n)
    print(f"\n{arguments.n:,} vectors; in brackets: times MySQL's\n\n{figures.table()}")
    file = CACHE / f"engines-{arguments.n}.json"
    file.write_text(json.dumps(figures.values(), indent=2))


if __name__ == "__main__":
    main()
