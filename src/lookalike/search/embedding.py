"""Embed queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.vectors import FloatArray, check_embedding
from lookalike.database.table import VectorTable
from lookalike.images.addresses import is_url
from lookalike.index.names import id_of
from lookalike.index.rows import embedding_of, ids_of_content, number_of
from lookalike.models.base import BatchModel
from lookalike.models.lazy import LazyModel
from lookalike.search.source import (
    AnyQuery,
    Picture,
    Source,
    Stored,
    Vector,
    Words,
    is_file,
    read_image,
    refuse_unread,
    terms_of,
)

IMAGE, TEXT, MIXED = "image", "text", "mixed"
_NOTHING = 1e-6
"""Below this length, a mix such as a - a is only rounding error."""


@dataclass(frozen=True)
class EmbeddedQuery:
    """An embedded query.

    Attributes:
        embedding: Shape (dim,), float32.
        kind: "image", "text" or "mixed".
        stored: Ids of stored images that are part of the query.
        same: The same, and ids of stored files with the bytes of an image in the query.
        text: The text, if the query is only text.
    """

    embedding: FloatArray
    kind: str
    stored: frozenset[int]
    same: frozenset[int]
    text: str | None = None

    def left_out(self, exclude_self: bool | None) -> frozenset[int]:
        """Return the ids that `SearchOptions.exclude_self` removes from the results."""
        return self.stored if exclude_self is None else self.same if exclude_self else frozenset()


@dataclass(frozen=True)
class _Part:
    """An embedded term, and the stored images that it equals."""

    embedding: FloatArray
    stored: frozenset[int] = frozenset()
    same: frozenset[int] = frozenset()


def embed_query(
    table: VectorTable, model: LazyModel, query: AnyQuery, *, allow_private: bool = False
) -> EmbeddedQuery:
    """Embed a query. A mix is a weighted sum; for cosine, of embeddings of length 1.

    Args:
        table: Where to look up stored images.
        model: Loaded only for images and text.
        query: A query as for `search`.
        allow_private: Whether URLs may point to this machine and private networks.

    Raises:
        InputError: The query is not valid, or a stored image does not exist.
        EmbeddingError: A vector is not valid, or a mix cancels out.
        ModelError, ImageError: Raised by the model and by reading the image.
    """
    terms = terms_of(query)
    parts = [(weight, _embed(table, model, source, allow_private)) for weight, source in terms]
    kinds = {TEXT if isinstance(source, Words) else IMAGE for _, source in terms}
    stored = frozenset[int]().union(*(part.stored for _, part in parts))
    return EmbeddedQuery(
        embedding=_sum(table, [(weight, part.embedding) for weight, part in parts]),
        kind=kinds.pop() if len(kinds) == 1 else MIXED,
        stored=stored,
        same=stored.union(*(part.same for _, part in parts)),
        text=_words_alone(terms),
    )


def _sum(table: VectorTable, embeddings: list[tuple[float, FloatArray]]) -> FloatArray:
    if len(embeddings) == 1 and embeddings[0][0] == 1:
        return embeddings[0][1]
    total = np.zeros(table.dim, np.float64)
    for weight, embedding in embeddings:
        length = np.linalg.norm(embedding) if table.metric == "cosine" else 1.0
        total += weight * embedding.astype(np.float64) / length
    if table.metric == "euclidean":
        weights = sum(weight for weight, _ in embeddings)
        if weights <= 0:
            raise InputError(
                f"the weights add up to {weights:g}; with euclidean the sum must be above 0"
            )
        total /= weights
    if np.linalg.norm(total) < _NOTHING:
        raise EmbeddingError("the parts of the query cancel each other out; change the weights")
    return check_embedding(total, table.dim)


def _embed(table: VectorTable, model: LazyModel, source: Source, allow_private: bool) -> _Part:
    match source:
        case Words(text):
            return _Part(check_embedding(model.get().embed_texts([text])[0], table.dim))
        case Vector(values):
            return _Part(check_embedding(values, table.dim))
        case Stored(key, may_be_path):
            row_id = number_of(table, key)
            if row_id is None:
                row_id = _id_of(table, key, may_be_path) if isinstance(key, str) else key
            return _Part(embedding_of(table, row_id), stored=frozenset({row_id}))
        case Picture():
            return _embed_picture(table, model, source, allow_private)


def _id_of(table: VectorTable, name: str, may_be_path: bool) -> int:
    try:
        return id_of(table, name, allow_ending=True)
    except InputError:
        if may_be_path:
            refuse_unread(name)
        raise


def _embed_picture(
    table: VectorTable, model: LazyModel, picture: Picture, allow_private: bool
) -> _Part:
    source = picture.source
    if isinstance(source, str | Path) and not (is_url(str(source)) or is_file(source)):
        refuse_unread(source)
        raise InputError(f"no such image: {source}")
    loaded = model.get()
    # Decode as `add` does, so that a stored image equals itself.
    side = loaded.preprocessing.short_side if isinstance(loaded, BatchModel) else None
    image, digest = read_image(source, short_side=side, allow_private=allow_private)
    same: list[int] = []
    if table.has_files and digest is not None:
        same = ids_of_content(table, digest)
    embedding = check_embedding(loaded.embed_images([image])[0], table.dim)
    return _Part(embedding, same=frozenset(same))


def _words_alone(terms: Sequence[tuple[float, Source]]) -> str | None:
    (weight, source), *others = terms
    return source.text if isinstance(source, Words) and weight > 0 and not others else None
