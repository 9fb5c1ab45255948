"""Ten million vectors of 128 dims, by SQL and in memory: `python -m benchmarks.index --huge`.

They come from the synthetic million's process with fewer dims. Its deviations have a power-law
spectrum in random directions, so that these are what the process's leading 128 directions hold: no
larger set has to be made and projected. They are written to benchmarks/.cache (5.1 GB) chunk by
chunk, added by chunks, and compared with numpy chunk by chunk; MySQL takes some 9 GB more of the
disk. The buffer pool holds the codes.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.data import load, make_synthetic
from benchmarks.dataset import CACHE, Dataset
from benchmarks.figures import Figures
from benchmarks.ground_truth import ground_truth
from benchmarks.server import database, memory, url
from benchmarks.side_by_side import (
    MEBIBYTE,
    ROWS,
    make_index,
    measure_loading,
    opened,
    take_turns,
)
from benchmarks.ways import CODES, SQL, Lookalike

N, DIM = 10_000_000, 128
QUERIES = 200
POOL = 8 * 2**30

BUILDER = "memory of the process that makes the index, at most, MB"
SERVER = "memory of the server after the searches, MB"


def measure(n: int = N) -> Figures:
    """Make what is missing of the data, and print the table."""
    with step("the data"):
        dataset = made(n)
    with step("the exact neighbours"):
        ground_truth(dataset)
    with database(POOL):
        figures = compare(dataset, url())
        figures.add(SERVER, SQL, memory() / MEBIBYTE)
    print(f"\n{n:,} x {DIM}, {len(dataset.queries)} queries, buffer pool {POOL // 2**30} GB\n")
    print(figures.table(), flush=True)
    CACHE.joinpath(f"huge-{n}.json").write_text(json.dumps(figures.values(), indent=2))
    return figures


def made(n: int, folder: Path = CACHE) -> Dataset:
    """The first n vectors and a few queries; made unless there are as many."""
    try:
        dataset = load("huge", n, folder=folder)
    except (FileNotFoundError, ValueError):
        make_synthetic(n, DIM, "huge", folder=folder)
        dataset = load("huge", n, folder=folder)
    return replace(dataset, queries=dataset.queries[:QUERIES])


def compare(dataset: Dataset, where: str) -> Figures:
    """Measure both ways on a new collection in the empty database at a URL."""
    by_sql, codes = Lookalike(where, dataset.name), Lookalike(where, dataset.name, "codes")
    figures = Figures((SQL, CODES), ROWS)
    with step("adding and indexing"):
        build = make_index(figures, dataset, where)
        figures.add(BUILDER, SQL, build.peak / MEBIBYTE)
    with step("loading"):
        measure_loading(figures, codes)
    with step("searching"), opened([by_sql, codes]) as searchers:
        take_turns(figures, searchers, dataset)
    return figures


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is done, and how long it took."""
    print(f"{what} ...", flush=True)
    start = time.perf_counter()
    yield
    print(f"{what}: {time.perf_counter() - start:,.0f} s", flush=True)
