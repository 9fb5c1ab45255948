"""Queries turned into embeddings."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.paths import expand_user
from lookalike.core.vectors import FloatArray, check_embedding
from lookalike.database.table import VectorTable
from lookalike.images.decode import content_hash, open_image, to_rgb
from lookalike.images.download import download, is_url
from lookalike.index.rows import embedding_of, id_of, ids_of_content
from lookalike.models.base import BatchModel, Model
from lookalike.search.query import Image, Query, Term, Text

AnyQuery = Term | str | Path | int | bytes | Pillow.Image | FloatArray
"""A Term, or what can be wrapped in a Query."""

IMAGE, TEXT, MIXED = "image", "text", "mixed"


@dataclass(frozen=True)
class EmbeddedQuery:
    """embedding: of shape (dim,), float32. kind: "image", "text" or "mixed".

    text: the words, where they are all of the query. stored: ids of the stored images that are
    part of the query; same: those, and the ids of stored files with the bytes of an image that is.
    """

    embedding: FloatArray
    kind: str
    stored: frozenset[int]
    same: frozenset[int]
    text: str | None = None

    def left_out(self, exclude_self: bool | None) -> frozenset[int]:
        """Return the ids that `SearchOptions.exclude_self` keeps out of the results."""
        return self.stored if exclude_self is None else self.same if exclude_self else frozenset()


class QueryEmbedder:
    """Embeds queries for one collection.

    model: called when an image or words are to be embedded. allow_private: whether URLs may be of
    this machine and private networks.
    """

    def __init__(
        self,
        table: VectorTable,
        model: Callable[[], Model],
        *,
        allow_private: bool = False,
    ) -> None:
        self._table = table
        self._load_model = model
        self._allow_private = allow_private
        self._stored: set[int] = set()
        self._same: set[int] = set()

    def embed(self, query: AnyQuery) -> EmbeddedQuery:
        """Embed a query. A mix is the weighted sum, for cosine of embeddings of length 1.

        Raises InputError for what is no query, what the model and the rows raise, and
        EmbeddingError for an unusable vector and a mix that comes to nothing.
        """
        weighted = query.weighted if isinstance(query, Term) else ((1.0, Query(query)),)
        if not weighted:
            raise InputError("the query is empty; give an image, words or a stored image")
        kinds = {TEXT if isinstance(term, Text) else IMAGE for _, term in weighted}
        embeddings = [(weight, self._embed(term)) for weight, term in weighted]
        return EmbeddedQuery(
            embedding=self._sum(embeddings),
            kind=kinds.pop() if len(kinds) == 1 else MIXED,
            stored=frozenset(self._stored),
            same=frozenset(self._stored | self._same),
            text=_words_alone(weighted),
        )

    def _sum(self, embeddings: list[tuple[float, FloatArray]]) -> FloatArray:
        if len(embeddings) == 1 and embeddings[0][0] == 1:
            return embeddings[0][1]
        total = np.zeros(self._table.dim, np.float64)
        for weight, embedding in embeddings:
            length = np.linalg.norm(embedding) if self._table.metric == "cosine" else 1.0
            total += weight * embedding.astype(np.float64) / length
        if self._table.metric == "euclidean":
            weights = sum(weight for weight, _ in embeddings)
            if weights <= 0:
                raise InputError(
                    f"the weights add up to {weights:g}; with euclidean the sum must be above 0"
                )
            total /= weights
        # What is left of a - a is rounding.
        if np.linalg.norm(total) < 1e-6:
            raise EmbeddingError("the parts of the query cancel each other out; change the weights")
        return check_embedding(total, self._table.dim)

    def _embed(self, term: Term) -> FloatArray:
        if isinstance(term, Text):
            if not term.text.strip():
                raise InputError("the text query is empty; say what to look for")
            return check_embedding(self._model().embed_texts([term.text])[0], self._table.dim)
        value = term.source if isinstance(term, Image) else getattr(term, "value", term)
        if isinstance(value, np.ndarray) and isinstance(term, Query):
            return check_embedding(value, self._table.dim)
        if isinstance(term, Image) or is_image(value):
            return self._embed_image(value)
        if isinstance(value, str | int | np.integer) and not isinstance(value, bool):
            row_id = self._id_of(value) if isinstance(value, str) else int(value)
            self._stored.add(row_id)
            return embedding_of(self._table, row_id)
        raise InputError(
            f"a {type(value).__name__} is not a query; give an image, text or a vector"
        )

    def _id_of(self, name: str) -> int:
        try:
            return id_of(self._table, name)
        except InputError:
            _refuse_unread(name)
            raise

    def _embed_image(self, source: Any) -> FloatArray:
        if isinstance(source, str | Path) and not (is_url(str(source)) or _is_file(source)):
            _refuse_unread(source)
            raise InputError(f"no such image: {source}")
        loaded = self._model()
        # Decoded as `add` decodes it, so that a stored image is equal to itself.
        side = loaded.preprocessing.short_side if isinstance(loaded, BatchModel) else None
        image, digest = read_image(source, short_side=side, allow_private=self._allow_private)
        if self._table.has_files and digest is not None:
            self._same |= set(ids_of_content(self._table, digest))
        return check_embedding(loaded.embed_images([image])[0], self._table.dim)

    def _model(self) -> Model:
        return self._load_model()


def read_image(
    source: Any, *, short_side: int | None = None, allow_private: bool = False
) -> tuple[Pillow.Image, bytes | None]:
    """Return the image of a path, URL, bytes or PIL image, and the SHA-256 of its bytes, if any.

    short_side: as in `open_image`. Raises ImageError for one that cannot be read.
    """
    if isinstance(source, Pillow.Image):
        return to_rgb(source), None
    if isinstance(source, str) and is_url(source):
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


def _words_alone(weighted: Sequence[tuple[float, Term]]) -> str | None:
    (weight, term), *others = weighted
    return term.text if isinstance(term, Text) and weight > 0 and not others else None


def is_image(value: object) -> bool:
    """Whether a value is an image by itself, and no name or id of a stored one."""
    if isinstance(value, str):
        return is_url(value) or _is_file(value)
    return isinstance(value, Path | Pillow.Image | bytes)


def _is_file(name: str | Path) -> bool:
    try:
        return expand_user(name).is_file()
    except (InputError, OSError, ValueError):  # empty, too long for a path, a NUL
        return False


def _refuse_unread(name: str | Path) -> None:
    """Raise InputError where a path leads to a folder, or through one that is closed."""
    try:
        is_folder = expand_user(name).is_dir()
    except PermissionError as error:
        raise InputError(f"{name}: {error.strerror}") from error
    except (InputError, OSError, ValueError):
        return
    if is_folder:
        raise InputError(f"{name} is a folder: name an image in it")
