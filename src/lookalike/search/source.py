"""Determine what each term of a query is: text, an image, a vector or a stored image."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from lookalike.core.arguments import check_text
from lookalike.core.errors import InputError
from lookalike.core.paths import expand_user
from lookalike.core.vectors import FloatArray
from lookalike.images.addresses import is_url
from lookalike.search.query import Image, Query, StoredImage, Term, Text

if TYPE_CHECKING:
    from PIL import Image as Pillow

AnyQuery: TypeAlias = (
    "Term | str | Path | int | bytes | Pillow.Image | FloatArray | Sequence[float]"
)
"""A Term, or anything that Query accepts."""


@dataclass(frozen=True)
class Words:
    """Text, for models that support it."""

    text: str


@dataclass(frozen=True)
class Picture:
    """An image that is not stored: a path, http(s) URL, file content or PIL image."""

    source: Any


@dataclass(frozen=True)
class Vector:
    """An embedding."""

    values: FloatArray


@dataclass(frozen=True)
class Stored:
    """A stored image, given by id or name.

    may_be_path: whether a name may have been meant as a path: an error then says what lies there.
    """

    key: int | str
    may_be_path: bool = True


Source = Words | Picture | Vector | Stored


def terms_of(query: AnyQuery) -> tuple[tuple[float, Source], ...]:
    """Return (weight, source) for each term of a query.

    Raises InputError for an invalid or empty query.
    """
    weighted = query.weighted if isinstance(query, Term) else ((1.0, Query(query)),)
    if not weighted:
        raise InputError("the query is empty; give an image, words or a stored image")
    return tuple((weight, _source_of(term)) for weight, term in weighted)


def _source_of(term: Term) -> Source:
    if isinstance(term, Text):
        check_text("the text of a query", term.text)
        if not term.text.strip():
            raise InputError("the text query is empty; say what to look for")
        return Words(term.text)
    if isinstance(term, Image):
        return Picture(term.source)
    if isinstance(term, StoredImage):
        return Stored(term.key, may_be_path=False)
    value = getattr(term, "value", term)
    if isinstance(value, list | tuple):
        value = _vector_of(value)
    if isinstance(value, np.ndarray):
        return Vector(value)
    if _is_picture(value):
        return Picture(value)
    if isinstance(value, str):
        return Stored(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return Stored(int(value))
    raise InputError(f"a {type(value).__name__} is not a query; give an image, text or a vector")


def _vector_of(numbers: Sequence[Any]) -> FloatArray:
    """Return a list of numbers as a vector."""
    try:
        vector = np.asarray(numbers, np.float32)
    except (TypeError, ValueError, OverflowError):
        vector = np.empty((0, 0), np.float32)
    if vector.ndim != 1 or not numbers:
        raise InputError(
            f"{str(numbers)[:80]} is not a query vector; give a list of numbers, or give several "
            "queries to search_many"
        )
    return vector


def _is_picture(value: object) -> bool:
    """Whether a value is an image itself, not the name or id of a stored one."""
    if isinstance(value, str):
        return is_url(value) or is_file(value)
    return isinstance(value, Path | bytes) or _is_pillow(value)


def _is_pillow(value: object) -> TypeGuard[Pillow.Image]:
    """Whether a value is a PIL image: then PIL is imported, which takes longer than a search."""
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(value, pillow.Image)


def is_file(name: str | Path) -> bool:
    """Whether a name is the path of a file; False for invalid paths."""
    try:
        return expand_user(name).is_file()
    except (InputError, OSError, ValueError):  # empty, too long, or with a NUL
        return False


def refuse_unread(name: str | Path) -> None:
    """Raise InputError if a path is a folder or is inside an unreadable one."""
    try:
        is_folder = expand_user(name).is_dir()
    except PermissionError as error:
        raise InputError(f"{name}: {error.strerror}") from error
    except (InputError, OSError, ValueError):
        return
    if is_folder:
        raise InputError(f"{name} is a folder: name an image in it")


def read_image(
    source: Any, *, short_side: int | None = None, allow_private: bool = False
) -> tuple[Pillow.Image, bytes | None]:
    """Return an image and the SHA-256 of its bytes, if it has any.

    Args:
        source: A path, URL, file content or PIL image.
        short_side: As in `open_image`.
        allow_private: Whether URLs may point to this machine and private networks.

    Raises:
        ImageError: The image cannot be read.
        InputError: The source is not an image, or nothing is at the path.
    """
    from lookalike.images.decode import content_hash, open_image, to_rgb

    if _is_pillow(source):
        return to_rgb(source), None
    if isinstance(source, str) and is_url(source):
        from lookalike.images.download import download

        content = download(source, allow_private=allow_private)
        image = open_image(content, name=source, short_side=short_side)
        return image, hashlib.sha256(content).digest()
    if isinstance(source, bytes):
        return open_image(source, short_side=short_side), hashlib.sha256(source).digest()
    if isinstance(source, str | Path):
        path = expand_user(source)
        return open_image(path, short_side=short_side), content_hash(path)
    raise InputError(
        f"a {type(source).__name__} is not an image; give a path, a URL, bytes or a PIL image"
    )
