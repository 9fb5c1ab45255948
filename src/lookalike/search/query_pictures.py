"""The pictures and the words of a query, for a page that shows them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.core.errors import ImageError
from lookalike.core.paths import expand_user
from lookalike.core.types import ImageRecord
from lookalike.images.decode import open_image
from lookalike.images.download import is_url
from lookalike.pages.contact_sheet import QueryPart
from lookalike.pages.page import reason
from lookalike.search.embedding import AnyQuery, is_image, read_image
from lookalike.search.query import Image, Query, Term, Text


def parts_of(
    query: AnyQuery, record_of: Callable[[int | str], ImageRecord], *, allow_private: bool = False
) -> list[QueryPart]:
    """Return the terms of a query; record_of: the stored image of an id or a name.

    allow_private: as in `read_image`. Raises what `read_image` and record_of raise.
    """
    weighted = query.weighted if isinstance(query, Term) else ((1.0, Query(query)),)
    return [_part(weight, term, record_of, allow_private) for weight, term in weighted]


def title_of(parts: list[QueryPart]) -> str:
    """Return a query in a few words: cat.jpg - 0.5 people."""
    named = [f"{'-' if part.weight < 0 else '+'} {_weight(part)}{part.name}" for part in parts]
    return " ".join(named).removeprefix("+ ")


def _weight(part: QueryPart) -> str:
    return "" if abs(part.weight) == 1 else f"{abs(part.weight):g} "


def _part(
    weight: float, term: Term, record_of: Callable[[int | str], ImageRecord], allow_private: bool
) -> QueryPart:
    if isinstance(term, Text):
        return QueryPart(term.text, weight, is_words=True)
    value: Any = term.source if isinstance(term, Image) else getattr(term, "value", None)
    if isinstance(term, Image) or is_image(value):
        image = read_image(value, allow_private=allow_private)[0]
        if isinstance(value, Path) or (isinstance(value, str) and not is_url(value)):
            path = expand_user(value).absolute()
            return QueryPart(path.name, weight, path, image)
        return QueryPart(value if isinstance(value, str) else "an image", weight, image=image)
    if isinstance(value, np.ndarray):
        return QueryPart("a vector", weight, missing="a vector")
    return _stored(weight, record_of(value))


def _stored(weight: float, record: ImageRecord) -> QueryPart:
    if record.path is None:
        return QueryPart(record.image_name, weight, missing="only its embedding is stored")
    try:
        image = open_image(record.path)
    except ImageError as error:
        return QueryPart(record.image_name, weight, record.path, missing=reason(error, record.path))
    return QueryPart(record.image_name, weight, record.path, image)
