"""Queries: whatever a search is asked for, turned into an embedding."""

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.errors import ImageError, InputError
from lookalike.images import open_image, to_rgb
from lookalike.models import BatchModel, Model
from lookalike.types import Text
from lookalike.vectors import FloatArray, check_embedding

Query = str | Path | int | Text | Image.Image | FloatArray
"""An image's path, http(s) URL or stored name, a stored id, words, an image, or a vector."""

MAX_DOWNLOAD = 50_000_000
"""How many bytes of a URL are taken at the most."""

_TIMEOUT_SECONDS = 20


def query_image(query: Query, *, short_side: int | None = None) -> Image.Image | None:
    """Return the image that a query is, or None where it is none (an id, a name, words).

    short_side: as in `open_image`. Raises ImageError for a file or URL that cannot be read as an
    image.
    """
    if isinstance(query, Image.Image):
        return to_rgb(query)
    if isinstance(query, str) and is_url(query):
        return open_image(download(query), name=query, short_side=short_side)
    if isinstance(query, str | Path) and _is_image(query):
        path = Path(query).expanduser()
        if not path.is_file():
            raise InputError(f"no such image: {query}")
        return open_image(path, short_side=short_side)
    return None


def _is_image(query: Query) -> bool:
    if isinstance(query, str):
        return is_url(query) or Path(query).expanduser().is_file()
    return isinstance(query, Path | Image.Image)


def embed_query(
    query: Query,
    *,
    dim: int,
    model: Callable[[], Model],
    stored: Callable[[int | str], FloatArray],
) -> FloatArray:
    """Return the embedding of a query, shape (dim,), float32.

    model: called when an image or words are to be embedded; stored: returns the embedding of
    a stored id or name. Raises what these raise, and EmbeddingError for an unusable vector.
    """
    if isinstance(query, Text):
        if not query.text.strip():
            raise InputError("the text query is empty; say what to look for")
        return check_embedding(model().embed_texts([query.text])[0], dim)
    if isinstance(query, np.ndarray):
        return check_embedding(query, dim)
    if _is_image(query):
        loaded = model()
        # Decoded as `add` decodes it, so that a stored image is equal to itself.
        side = loaded.preprocessing.short_side if isinstance(loaded, BatchModel) else None
        image = query_image(query, short_side=side)
        if image is not None:
            return check_embedding(loaded.embed_images([image])[0], dim)
    if isinstance(query, str | int | np.integer):
        return stored(query if isinstance(query, str) else int(query))
    raise InputError(f"a {type(query).__name__} is no query: give an image, a text or a vector")


def is_url(query: str) -> bool:
    """Whether a query is an http or https URL."""
    return query.lower().startswith(("http://", "https://"))


def download(url: str) -> bytes:
    """Return the bytes at an http or https URL. Raises ImageError."""
    request = urllib.request.Request(url, headers={"User-Agent": "lookalike"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:
            content: bytes = response.read(MAX_DOWNLOAD + 1)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise ImageError(f"{url}: {getattr(error, 'reason', error)}") from error
    if len(content) > MAX_DOWNLOAD:
        raise ImageError(f"{url}: more than {MAX_DOWNLOAD:,} bytes; save a smaller copy first")
    return content
