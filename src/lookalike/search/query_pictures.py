"""The images and texts of a query, for the page that shows them."""

from collections.abc import Callable
from pathlib import Path

from lookalike.core.errors import ImageError
from lookalike.core.paths import expand_user
from lookalike.core.types import ImageRecord
from lookalike.images.addresses import is_url
from lookalike.images.decode import open_image
from lookalike.pages.contact_sheet import QueryPart
from lookalike.pages.page import reason
from lookalike.search.source import (
    AnyQuery,
    Picture,
    Source,
    Stored,
    Vector,
    Words,
    read_image,
    terms_of,
)


def parts_of(
    query: AnyQuery, record_of: Callable[[int | str], ImageRecord], *, allow_private: bool = False
) -> list[QueryPart]:
    """Return the terms of a query; record_of: returns the stored image for an id or name.

    allow_private: as in `read_image`. Raises what `read_image` and record_of raise.
    """
    return [_part(weight, source, record_of, allow_private) for weight, source in terms_of(query)]


def title_of(parts: list[QueryPart]) -> str:
    """Return a short title of a query: cat.jpg - 0.5 people."""
    named = [f"{'-' if part.weight < 0 else '+'} {_weight(part)}{part.name}" for part in parts]
    return " ".join(named).removeprefix("+ ")


def _weight(part: QueryPart) -> str:
    return "" if abs(part.weight) == 1 else f"{abs(part.weight):g} "


def _part(
    weight: float,
    source: Source,
    record_of: Callable[[int | str], ImageRecord],
    allow_private: bool,
) -> QueryPart:
    match source:
        case Words(text):
            return QueryPart(text, weight, is_words=True)
        case Vector():
            return QueryPart("a vector", weight, missing="a vector")
        case Stored(key):
            return _stored(weight, record_of(key))
        case Picture(given):
            image = read_image(given, allow_private=allow_private)[0]
            if isinstance(given, Path) or (isinstance(given, str) and not is_url(given)):
                path = expand_user(given).absolute()
                return QueryPart(path.name, weight, path, image)
            name = given if isinstance(given, str) else "an image"
            return QueryPart(name, weight, image=image)


def _stored(weight: float, record: ImageRecord) -> QueryPart:
    if record.path is None:
        return QueryPart(record.image_name, weight, missing="only its embedding is stored")
    try:
        image = open_image(record.path)
    except ImageError as error:
        return QueryPart(record.image_name, weight, record.path, missing=reason(error, record.path))
    return QueryPart(record.image_name, weight, record.path, image)
