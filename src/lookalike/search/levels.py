"""Levels: whether a result is a strong match, a weak match or chance.

A model that was measured on labelled images has a scale, a file of this package written by
`python -m benchmarks.levels --write`; other models are judged by the collection's own pairs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from math import log10, sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Level, Match
from lookalike.core.vectors import FloatArray
from lookalike.database.table import VectorTable
from lookalike.models.base import NamingModel
from lookalike.models.lazy import LazyModel
from lookalike.search.embedding import EmbeddedQuery
from lookalike.search.percentiles import IMAGE, TEXT, Percentiles

CHANCE: Final[Level] = "chance"
EQUAL: Final = 1e-6
"""Embeddings whose cosine is within this of 1 are equal except for rounding."""

FEW: Final = 100
"""Smaller collections are judged as if they had this many images."""

Scores = npt.NDArray[np.float64]


def decades(n: int) -> float:
    """Return log10(n / 100) for a collection of n images, at least 0."""
    return log10(max(n, FEW) / FEW)


@dataclass(frozen=True)
class Thresholds:
    """Minimum scores of weak and strong results in a collection of up to 100 images.

    growth: added for each tenfold size of the collection, because the best of more unrelated images
    is more similar.
    """

    weak: float
    strong: float
    growth: float

    def level(self, score: float, n: int) -> Level:
        """Return the level of a score in a collection of n images."""
        score -= self.growth * decades(n)
        return "strong" if score >= self.strong else "weak" if score >= self.weak else CHANCE


@dataclass(frozen=True)
class Scale:
    """Statistics of a model's embeddings, of length one, over a varied set of images.

    mean: shape (dim,). axes: the directions of most variation, each as long as its standard
    deviation, shape (r, dim). rest: the variance along every other direction. images, words:
    thresholds for image queries, and for text queries if the model supports text.
    """

    mean: FloatArray
    axes: FloatArray
    rest: float
    images: Thresholds
    words: Thresholds | None

    def image_scores(self, query: FloatArray, similarities: Scores) -> Scores:
        """Return by how many standard deviations cosines exceed those of arbitrary images.

        Some images are similar to many, as drawings to drawings, so each query has its own
        deviation.
        """
        direction = query.astype(np.float64) / np.linalg.norm(query.astype(np.float64))
        variance = float(((self.axes @ direction) ** 2).sum()) + self.rest
        return (similarities - float(self.mean @ direction)) / sqrt(variance)


# For scores of `unmeasured_scores`; derived from the embedded model as if it were unmeasured.
UNMEASURED: Final = {
    IMAGE: Thresholds(weak=5.0896, strong=7.8702, growth=0.0),
    TEXT: Thresholds(weak=6.0671, strong=6.9988, growth=2.4195),
}


def word_scores(similarities: Scores, shares: Scores) -> Scores:
    """Return scores of images for text: similar to it, and to few other words.

    shares: how much of each image shows what the text names, from 0 to 1.
    """
    return similarities * np.sqrt(shares)


def unmeasured_scores(similarities: Scores, percentiles: Percentiles) -> Scores | None:
    """Return by how many standard deviations similarities exceed those of random pairs.

    The deviation is taken from the 90th percentile above the median, because pairs above it may
    belong together. None if it is zero.
    """
    middle, high = percentiles.similarity(50), percentiles.similarity(90)
    return None if high <= middle else 1.2816 * (similarities - middle) / (high - middle)


@cache
def scale_of(model_id: str | None) -> Scale | None:
    """Return a model's scale; None if it was not measured."""
    files = {file.name: file for file in resources.files("lookalike.search.scales").iterdir()}
    if f"{model_id}.npz" not in files:
        return None
    with files[f"{model_id}.npz"].open("rb") as file, np.load(file) as stored:
        return Scale(
            mean=stored["mean"].astype(np.float32),
            axes=stored["axes"].astype(np.float32),
            rest=float(stored["rest"]),
            images=Thresholds(*map(float, stored["images"])),
            words=Thresholds(*map(float, stored["words"])) if "words" in stored else None,
        )


class Rater:
    """Adds levels to one collection's results."""

    def __init__(self, table: VectorTable, model_id: str | None, model: LazyModel) -> None:
        self._table = table
        self._scale = scale_of(model_id) if table.metric == "cosine" else None
        self._model = model
        self._n: int | None = None

    def rate(
        self, query: EmbeddedQuery, matches: Sequence[Match], percentiles: Percentiles | None
    ) -> list[Match]:
        """Return the matches with percentiles and, if known, levels."""
        if not matches:
            return []
        scored = self._scores(query, matches, percentiles)
        levels: list[Level | None] = [None] * len(matches)
        if scored is not None:
            scores, thresholds = scored
            n = self._size() if thresholds.growth else FEW
            levels = [thresholds.level(score, n) for score in scores.tolist()]
            if self._table.metric == "cosine" and query.kind == IMAGE:
                levels = [
                    "strong" if match.similarity > 1 - EQUAL else level
                    for match, level in zip(matches, levels, strict=True)
                ]
        shares: list[float | None] = [None] * len(matches)
        if percentiles:
            shares = [*percentiles.percentiles([match.similarity for match in matches])]
        return [
            replace(match, level=level, percentile=share)
            for match, level, share in zip(matches, levels, shares, strict=True)
        ]

    def _size(self) -> int:
        """Return an upper bound of the number of rows, queried once."""
        if self._n is None:
            self._n = self._table.id_range()
        return self._n

    def _scores(
        self, query: EmbeddedQuery, matches: Sequence[Match], percentiles: Percentiles | None
    ) -> tuple[Scores, Thresholds] | None:
        similarities = np.array([match.similarity for match in matches])
        if query.kind == IMAGE and self._scale:
            return self._scale.image_scores(query.embedding, similarities), self._scale.images
        if query.kind == TEXT and query.text is None:
            return None
        if query.kind == TEXT and self._scale and self._scale.words:
            model = self._model.get()
            if isinstance(model, NamingModel):
                shares = self._shares(model, str(query.text), matches)
                return word_scores(similarities, shares), self._scale.words
        if percentiles is None:
            return None
        scores = unmeasured_scores(similarities, percentiles)
        return None if scores is None else (scores, UNMEASURED[query.kind])

    def _shares(self, model: NamingModel, text: str, matches: Sequence[Match]) -> Scores:
        """Return how much of each match shows what a text names; 0 if its row is gone."""
        ids, embeddings = self._table.usable_embeddings([match.id for match in matches])
        shares = dict(zip(ids.tolist(), model.shares(text, embeddings).tolist(), strict=True))
        return np.array([shares.get(match.id, 0.0) for match in matches])
