"""Screen uploaded images against a collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike import Collection, ImageError, InputError, Match
from lookalike.web.decoding import Pixels
from lookalike.web.problems import Problem
from lookalike.web.query_images import QueryImages

NEAREST = 5
_ROUNDING = 1e-5
"""A copy of a stored image may have a similarity of 0.9999999."""


@dataclass(frozen=True)
class Screened:
    """An uploaded image, and what is nearest to it.

    Attributes:
        content_hash: By which it is kept.
        nearest: The most similar stored images, whether they match or not, best first.
        min_similarity: The lowest similarity of a match.
        error: Why it could not be checked; empty if it was.
    """

    content_hash: str
    nearest: tuple[Match, ...]
    min_similarity: float
    error: str = ""

    @property
    def matches(self) -> tuple[Match, ...]:
        """The stored images that it matches."""
        return tuple(each for each in self.nearest if self.is_match(each))

    def is_match(self, match: Match) -> bool:
        """Whether a stored image is similar enough."""
        return match.similarity >= self.min_similarity - _ROUNDING

    @property
    def is_clean(self) -> bool:
        """Whether it was checked and nothing matches."""
        return not self.matches and not self.error


def threshold_of(collection: Collection) -> float | None:
    """Return the collection's threshold, or else the model's; None if there is neither."""
    try:
        return collection.threshold.get()
    except InputError:
        return None


def screen_kept(
    collection: Collection,
    images: QueryImages,
    hashes: Sequence[str],
    *,
    min_similarity: float,
    pixels: Pixels,
) -> list[Screened]:
    """Screen images that are kept by their hash, in order.

    Raises Problem 413 if they have too many pixels together.
    """
    decoded, errors = {}, {}
    for name in dict.fromkeys(hashes):
        try:
            decoded[name] = images.image(name)
        except (ImageError, Problem) as error:
            errors[name] = str(error)
        else:
            pixels.count(decoded[name])
    found = collection.search_many(list(decoded.values()), k=NEAREST) if decoded else []
    nearest = dict(zip(decoded, map(tuple, found), strict=True))
    return [
        Screened(name, nearest.get(name, ()), min_similarity, errors.get(name, ""))
        for name in dict.fromkeys(hashes)
    ]
