"""Searches by stored procedures beside Python's, on the same index in one run.

    python -m benchmarks.procedures [--n 100000] [--dim 512] [--queries 300]

`CALL lookalike_search` is timed in plain SQL and with the native functions, whose table says what
they gain; Python's SQL path is timed in turn with each.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import lookalike
from benchmarks.data import SEED, load
from benchmarks.dataset import CACHE, Dataset, K
from benchmarks.figures import Figures
from benchmarks.server import LARGE_POOL, database, url
from benchmarks.side_by_side import P50, P99, RECALL, make_index, opened, take_turns
from benchmarks.synthetic import CHUNK, Process, Recipe
from benchmarks.ways import Lookalike
from lookalike import Database
from lookalike.core.vectors import FloatArray, pack

PLAIN, NATIVE = "CALL, plain SQL", "CALL, native functions"


@dataclass(frozen=True)
class Procedure:
    """`CALL lookalike_search`, as programs of other languages call it."""

    url: str
    collection: str
    name: str

    @contextmanager
    def open(self) -> Iterator["ProcedureSearcher"]:
        with lookalike.connect(self.url) as db, db.session():
            yield ProcedureSearcher(db, self.collection)


@dataclass(frozen=True)
class ProcedureSearcher:
    """Searches over one connection."""

    db: Database
    collection: str

    def search(self, query: FloatArray) -> list[int]:
        call = "CALL lookalike_search(%s, %s, %s)"
        _, rows = self.db.rows(call, (self.collection, pack(query), K))
        return [row[0] - 1 for row in rows] + [-1] * (K - len(rows))


def data(n: int, dim: int, n_queries: int) -> Dataset:
    """The synthetic vectors of 512 dims, or others by the same process."""
    if dim == 512:
        dataset = load("synthetic", n)
        return replace(dataset, queries=dataset.queries[:n_queries])
    process = Process(dim, Recipe(), SEED)
    file = CACHE / f"procedures-{dim}.npy"
    return Dataset(file.stem, made(process, n), process.rows(n // CHUNK + 1, n_queries))


def made(process: Process, n: int) -> FloatArray:
    """The first n vectors of a process."""
    parts = range(0, n, CHUNK)
    return np.concatenate([process.rows(i // CHUNK, min(CHUNK, n - i)) for i in parts])


def compare(dataset: Dataset, where: str) -> Figures:
    """Measure all on a new collection in the empty database at a URL."""
    python, figures = Lookalike(where, "searched"), Figures((), (RECALL, P50, P99))
    make_index(figures, replace(dataset, name="searched"), where)
    with lookalike.connect(where) as db:
        db.install_functions()
        had = db.native_functions()
        try:
            for name in (PLAIN, NATIVE):
                if name == NATIVE:
                    db.install_native_functions()
                elif had:
                    db.remove_native_functions()
                with opened([python, Procedure(where, "searched", name)]) as searchers:
                    take_turns(figures, searchers, dataset)
        finally:
            if not had:
                db.remove_native_functions()
    figures.ways = (python.name, PLAIN, NATIVE)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--queries", type=int, default=300)
    arguments = parser.parse_args()
    Path(CACHE).mkdir(exist_ok=True)
    dataset = data(arguments.n, arguments.dim, arguments.queries)
    with database(LARGE_POOL):
        figures = compare(dataset, url())
    print(f"\n{arguments.n:,} x {arguments.dim}, {arguments.queries} queries\n\n{figures.table()}")


if __name__ == "__main__":
    main()
