"""MariaDB's own vector index beside ours: a private MariaDB of Debian trixie, and its figures.

Its index is HNSW with M=16, made after the rows are loaded, searched with
mhnsw_ef_search=100 from a cache of 1 GB: what gives it the best figures.

    python -m benchmarks.mariadb [--large]
    python -m benchmarks.mariadb --candidates [--n 100000]

The second finds how many candidates (mhnsw_ef_search) a search needs.
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pymysql

from benchmarks.data import further, load
from benchmarks.dataset import CACHE, Dataset
from benchmarks.ground_truth import ground_truth, recall_at_k
from lookalike.core.vectors import FloatArray, pack
from tests.mariadb_server import DATABASE, Connection, running

HOME = CACHE / "mariadb"
M = 16
EF_SEARCH = 100
CACHE_BYTES = 3 * 2**30
BUFFER_POOL_BYTES = 4 * 2**30
BATCH = 500  # rows of one INSERT, which is a transaction while loading
MORE = 5000  # rows inserted with the index in place
BATCH_BYTES = 32 * 2**20
CANDIDATES = (20, 60, 100, 200, 500, 1000)
QUERIES_FOR = {10: 400, 100: 200, 1000: 60}  # by k


@dataclass(frozen=True)
class MariaDBFigures:
    """What MariaDB's index does with n vectors.

    load_rate, insert_rate: rows a second, without and with the index. build_time, p50, p99,
    first_p50: seconds; first_p50 is of the first pass over the queries, which warms the index's
    cache. index_size: bytes on disk. qps: queries a second of one client.
    """

    version: str
    n: int
    dim: int
    m: int
    ef_search: int
    load_rate: float
    build_time: float
    index_size: int
    insert_rate: float
    first_p50: float
    p50: float
    p99: float
    qps: float
    recall_at_10: float


def server_options() -> list[str]:
    """What gives MariaDB its best figures, beside what is MySQL's in the same benchmark."""
    return [
        f"--innodb-buffer-pool-size={BUFFER_POOL_BYTES}",
        f"--mhnsw-max-cache-size={CACHE_BYTES}",
        f"--mhnsw-ef-search={EF_SEARCH}",
        f"--max-allowed-packet={2 * BATCH_BYTES}",
    ]


@dataclass(frozen=True)
class Indexed:
    """A running MariaDB with an indexed table.

    load_rate: rows a second without the index. build_time: seconds. index_size: bytes on disk.
    """

    socket: Path
    load_rate: float
    build_time: float
    index_size: int


@contextmanager
def indexed(base: FloatArray, home: Path = HOME) -> Iterator[Indexed]:
    """Loads vectors (n, dim) into a new server, then indexes them; it is removed afterwards."""
    with running(home, server_options()) as socket:
        with connect(socket) as connection:
            create_table(connection, base.shape[1])
            load_rate, build_time = insert(connection, base), build_index(connection)
            size = index_size(connection)
        yield Indexed(socket, load_rate, build_time, size)


def connect(socket: Path) -> Connection:
    """Connects to the benchmark's database of a running server."""
    return pymysql.connect(unix_socket=str(socket), user="root", database=DATABASE, autocommit=True)


def create_table(connection: Connection, dim: int) -> None:
    connection.query(
        f"CREATE TABLE vectors (id INT PRIMARY KEY, embedding VECTOR({dim}) NOT NULL) ENGINE=InnoDB"
    )


def insert(connection: Connection, vectors: FloatArray, *, first_id: int = 0) -> float:
    """Inserts vectors (n, dim) as bytes, with the ids from first_id on; returns rows a second."""
    start = time.perf_counter()
    with connection.cursor() as cursor:
        for offset in range(0, len(vectors), BATCH):
            batch = np.asarray(vectors[offset : offset + BATCH])
            values = [
                value
                for row, vector in enumerate(batch, first_id + offset)
                for value in (row, pack(vector))
            ]
            places = ", ".join(["(%s, _binary %s)"] * len(batch))
            cursor.execute(f"INSERT INTO vectors VALUES {places}", values)
    return len(vectors) / (time.perf_counter() - start)


def insert_at_once(connection: Connection, vectors: FloatArray, *, first_id: int) -> float:
    """Inserts vectors into the indexed table in one transaction, which is its best."""
    connection.begin()
    rate = insert(connection, vectors, first_id=first_id)
    connection.commit()
    return rate


def build_index(connection: Connection) -> float:
    """Makes the HNSW index over the loaded rows; returns seconds."""
    start = time.perf_counter()
    connection.query(f"ALTER TABLE vectors ADD VECTOR INDEX (embedding) M={M} DISTANCE=cosine")
    return time.perf_counter() - start


def index_size(connection: Connection) -> int:
    """Bytes of the index's own file, as far as its pages are used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@datadir")
        ((datadir,),) = cursor.fetchall()
    return sum(file.stat().st_size for file in Path(datadir, "bench").glob("vectors#i#*.ibd"))


def search(
    connection: Connection, queries: FloatArray, k: int
) -> tuple[list[list[int]], list[float]]:
    """The k nearest ids of each query, and the seconds of each."""
    found, seconds = [], []
    with connection.cursor() as cursor:
        for query in queries:
            start = time.perf_counter()
            cursor.execute(
                "SELECT id FROM vectors ORDER BY VEC_DISTANCE_COSINE(embedding, _binary %s) "
                f"LIMIT {k}",
                (pack(query),),
            )
            rows = cursor.fetchall()
            seconds.append(time.perf_counter() - start)
            found.append([row[0] for row in rows] + [-1] * (k - len(rows)))
    return found, seconds


def measure(dataset: Dataset, more: FloatArray, *, k: int = 10) -> MariaDBFigures:
    """Loads a dataset into a new server, indexes it, searches it warm, and inserts `more`."""
    truth = ground_truth(dataset)
    queries = np.asarray(dataset.queries)
    with indexed(dataset.base) as server, connect(server.socket) as connection:
        _, first = search(connection, queries, k)
        found, seconds = search(connection, queries, k)
        insert_rate = insert_at_once(connection, more, first_id=dataset.n)
        return MariaDBFigures(
            version=connection.get_server_info(),
            n=dataset.n,
            dim=dataset.dim,
            m=M,
            ef_search=EF_SEARCH,
            load_rate=server.load_rate,
            build_time=server.build_time,
            index_size=server.index_size,
            insert_rate=insert_rate,
            first_p50=statistics.median(first),
            p50=statistics.median(seconds),
            p99=float(np.percentile(seconds, 99)),
            qps=len(seconds) / sum(seconds),
            recall_at_10=recall_at_k(found, truth, k),
        )


def measure_candidates(dataset: Dataset) -> str:
    """The Markdown table of recall by results and candidates, in one new index."""
    lines = [
        "| k | " + " | ".join(map(str, CANDIDATES)) + " |",
        "|---:|" + "---:|" * len(CANDIDATES),
    ]
    with indexed(dataset.base) as server, connect(server.socket) as connection:
        for k, n_queries in QUERIES_FOR.items():
            some = replace(dataset, queries=dataset.queries[:n_queries])
            truth, cells = ground_truth(some, k=max(k, 100)), []
            for kept in CANDIDATES:
                connection.query(f"SET mhnsw_ef_search = {kept}")
                found, _ = search(connection, some.queries, k)
                cells.append(f"{recall_at_k(found, truth, k):.4f}")
            lines.append(f"| {k:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure MariaDB's vector index.")
    parser.add_argument("--large", action="store_true", help="a million vectors, not 100,000")
    parser.add_argument("--candidates", action="store_true", help="recall by candidates instead")
    parser.add_argument("--n", type=int, default=100_000, help="vectors for --candidates")
    arguments = parser.parse_args()
    if arguments.candidates:
        print(measure_candidates(load("synthetic", arguments.n)))
        return
    n = 1_000_000 if arguments.large else 100_000
    figures = asdict(measure(load("synthetic", n), further(MORE)))
    print(json.dumps(figures, indent=2))
    CACHE.joinpath(f"mariadb-{n}.json").write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
