"""A million vectors like a CLIP model's, with neighbours as near as those of real images.

A vector is a common mean, the same for all, and a deviation from it. A deviation is the sum of a
topic's, a subject's within the topic, a picture's within the subject, and a view's own: a handful
of rows are views of one picture, like the crops of one image or the photographs of one product.
Each part is Gaussian with a power-law spectrum, turned by one random rotation. Pictures differ in
how much their views vary. `Recipe` holds the few numbers; they were fitted to the embeddings of
real images by `benchmarks.fit`, and data.md tells how well.

Each chunk of rows has pictures of its own, on the subjects of all, so that more rows mean more
pictures, not more views of the same ones; and any number of first rows is like the whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.vectors import FloatArray

CHUNK = 25_000  # rows
SPECIAL = 92  # the dimension in which all of CLIP's vectors are about -0.65
SPECIAL_SHARE = 0.92  # of the mean's norm, so that a unit vector has -0.65 there


@dataclass(frozen=True)
class Recipe:
    """The numbers that make the set.

    exponent: the standard deviation of component i is i^-exponent. The weights are the variances
    of the parts of a deviation; view's is the median over the pictures, and view_spread the
    standard deviation of its logarithm. views: the mean number of views of a picture. The mean has
    norm 1, and so have deviations of variance 1.
    """

    topics: int = 50
    subjects: int = 5000
    exponent: float = 0.45
    topic: float = 0.1
    subject: float = 0.3
    picture: float = 0.4
    view: float = 0.2
    view_spread: float = 0.8
    views: float = 4.0
    single: float = 0.1


class Process:
    """The recipe's fixed parts, from a seed: the mean, the rotation, the topics and subjects."""

    def __init__(self, dim: int, recipe: Recipe, seed: int) -> None:
        self.recipe, self.seed, self.dim = recipe, seed, dim
        rng = np.random.default_rng(seed)
        scale = np.arange(1, dim + 1, dtype=np.float64) ** -recipe.exponent
        rotation, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
        # a row of independent standard numbers times this is a deviation of variance 1
        self.spread = (rotation * (scale / np.linalg.norm(scale))).T.astype(np.float32)
        self.mean = _mean(dim, rng)
        topics = rng.standard_normal((recipe.topics, dim), np.float32)
        parents = rng.integers(recipe.topics, size=recipe.subjects)
        subjects = rng.standard_normal((recipe.subjects, dim), np.float32)
        self.subjects = (
            np.sqrt(recipe.topic) * topics[parents] + np.sqrt(recipe.subject) * subjects
        ).astype(np.float32)

    def rows(self, chunk: int, count: int) -> FloatArray:
        """The rows of a numbered chunk, in random order: (count, dim), float32."""
        recipe, rng = self.recipe, np.random.default_rng((self.seed, chunk))
        picture = self._pictures(count, rng)
        n_pictures = int(picture.max()) + 1
        centres = self.subjects[rng.integers(recipe.subjects, size=n_pictures)]
        centres += np.float32(np.sqrt(recipe.picture)) * rng.standard_normal(
            centres.shape, np.float32
        )
        variance = recipe.view * np.exp(recipe.view_spread * rng.standard_normal(n_pictures))
        rows = rng.standard_normal((count, self.dim), np.float32)
        rows *= np.sqrt(variance).astype(np.float32)[picture, None]
        rows += centres[picture]
        rows = rows @ self.spread
        rows += self.mean
        rng.shuffle(rows)
        return rows

    def _pictures(self, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """The number of each row's picture, counted from 0 without gaps, ascending."""
        recipe = self.recipe
        sizes = 1 + rng.geometric(1 / (recipe.views), size=count)
        sizes[rng.random(count) < recipe.single] = 1
        return np.repeat(np.arange(count), sizes)[:count]


def _mean(dim: int, rng: np.random.Generator) -> FloatArray:
    """A vector of norm 1 with -SPECIAL_SHARE in one dimension."""
    mean = rng.standard_normal(dim)
    special = min(SPECIAL, dim - 1)
    mean[special] = 0
    mean *= np.sqrt(1 - SPECIAL_SHARE**2) / np.linalg.norm(mean)
    mean[special] = -SPECIAL_SHARE
    return mean.astype(np.float32)
