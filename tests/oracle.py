"""What numpy says: the independent computation that results are compared with."""

import numpy as np


def similarities(vectors: np.ndarray, query: np.ndarray, metric: str = "cosine") -> np.ndarray:
    """Return the similarity of each of (n, dim) vectors to a query, in float64: shape (n,)."""
    exact, q = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(((exact - q) ** 2).sum(axis=1))
    dots = exact @ q
    if metric == "dot":
        return dots
    return dots / (np.linalg.norm(exact, axis=1) * np.linalg.norm(q))


def nearest(vectors: np.ndarray, query: np.ndarray, metric: str = "cosine") -> list[int]:
    """Return the ids of vectors, which begin with 1, best first, ties by id."""
    return (np.argsort(-similarities(vectors, query, metric), kind="stable") + 1).tolist()
