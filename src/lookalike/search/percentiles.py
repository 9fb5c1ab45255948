"""Percentiles: how many random pairs of the collection are less similar.

A cosine of 0.3 is a match for one model and noise for another, and text queries have another scale
than images; a percentile of random pairs means the same everywhere.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import DatabaseError, InputError, ModelError
from lookalike.core.types import Metric
from lookalike.core.vectors import FloatArray, ids_array, pack
from lookalike.database.table import VectorTable
from lookalike.models.lazy import LazyModel
from lookalike.search.options import SearchOptions

IMAGE, TEXT = "image", "text"
SAMPLE = 1000
FEWEST_ROWS = 20
GROWTH = 4
"""Percentiles are re-measured after growth by this factor."""

PERCENTILES = np.concatenate(
    [np.arange(0, 99), *(100 - np.arange(100, 10, -1) * step for step in (1e-2, 1e-3, 1e-4)), [100]]
)
"""Percentiles at which the distribution is stored; dense near 100, where matches are."""

WORDS = (
    *("dog", "cat", "bird", "fish", "snake", "spider", "butterfly", "elephant", "bear", "monkey"),
    *("car", "truck", "bus", "bicycle", "train", "ship", "airplane", "boat", "clock", "camera"),
    *("chair", "table", "lamp", "bottle", "cup", "bowl", "knife", "spoon", "hat", "shoe"),
    *("shirt", "bag", "umbrella", "guitar", "piano", "drum", "ball", "computer", "telephone"),
    *("bridge", "castle", "church", "house", "tower", "mountain", "beach", "volcano", "fruit"),
    *("banana", "orange", "pizza", "bread", "mushroom", "flower", "vegetable", "tool", "toy"),
)
"""Texts used to measure how similar unrelated texts and images are."""


@dataclass(frozen=True)
class Percentiles:
    """Distribution of the similarities of random pairs.

    similarities: at PERCENTILES, ascending, shape (n,).
    """

    similarities: npt.NDArray[np.float64]

    def percentile(self, similarity: float) -> float:
        """Return the percentage of random pairs that are less similar, from 0 to 100."""
        return self.percentiles([similarity])[0]

    def percentiles(self, similarities: Sequence[float]) -> list[float]:
        """Return the percentile of each of some similarities."""
        values, percentiles = self._curve
        rounded = np.round(similarities, 6)
        found: list[float] = np.interp(rounded, values, percentiles, right=100.0).tolist()
        return found

    @cached_property
    def _curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Similarities, ascending and each once, and their percentiles."""
        # Pairs of copies differ only in the last bits: round, and rank equal ones at the first.
        values, first = np.unique(np.round(self.similarities, 6), return_index=True)
        return values, PERCENTILES[first]

    def similarity(self, percentile: float) -> float:
        """Return the similarity at a percentile of random pairs."""
        return float(np.interp(percentile, PERCENTILES, self.similarities))


class PercentileStore:
    """One collection's percentiles, measured on first use and then stored."""

    def __init__(self, table: VectorTable, model: LazyModel) -> None:
        self._table = table
        self._model = model
        self._known: dict[str, Percentiles | None] = {}
        self._measuring = Lock()

    def get(self, kind: str) -> Percentiles | None:
        """Return percentiles for "image" or "text" queries; None for others, or too few rows."""
        if kind not in (IMAGE, TEXT):
            return None
        known = self._known
        if kind not in known:
            with self._measuring:  # only one thread measures
                if kind not in known:
                    known[kind] = self._read(kind) or self._measure(kind)
        return known[kind]

    def forget_if_grown(self) -> None:
        """Measure again on next use if the collection may have grown much."""
        self._known = {}  # so that a running measurement of the old rows is not used
        forget = self._table.dialect.forget_levels(self._table, self._table.id_range() // GROWTH)
        self._table.connection.execute(forget)

    def _read(self, kind: str) -> Percentiles | None:
        with suppress(DatabaseError):  # the table may not exist yet
            packed = self._table.connection.value(self._table.dialect.levels(self._table, kind))
            if packed and len(packed) == 4 * len(PERCENTILES):
                return Percentiles(np.frombuffer(packed, "<f4").astype(np.float64))
        return None

    def _measure(self, kind: str) -> Percentiles | None:
        sample = self._sample()
        if len(sample) < FEWEST_ROWS:
            return None
        if kind == IMAGE:
            pairs = _similarities(sample, sample, self._table.metric)
            scores = pairs[np.triu_indices(len(sample), 1)]
        else:
            try:
                texts = self._model.get().embed_texts(WORDS)
            except ModelError:
                return None
            scores = _similarities(texts, sample, self._table.metric).ravel()
        # Products of very long embeddings overflow float32.
        most = np.finfo(np.float32).max
        similarities = np.percentile(scores, PERCENTILES).clip(-most, most).astype(np.float32)
        statement = self._table.dialect.store_levels(
            self._table, kind, self._table.id_range(), pack(similarities)
        )
        with suppress(DatabaseError):  # the user may have no right to write
            self._table.connection.execute(statement)
        return Percentiles(similarities.astype(np.float64))

    def _sample(self) -> FloatArray:
        """Return embeddings (n, dim) of random rows; of all rows if there are few."""
        table = self._table
        low, high = table.connection.query(table.dialect.id_range(table))[0]
        if high is None:
            return np.empty((0, table.dim), np.float32)
        ids_array((low, high))  # raises for ids that are too large
        rng = np.random.default_rng(0)
        if high - low < 2 * SAMPLE:
            ids = np.arange(low, high + 1)
        else:
            ids = np.unique(rng.integers(low, high + 1, 2 * SAMPLE))
        embeddings = table.usable_embeddings(ids.tolist())[1]
        if len(embeddings) < min(SAMPLE, len(ids)) // 4:  # many ids are unused
            rows = table.connection.query(table.dialect.indexable_ids(table))
            ids = ids_array(row[0] for row in rows)
            chosen = rng.choice(ids, min(SAMPLE, len(ids)), replace=False).tolist()
            embeddings = table.usable_embeddings(chosen)[1]
        return rng.permutation(embeddings)[:SAMPLE]


def _similarities(
    queries: FloatArray, embeddings: FloatArray, metric: Metric
) -> npt.NDArray[np.float64]:
    """Return the similarity of each query, (n, dim), to each embedding, (m, dim): (n, m)."""
    left, right = queries.astype(np.float64), embeddings.astype(np.float64)
    if metric == "cosine":
        left /= np.linalg.norm(left, axis=1, keepdims=True)
        right /= np.linalg.norm(right, axis=1, keepdims=True)
    dots: npt.NDArray[np.float64] = left @ right.T
    if metric != "euclidean":
        return dots
    squares = (left**2).sum(axis=1)[:, np.newaxis] + (right**2).sum(axis=1) - 2 * dots
    distances: npt.NDArray[np.float64] = np.sqrt(np.maximum(squares, 0))
    return -distances


def at_percentile(options: SearchOptions, percentiles: Percentiles | None) -> SearchOptions:
    """Return the options with min_percentile converted to min_similarity.

    Raises InputError if there are no percentiles.
    """
    if options.min_percentile is None:
        return options
    if percentiles is None:
        raise InputError(
            "min_percentile is not available for mixes of images and words, nor for fewer than "
            f"{FEWEST_ROWS} images: use min_similarity"
        )
    least = percentiles.similarity(options.min_percentile)
    if options.min_similarity is not None:
        least = max(least, options.min_similarity)
    return replace(options, min_percentile=None, min_similarity=least)
