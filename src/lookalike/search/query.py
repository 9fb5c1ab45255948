"""Queries: an image, text, a stored image, a vector, or a mix of these.

photos.search(Image("shoe.jpg") + 0.5 * Text("red") - Image("boot.jpg"))
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

from lookalike.core.errors import InputError


class Term:
    """A term of a mix: terms can be added, subtracted and multiplied by a weight."""

    @property
    def weighted(self) -> "tuple[tuple[float, Term], ...]":
        """Return the (weight, term) pairs whose sum this is."""
        return ((1.0, self),)

    def __add__(self, other: "Term") -> "Mix":
        return Mix((*self.weighted, *_term(other).weighted))

    def __sub__(self, other: "Term") -> "Mix":
        return self + -1 * _term(other)

    def __mul__(self, weight: float) -> "Mix":
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not isfinite(weight):
            raise InputError(f"{weight!r} is not a weight; multiply a query by a number")
        return Mix(tuple((weight * each, term) for each, term in self.weighted))

    __rmul__ = __mul__

    def __neg__(self) -> "Mix":
        return self * -1


@dataclass(frozen=True, slots=True)
class Text(Term):
    """Text: `photos.search(Text("a red bicycle"))`, for models that embed text.

    Attributes:
        text: The words.
    """

    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Image(Term):
    """An image.

    Attributes:
        source: A path, an http(s) URL, the bytes of a file, or a PIL image.
    """

    source: Any


@dataclass(frozen=True, slots=True)
class StoredImage(Term):
    """A stored image, by id or name; never a path or URL, so it suits names from strangers.

    Attributes:
        key: Its id, or its name.
    """

    key: int | str


@dataclass(frozen=True, slots=True, eq=False)
class Query(Term):
    """Any query that `search` accepts, as a term of a mix.

    Attributes:
        value: A str is an image's path or http(s) URL, or else the name or id of a stored image; an
            int is a stored image's id; a Path, PIL image or bytes is an image; an array of shape
            (dim,) is a vector.
    """

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class Mix(Term):
    """A weighted sum of terms, made by adding, subtracting and multiplying them.

    Attributes:
        terms: (weight, term) pairs.

    Example:
        >>> mix = Text("shoe") + 0.5 * Text("red") - Query(12)
        >>> [weight for weight, _ in mix.weighted]
        [1.0, 0.5, -1.0]
    """

    terms: tuple[tuple[float, Term], ...]

    @property
    def weighted(self) -> tuple[tuple[float, Term], ...]:
        return self.terms

    @classmethod
    def of(cls, terms: Iterable[tuple[float, Term]]) -> Self:
        """Make a mix from (weight, term) pairs; searching for an empty one raises InputError."""
        return cls(tuple(part for weight, term in terms for part in (weight * term).weighted))


def _term(value: object) -> Term:
    if isinstance(value, Term):
        return value
    raise InputError(
        f"cannot mix a query with {value!r}: wrap it, as Query({value!r}), Image(...) or Text(...)"
    )
