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

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lookalike.core.vectors import FloatArray

CHUNK = 25_000  # rows
SPECIAL = 92  # the dimension in which all of CLIP's vectors are about -0.65
SPECIAL_SHARE = 0.92  # of the mean's norm, so that a unit vector has -0.65 there


@dataclass(frozen=True)
class Recipe:
    """The numbers that make the set.

    topics, subjects: how many there are. popularity: the i-th subject's pictures number as
    i^-popularity. exponent, shift: the standard deviation of component i is
    (i + shift)^-exponent. topic, subject, picture, view: the variance of each part of a deviation,
    of which those of picture and view are medians, over the subjects and over the pictures;
    picture_spread and view_spread are the standard deviations of their logarithms. single: the
    part of the pictures with one view; views: the mean number of the others' views.
    """

    topics: int = 50
    subjects: int = 2473
    popularity: float = 0.8
    exponent: float = 0.48
    shift: float = 2.0
    topic: float = 0.84
    subject: float = 1.1
    picture: float = 0.4
    picture_spread: float = 0.55
    view: float = 0.48
    view_spread: float = 1.2
    single: float = 0.34
    views: float = 3.8

    @property
    def variance(self) -> float:
        """The expected variance of a deviation."""
        picture = self.picture * math.exp(self.picture_spread**2 / 2)
        view = self.view * math.exp(self.view_spread**2 / 2)
        return self.topic + self.subject + picture + view


class Process:
    """A recipe's fixed parts, from a seed: the mean, the rotation, the topics and subjects."""

    def __init__(self, dim: int, recipe: Recipe, seed: int) -> None:
        self.dim, self.recipe, self.seed = dim, recipe, seed
        rng = np.random.default_rng(seed)
        self.mean = _mean(dim, rng)
        # a row of independent standard numbers times this is a deviation
        scale = (np.arange(1, dim + 1) + recipe.shift) ** -recipe.exponent
        rotation, _ = np.linalg.qr(rng.standard_normal((dim, dim)))
        spread = (rotation * (scale / np.linalg.norm(scale))).T / math.sqrt(recipe.variance)
        self.spread = np.ascontiguousarray(spread, np.float32)
        topics = math.sqrt(recipe.topic) * rng.standard_normal((recipe.topics, dim))
        subjects = math.sqrt(recipe.subject) * rng.standard_normal((recipe.subjects, dim))
        subjects += topics[rng.integers(recipe.topics, size=recipe.subjects)]
        self.subjects = subjects.astype(np.float32)
        self.picture_scale = np.sqrt(
            recipe.picture * np.exp(recipe.picture_spread * rng.standard_normal(recipe.subjects))
        ).astype(np.float32)
        popularity = np.arange(1, recipe.subjects + 1) ** -recipe.popularity
        self.popularity = popularity / popularity.sum()

    def rows(self, chunk: int, count: int) -> FloatArray:
        """The rows of a numbered chunk, in random order: (count, dim), float32."""
        recipe, rng = self.recipe, np.random.default_rng((self.seed, chunk))
        picture = _pictures(recipe, count, rng)
        n_pictures = int(picture[-1]) + 1
        subject = rng.choice(recipe.subjects, n_pictures, p=self.popularity)
        pictures = rng.standard_normal((n_pictures, self.dim), np.float32)
        pictures *= self.picture_scale[subject, None]
        pictures += self.subjects[subject]
        view_scale = np.sqrt(
            recipe.view * np.exp(recipe.view_spread * rng.standard_normal(n_pictures))
        )
        rows = rng.standard_normal((count, self.dim), np.float32)
        rows *= view_scale.astype(np.float32)[picture, None]
        rows += pictures[picture]
        rows = rows @ self.spread
        rows += self.mean
        rng.shuffle(rows)
        return rows


def _pictures(recipe: Recipe, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The number of each row's picture: ascending from 0, without gaps, shape (count,)."""
    views = 1 + rng.geometric(1 / (recipe.views - 1), size=count)
    views[rng.random(count) < recipe.single] = 1
    return np.repeat(np.arange(count), views)[:count]


def _mean(dim: int, rng: np.random.Generator) -> FloatArray:
    """A vector of norm 1 with -SPECIAL_SHARE in one dimension."""
    mean = rng.standard_normal(dim)
    special = min(SPECIAL, dim - 1)
    mean[special] = 0
    mean *= np.sqrt(1 - SPECIAL_SHARE**2) / np.linalg.norm(mean)
    mean[special] = -SPECIAL_SHARE
    return mean.astype(np.float32)
