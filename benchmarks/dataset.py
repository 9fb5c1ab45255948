"""What a benchmark searches in, and where all that benchmarks keep is."""

import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lookalike.core.vectors import FloatArray

CACHE = Path(__file__).parent / ".cache"
K = 10  # results of a search


@dataclass(frozen=True)
class Dataset:
    """Vectors to search in, and queries that are not among them.

    base: shape (n, dim), float32, maybe mapped from a file. queries: shape (n_queries, dim).
    folder: where what is computed of them is kept.
    """

    name: str
    base: FloatArray
    queries: FloatArray
    folder: Path = CACHE

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
