"""What `before_after` runs in a process of each version: it imports nothing of the benchmarks.

It also runs versions whose names were others.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np

import lookalike
from lookalike.models.cache import cache_folder

K = 10


def main() -> None:
    url = sys.argv[1]
    with lookalike.connect(url) as db:
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            print(json.dumps(COMMANDS[command](db, *arguments)), flush=True)


def build(db: lookalike.Database, data: str, n: int) -> dict[str, float]:
    """Add n vectors, then train; both in seconds."""
    start = time.perf_counter()
    own = _fill(db, data, n)
    added = time.perf_counter()
    _train(own)
    return {"add": added - start, "build": time.perf_counter() - added}


def fill(db: lookalike.Database, data: str, n: int) -> None:
    """Add n vectors, without an index."""
    _fill(db, data, n)


def train(db: lookalike.Database) -> dict[str, float]:
    """Train once more: seconds, and seconds of this process's CPU."""
    own, start, cpu = db.collection("own"), time.perf_counter(), time.process_time()
    _train(own)
    return {"seconds": time.perf_counter() - start, "CPU": time.process_time() - cpu}


def _fill(db: lookalike.Database, data: str, n: int) -> Any:
    base = np.load(f"{data}.npy", mmap_mode="r")[:n]
    with _without_training(db) as other:
        other.collection("own", dim=base.shape[1]).add_embeddings([str(i) for i in range(n)], base)
    return db.collection("own")


def _train(own: Any) -> None:
    (own.build_index if hasattr(own, "build_index") else own.index.build)()


def search(
    db: lookalike.Database, data: str, first: int, n: int
) -> tuple[list[list[int]], list[float]]:
    """Return the rows found, counted from 0, and the milliseconds of each search."""
    queries = np.load(f"{data}_queries.npy", mmap_mode="r")
    own = db.collection("own")
    found, times = [], []
    for i in range(first, first + n):
        query = np.array(queries[i % len(queries)])
        start = time.perf_counter()
        matches = own.search(query, k=K)
        times.append((time.perf_counter() - start) * 1000)
        ids = [match.id - 1 for match in matches]
        found.append(ids + [-1] * (K - len(ids)))
    return found, times


def ingest(db: lookalike.Database, folder: str, collection: str) -> float:
    """Add a folder to a new collection, in seconds."""
    images = db.collection(collection, model="efficientnet-lite2")
    start = time.perf_counter()
    images.add(folder)
    return time.perf_counter() - start


def duplicates(db: lookalike.Database, collection: str) -> tuple[float, int]:
    """Find the duplicates of a collection for the first time; return (seconds, groups)."""
    (cache_folder() / "duplicates-verdicts").unlink(missing_ok=True)
    images = db.collection(collection)
    start = time.perf_counter()
    groups = images.duplicates() if callable(images.duplicates) else images.duplicates.find()
    return time.perf_counter() - start, len(groups)


@contextmanager
def _without_training(db: lookalike.Database) -> Iterator[lookalike.Database]:
    """The database, where rows that are added do not start a training."""
    if hasattr(lookalike, "IndexSizes"):
        sizes = lookalike.IndexSizes(fewest_rows=10**9)
        with lookalike.connect(sys.argv[1], index_sizes=sizes) as other:
            yield other
    else:
        training = _training()
        kept, training.FEWEST_ROWS = training.FEWEST_ROWS, 10**9
        yield db
        training.FEWEST_ROWS = kept


def _training() -> Any:
    for name in ("lookalike.index.training", "lookalike.training"):
        try:
            return import_module(name)
        except ImportError:
            continue
    raise ImportError("this version trains elsewhere")


COMMANDS = {
    "build": build,
    "fill": fill,
    "train": train,
    "search": search,
    "ingest": ingest,
    "duplicates": duplicates,
}

if __name__ == "__main__":
    main()
