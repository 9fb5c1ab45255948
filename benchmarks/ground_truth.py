"""Exact nearest neighbours by numpy, and the recall of what an index found.

A result is right if its true similarity is not more than a tolerance below that of the k-th true
neighbour: where many images are as near as the k-th, which of them come back is chance. Rows are
numbered from 0, as in the base.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from benchmarks.dataset import Dataset

Metric = Literal["cosine", "euclidean", "dot"]
Scores = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

BLOCK = 20_000  # rows of the base in one product: 80 MB of scores for 1,000 queries
SPARE = 50  # candidates beyond k, since float32 decides who is a candidate
TOLERANCE = 1e-3


@dataclass(frozen=True)
class GroundTruth:
    """The k nearest rows of each query, nearest first.

    ids: shape (n_queries, k). similarities: shape (n_queries, k), float64, larger is nearer; the
    cosine, the dot product or the negative Euclidean distance.
    """

    dataset: Dataset
    metric: Metric
    ids: Ids
    similarities: Scores

    def of(self, found_ids: npt.ArrayLike) -> Scores:
        """The true similarities of found rows, shape (n_queries, any); -inf where the id is -1."""
        found = np.asarray(found_ids, dtype=np.int64)
        scores = np.full(found.shape, -np.inf)
        for query, ids, row in zip(self.dataset.queries, found, scores, strict=True):
            known = ids >= 0
            row[known] = similarities(query, self.dataset.base[ids[known]], self.metric)
        return scores


def similarities(query: npt.ArrayLike, rows: npt.ArrayLike, metric: Metric) -> Scores:
    """The similarity of one query, shape (dim,), with rows (n, dim): (n,), in float64."""
    left, right = np.asarray(query, np.float64), np.asarray(rows, np.float64)
    if metric == "euclidean":
        return np.negative(np.linalg.norm(right - left, axis=1))
    dots: Scores = right @ left
    if metric == "cosine":
        dots /= np.linalg.norm(right, axis=1) * np.linalg.norm(left)
    return dots


def ground_truth(
    dataset: Dataset, *, k: int = 100, metric: Metric = "cosine", block: int = BLOCK
) -> GroundTruth:
    """The k nearest rows of every query, computed once for a dataset, its size and a metric."""
    if not 0 < k <= dataset.n:
        raise ValueError(f"k must be between 1 and the {dataset.n} rows, not {k}")
    file = (
        dataset.folder / f"truth-{dataset.name}-{dataset.n}-{metric}-{k}-{dataset.fingerprint}.npz"
    )
    if not file.exists():
        ids, scores = search(dataset, k, metric, block)
        np.savez(file, ids=ids, similarities=scores)
    with np.load(file) as kept:
        return GroundTruth(dataset, metric, kept["ids"], kept["similarities"])


def search(dataset: Dataset, k: int, metric: Metric, block: int = BLOCK) -> tuple[Ids, Scores]:
    """The ids and similarities, both of shape (n_queries, k), of the k nearest, nearest first."""
    candidates = _candidates(dataset, min(k + SPARE, dataset.n), metric, block)
    ids, scores = np.empty((len(candidates), k), np.int64), np.empty((len(candidates), k))
    for number, (query, rows) in enumerate(zip(dataset.queries, candidates, strict=True)):
        exact = similarities(query, dataset.base[rows], metric)
        nearest = np.lexsort((rows, -exact))[:k]  # of equals the first row
        ids[number], scores[number] = rows[nearest], exact[nearest]
    return ids, scores


def _candidates(dataset: Dataset, count: int, metric: Metric, size: int) -> Ids:
    """The `count` nearest rows by float32, in no order: shape (n_queries, count)."""
    queries = np.asarray(dataset.queries)
    best = np.full((len(queries), 0), -np.inf, np.float32)
    ids = np.empty((len(queries), 0), np.int64)
    for start in range(0, dataset.n, size):
        block = np.asarray(dataset.base[start : start + size])
        scores = queries @ block.T
        if metric == "cosine":
            scores /= np.linalg.norm(block, axis=1)
        elif metric == "euclidean":
            scores -= np.einsum("ij,ij->i", block, block) / 2  # orders as the distance does
        rows = np.broadcast_to(np.arange(start, start + len(block)), scores.shape)
        best, ids = np.hstack([best, scores]), np.hstack([ids, rows])
        if best.shape[1] > count:
            kept = np.argpartition(-best, count - 1, axis=1)[:, :count]
            best, ids = np.take_along_axis(best, kept, 1), np.take_along_axis(ids, kept, 1)
    return ids


def recall_at_k(
    found_ids: npt.ArrayLike, truth: GroundTruth, k: int, *, tolerance: float = TOLERANCE
) -> float:
    """The part of k results that are right, on average over the queries.

    found_ids: shape (n_queries, k) or wider, of which the first k count; -1 where nothing was
    found. A result is right if its true similarity is at least the k-th true one less
    `tolerance`; for the dot product and the Euclidean distance, which have no scale of their own,
    less `tolerance` times the k-th one's size. A row that is returned twice counts once. Raises
    ValueError for a shape that does not fit.
    """
    found = np.asarray(found_ids, dtype=np.int64)
    if found.ndim != 2 or len(found) != len(truth.ids) or found.shape[1] < k:
        raise ValueError(f"{k} results for each of {len(truth.ids)} queries, not {found.shape}")
    if not 0 < k <= truth.ids.shape[1]:
        raise ValueError(f"the truth holds {truth.ids.shape[1]} neighbours, not {k}")
    found = _without_repeats(found[:, :k])
    worst = truth.similarities[:, k - 1]
    slack = tolerance if truth.metric == "cosine" else tolerance * np.abs(worst)
    return float((truth.of(found) >= (worst - slack)[:, None]).mean())


def _without_repeats(found: Ids) -> Ids:
    """The ids with the second and later occurrence of one in a row made -1."""
    order = np.argsort(found, axis=1, kind="stable")
    ordered = np.take_along_axis(found, order, 1)
    ordered[:, 1:][np.diff(ordered, axis=1) == 0] = -1
    unique = np.empty_like(found)
    np.put_along_axis(unique, order, ordered, 1)
    return unique
