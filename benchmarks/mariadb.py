"""MariaDB's own vector index beside ours: a private MariaDB of Debian trixie, and its figures.

The server is unpacked without root, runs through its own loader on a unix socket, and lives in
the benchmark's cache. Its index is HNSW with M=16, made after the rows are loaded, searched with
mhnsw_ef_search=100 from a cache of 1 GB: what gives it the best figures.

    python -m benchmarks.mariadb [--large]
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pymysql
from pymysql.cursors import Cursor

from benchmarks.data import CACHE, Dataset, load
from benchmarks.ground_truth import ground_truth, recall_at_k
from lookalike.server.debian import APT, Apt
from lookalike.server.mysqld import Tree
from lookalike.server.progress import Progress, silent
from lookalike.server.sources import debian_mirror
from lookalike.vectors import FloatArray, pack

SUITE = "trixie"
PACKAGES = ("mariadb-server-core", "mariadb-client-core")
HOME = CACHE / "mariadb"
TREE = HOME / "tree"
M = 16
EF_SEARCH = 100
CACHE_BYTES = 2**30
BUFFER_POOL_BYTES = 4 * 2**30
BATCH = 500  # rows of one INSERT, which is a transaction
BATCH_BYTES = 32 * 2**20
START_LIMIT = 60.0  # seconds
STOP_LIMIT = 300.0
SYSTEM_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
)

Connection: TypeAlias = "pymysql.Connection[Cursor]"


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


class TrixieApt(Apt):
    """apt as it installs MySQL, for another suite and other packages."""

    def prepare(self) -> None:
        super().prepare()
        sources = self.root / "debian.sources"
        sources.write_text(sources.read_text().replace("Suites: sid\n", f"Suites: {SUITE}\n"))

    def download(self, progress: Progress) -> None:
        progress("Downloading MariaDB", 0, 0)
        self._run("update")
        self._run("install", "--yes", "--download-only", *PACKAGES)


def install() -> None:
    """Unpacks MariaDB 11.8 with its libraries into the cache, unless it is there."""
    if TREE.exists():
        return
    mirror = debian_mirror(APT)
    if mirror is None:
        raise SystemExit(f"No Debian mirror among the sources in {APT}")
    HOME.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=HOME) as work:
        apt = TrixieApt(Path(work, "apt"), mirror)
        apt.prepare()
        apt.download(silent)
        tree = Path(work, "tree")
        tree.mkdir()
        apt.unpack(tree, silent)
        tree.rename(TREE)


def command() -> list[str]:
    """The arguments that run the unpacked mariadbd through its own loader."""
    tree = Tree.around(TREE / "usr/sbin/mysqld")  # a link to mariadbd
    if tree is None:
        raise SystemExit(f"{TREE} has no loader: remove it and run this again")
    return [
        *tree.through_loader(),
        str(TREE / "usr/sbin/mariadbd"),
        "--no-defaults",
        f"--basedir={TREE / 'usr'}",
        f"--lc-messages-dir={TREE / 'usr/share/mariadb'}",
        f"--character-sets-dir={TREE / 'usr/share/mariadb/charsets'}",
        *(["--user=root"] if os.geteuid() == 0 else []),  # else it refuses to run as root
    ]


def make_data(data: Path) -> None:
    """A new data folder with the system tables, whose user root has no password."""
    data.mkdir(parents=True)
    scripts = (TREE / "usr/share/mariadb" / name for name in SYSTEM_TABLES)
    sql = "CREATE DATABASE mysql;\nUSE mysql;\n" + "\n".join(s.read_text() for s in scripts)
    bootstrap = [*command(), f"--datadir={data}", "--bootstrap", "--skip-grant-tables"]
    made = subprocess.run(bootstrap, input=sql, capture_output=True, text=True)
    if made.returncode != 0:
        raise SystemExit(f"mariadbd has not made its data folder:\n{made.stderr[-2000:]}")


@contextmanager
def start() -> Iterator[Connection]:
    """A connection to a running MariaDB with an empty data folder, stopped and removed after it."""
    install()
    # a socket's path is at most 107 bytes long, which the cache's own may be
    with (
        tempfile.TemporaryDirectory(dir=HOME, prefix="data-") as folder,
        tempfile.TemporaryDirectory() as run,
        Path(folder, "log").open("w+") as log,
    ):
        data, socket = Path(folder, "data"), Path(run, "socket")
        make_data(data)
        server = subprocess.Popen(
            [*command(), *server_options(data, socket)], stdout=log, stderr=log
        )
        try:
            yield connect(socket, server, Path(folder, "log"))
        finally:
            server.terminate()
            server.wait(STOP_LIMIT)


def server_options(data: Path, socket: Path) -> list[str]:
    return [
        f"--datadir={data}",
        f"--socket={socket}",
        f"--pid-file={socket.with_name('pid')}",
        "--skip-networking",
        f"--innodb-buffer-pool-size={BUFFER_POOL_BYTES}",
        f"--mhnsw-max-cache-size={CACHE_BYTES}",
        f"--mhnsw-ef-search={EF_SEARCH}",
        f"--max-allowed-packet={2 * BATCH_BYTES}",
    ]


def connect(socket: Path, server: "subprocess.Popen[bytes]", log: Path) -> Connection:
    """Connects as soon as the server answers, to an empty database."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            connection = pymysql.connect(unix_socket=str(socket), user="root", autocommit=True)
        except pymysql.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"mariadbd has not come up:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)
        else:
            connection.query("CREATE DATABASE bench")
            connection.select_db("bench")
            return connection


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


def measure(dataset: Dataset, *, k: int = 10) -> MariaDBFigures:
    """Loads a dataset into a new server, indexes it, searches it warm, and inserts into it."""
    truth = ground_truth(dataset)
    queries = np.asarray(dataset.queries)
    with start() as connection:
        create_table(connection, dataset.dim)
        load_rate = insert(connection, dataset.base)
        build_time = build_index(connection)
        size = index_size(connection)
        _, first = search(connection, queries, k)
        found, seconds = search(connection, queries, k)
        return MariaDBFigures(
            version=connection.get_server_info(),
            n=dataset.n,
            dim=dataset.dim,
            m=M,
            ef_search=EF_SEARCH,
            load_rate=load_rate,
            build_time=build_time,
            index_size=size,
            insert_rate=insert(connection, queries, first_id=dataset.n),
            first_p50=statistics.median(first),
            p50=statistics.median(seconds),
            p99=float(np.percentile(seconds, 99)),
            qps=len(seconds) / sum(seconds),
            recall_at_10=recall_at_k(found, truth, k),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure MariaDB's vector index.")
    parser.add_argument("--large", action="store_true", help="a million vectors, not 100,000")
    n = 1_000_000 if parser.parse_args().large else 100_000
    figures = asdict(measure(load("synthetic", n)))
    print(json.dumps(figures, indent=2))
    CACHE.joinpath(f"mariadb-{n}.json").write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
