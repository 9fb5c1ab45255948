"""The benchmark's data: embeddings of real images, and a synthetic million that resembles them.

`python -m benchmarks.data` makes them once, in benchmarks/.cache, with the table that compares the
two (data.md). `load` opens them. They come from Debian's and PyPI's packages and from seeds, so
that every machine makes the same.

real       float32 embeddings of 1280 dims as the embedded model gives them
real512    the same, turned onto their 512 leading principal directions: no mean is subtracted
           and nothing is scaled, so that their cosines stay the model's own
synthetic  1,000,000 x 512, of which a smaller n takes the first rows

The queries are 1,000 rows held out from each base. Other crops of a query's picture stay in the
base: as in a real search, some of what is looked for has close relatives there and some has none.
"""

import json
import os
import time
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from lookalike.vectors import FloatArray

Name = Literal["real", "real512", "synthetic"]

CACHE = Path(__file__).parent / ".cache"
N_QUERIES = 1000
N_SYNTHETIC = 1_000_000
DIM = 512
SEED = 20240601


@dataclass(frozen=True)
class Dataset:
    """Vectors to search in, and queries that are not among them.

    base: shape (n, dim), float32, maybe mapped from a file. queries: shape (n_queries, dim).
    """

    name: str
    base: FloatArray
    queries: FloatArray

    @property
    def n(self) -> int:
        return len(self.base)

    @property
    def dim(self) -> int:
        return int(self.base.shape[1])

    @cached_property
    def fingerprint(self) -> str:
        """Eight hexadecimal digits that change with the data."""
        ends = np.stack([self.base[0], self.base[-1], *self.queries])
        return f"{zlib.crc32(ends.tobytes()):08x}"


def load(name: Name, n: int | None = None) -> Dataset:
    """Open the first n vectors of a dataset, all of them when n is None.

    The base stays on disk until it is read. Raises FileNotFoundError when the dataset has not
    been made, and ValueError for a name or a number of vectors that there is not.
    """
    if name not in get_args(Name):
        raise ValueError(f"no dataset {name!r}: there are {', '.join(get_args(Name))}")
    base, queries = (CACHE / f"{name}{part}.npy" for part in ("", "_queries"))
    if not (base.exists() and queries.exists()):
        raise FileNotFoundError(f"{base.name} is not made: run `python -m benchmarks.data`")
    rows = np.load(base, mmap_mode="r")
    if n is not None and not 0 < n <= len(rows):
        raise ValueError(f"{name} has {len(rows)} vectors, not {n}")
    return Dataset(name, rows[:n], np.load(queries))


def save(name: Name, base: FloatArray, queries: FloatArray) -> None:
    """Keep a dataset for `load`; it appears when both of its files are complete."""
    for part, array in (("_queries", queries), ("", base)):
        new = CACHE / f"{name}{part}.new.npy"
        np.save(new, array)
        new.rename(CACHE / f"{name}{part}.npy")


def hold_out(
    rows: FloatArray, n_queries: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The numbers of the rows that make the base, shuffled, and of those held out as queries."""
    order = rng.permutation(len(rows))
    return order[n_queries:], order[:n_queries]


def principal_directions(rows: FloatArray, dim: int) -> FloatArray:
    """The leading principal directions of rows (n, old_dim), as columns: (old_dim, dim)."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return directions[:, ::-1][:, :dim].astype(np.float32)
