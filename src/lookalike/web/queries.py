"""Documents of queries and conditions into those of the library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import lookalike
from lookalike import InputError
from lookalike.web.problems import Problem

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

    from lookalike.web.api.schemas import ConditionDocument, QueryDocument, Term

_KINDS = ("id", "name", "text", "vector", "url", "image")


class Pictures(Protocol):
    """Finds the images of a query; none is decoded in this process."""

    def uploaded(self, place: int) -> Picture:
        """Return an uploaded image. Raises Problem 422 if there are fewer."""

    def at(self, url: str) -> Picture:
        """Return the image at a URL. Raises ImageError."""


def query_of(document: QueryDocument, pictures: Pictures) -> lookalike.Mix:
    """Return the query of a document.

    Raises Problem 422 unless each term has exactly one kind.
    """
    if document.mix is None:
        return lookalike.Mix.of([(1.0, _term(document, pictures))])
    if any(getattr(document, kind) is not None for kind in _KINDS):
        raise Problem(422, "a query is either a mix or one term: put the term into the mix")
    terms = [(term.weight, _term(term, pictures)) for term in document.mix]
    return lookalike.Mix.of(terms)


def terms_of(document: QueryDocument) -> Sequence[Term]:
    """Return the terms of a query."""
    return document.mix or (document,)


def images_of(document: QueryDocument) -> list[int]:
    """Return the places of the uploaded images that a query names."""
    return [term.image for term in terms_of(document) if term.image is not None]


def has_url(document: QueryDocument) -> bool:
    """Whether a query has images that have to be downloaded."""
    return any(term.url is not None for term in terms_of(document))


def needs_model(document: QueryDocument) -> bool:
    """Whether a query has words or pictures, which a model has to embed."""
    return any(
        term.text is not None or term.url is not None or term.image is not None
        for term in terms_of(document)
    )


def _term(term: Term, pictures: Pictures) -> Any:
    given = [(kind, value) for kind in _KINDS if (value := getattr(term, kind)) is not None]
    if len(given) != 1:
        found = ", ".join(kind for kind, _ in given) or "nothing"
        raise Problem(422, f"a term has one of {', '.join(_KINDS)}; this one has {found}")
    kind, value = given[0]
    match kind:
        case "text":
            return lookalike.Text(value)
        case "url":
            return lookalike.Image(pictures.at(value))
        case "image":
            return lookalike.Image(pictures.uploaded(value))
        case "name":
            return lookalike.StoredImage(value)
        case _:
            return lookalike.Query(value)


def where_of(where: Any) -> Any:
    """Return conditions as the library takes them. Raises InputError."""
    if isinstance(where, list):
        return [each if isinstance(each, str) else _condition(each) for each in where]
    return where


def _condition(document: ConditionDocument) -> lookalike.Condition:
    value = tuple(document.value) if isinstance(document.value, list) else document.value
    try:
        return lookalike.Condition(document.name, document.operator, value)
    except TypeError as error:
        raise InputError(f"{document.name}: {error}") from error
