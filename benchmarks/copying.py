"""`lookalike copy` between servers: MySQL to MariaDB, back, and to another database of MySQL.

    python -m benchmarks.copying [--n 100000]

The source has no attributes, files or decisions. No index is made, so that the rates are of copying
and of the comparison after it; copying once more only compares.
"""

import argparse

import lookalike
from benchmarks import mariadb
from benchmarks.data import load
from benchmarks.figures import Figures
from benchmarks.server import LARGE_POOL, database, fill
from benchmarks.server import url as mysql_url
from lookalike import IndexSizes
from tests import mariadb_server

NAME = "photos"
NEVER = IndexSizes(fewest_rows=10**9, rows_for_cells=10**9)
COPY, AGAIN = "copying and comparing, rows/s", "comparing equal ones, rows/s"
OTHERS = ("bench_back", "bench_other")


def measure(n: int) -> Figures:
    """Copy a new collection of n synthetic vectors in each direction."""
    base = load("synthetic", n).base
    here = mysql_url()
    back, other = (here.replace("/bench?", f"/{name}?") for name in OTHERS)
    with (
        database(LARGE_POOL) as db,
        mariadb_server.running(mariadb.HOME, mariadb.server_options()) as socket,
    ):
        for name in OTHERS:
            db.rows(f"DROP DATABASE IF EXISTS {name}")
            db.rows(f"CREATE DATABASE {name}")
        print(f"adding: {fill(NAME, base):,.0f} rows/s", flush=True)
        maria = f"mariadb://root@localhost/{mariadb_server.DATABASE}?unix_socket={socket}"
        pairs = {
            "MySQL to MariaDB": (here, maria),
            "MariaDB to MySQL": (maria, back),
            "MySQL to MySQL": (here, other),
        }
        figures = Figures(list(pairs), (COPY, AGAIN))
        for way, (source, target) in pairs.items():
            for figure in (COPY, AGAIN):
                figures.add(figure, way, copy(source, target))
        for name in OTHERS:
            db.rows(f"DROP DATABASE {name}")
    return figures


def copy(source: str, target: str) -> float:
    """Copy the collection, and return rows a second."""
    with (
        lookalike.connect(source, index_sizes=NEVER) as one,
        lookalike.connect(target, index_sizes=NEVER) as two,
    ):
        done = one.copy_collection(NAME, two)
        return done.rows / done.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    arguments = parser.parse_args()
    figures = measure(arguments.n)
    print(f"\n{arguments.n:,} vectors; in brackets: times MySQL to MariaDB\n\n{figures.table()}")


if __name__ == "__main__":
    main()
