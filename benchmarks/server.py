"""The MySQL that benchmarks run on, in benchmarks/.cache: start it, size it, fill it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

import lookalike
from benchmarks.dataset import CACHE
from lookalike import Database, IndexSizes, PrivateServer
from lookalike.core.vectors import FloatArray

STOCK_POOL = 128 * 2**20
LARGE_POOL = 4 * 2**30
CHUNK = 100_000  # rows


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
            db.rows("DROP DATABASE bench")
    finally:
        server.stop()


def url() -> str:
    return PrivateServer(CACHE / "mysql").url.replace("/lookalike?", "/bench?")


def memory() -> int:
    """The memory that the running server takes, in bytes."""
    return int(psutil.Process(PrivateServer(CACHE / "mysql").status().pid).memory_info().rss)


def set_pool(db: Database, pool: int) -> None:
    """Resize the buffer pool, and wait until the server has done so."""
    db.rows("SET GLOBAL innodb_buffer_pool_size = %s", (pool,))
    while db.rows("SHOW STATUS LIKE 'Innodb_buffer_pool_resize_status_code'")[1][0][1] != "0":
        time.sleep(0.2)


def fill(
    collection: str, base: FloatArray, where: str | None = None, *, chunk: int = CHUNK
) -> float:
    """Add vectors to a new collection, named v0, v1 and so on, and return how many a second.

    Its index is not trained. where: the URL of its database, if it is not the benchmarks' own.
    chunk: rows of a call.
    """
    start = time.perf_counter()
    with lookalike.connect(where or url(), index_sizes=IndexSizes(fewest_rows=10**9)) as db:
        new = db.collection(collection, dim=base.shape[1])
        for first in range(0, len(base), chunk):
            part = base[first : first + chunk]
            new.add_embeddings([f"v{i}" for i in range(first, first + len(part))], part)
    return len(base) / (time.perf_counter() - start)


def index_bytes(db: Database) -> int:
    """Bytes of all indexes' tables in a database, of codes and centroids."""
    names = [name for (name,) in db.rows("SHOW TABLES")[1]]
    tables = [name for name in names if "_codes_" in name or "_cells_" in name]
    db.rows(f"ANALYZE TABLE {', '.join(tables)}")
    _, sizes = db.rows(
        "SELECT table_name, data_length + index_length FROM information_schema.tables "
        "WHERE table_schema = DATABASE()"
    )
    return int(sum(size for name, size in sizes if name in tables))
