"""LangChain's vector store on MySQL: texts and images, on Community too."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from lookalike import (
    Database,
    Image,
    ImageError,
    InputError,
    Metric,
    MissingExtra,
    Model,
    Text,
)
from lookalike import Document as StoredDocument
from lookalike.integrations._documents import DocumentStore, Where, refuse
from lookalike.integrations._filters import where_of

try:
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    raise MissingExtra("langchain", "lookalike.integrations.langchain") from error

Filter = Where | Mapping[str, Any]
"""Conditions as in `Collection.search`, or as {"price": {"$lt": 50}}."""


class LookalikeEmbeddings(Embeddings):
    """A model of lookalike's as LangChain's embeddings of texts."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed texts, in their order. Raises ModelError if the model has no such words."""
        rows: list[list[float]] = self.model.embed_texts(texts).tolist()
        return rows

    def embed_query(self, text: str) -> list[float]:
        """Embed one text."""
        return self.embed_documents([text])[0]


class LookalikeVectorStore(VectorStore):
    """Documents in a collection: texts with embeddings, and images.

    A score is lookalike's similarity, larger for the nearer: the cosine, the dot product, or the
    Euclidean distance with a minus sign.

    Args:
        embedding: Embeds the texts; None for the collection's model, which embeds images too.
        database: A Database, or a URL as for `lookalike.connect`; by default the private MySQL.
        collection: Name of the collection; the first document creates it.
        model: For a collection of images: a model or its name, "auto" for the default.
        metric: How a new collection ranks: "cosine" (default), "euclidean" or "dot".
        relevance_score_fn: Makes a score from 0 to 1 of a similarity. By default the cosine, or 0
            below that, or 1 / (1 + distance); for "dot" there is none.
    """

    def __init__(
        self,
        embedding: Embeddings | None = None,
        *,
        database: Database | str | None = None,
        collection: str = "documents",
        model: str | Model | None = None,
        metric: Metric | None = None,
        relevance_score_fn: Callable[[float], float] | None = None,
    ) -> None:
        self._embedding = embedding
        self._relevance_score_fn = relevance_score_fn
        self._store = DocumentStore(database, collection, model, metric)
        self.collection = self._store.collection

    @property
    def embeddings(self) -> Embeddings:
        """What embeds texts."""
        if self._embedding is None:
            self._embedding = LookalikeEmbeddings(self.collection.load_model())
        return self._embedding

    def close(self) -> None:
        """Close the database, if the store has opened it by its URL."""
        self._store.close()

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Store texts, all or none, and return their ids; texts with known ids are replaced.

        Args:
            texts: The texts, which are embedded.
            metadatas: JSON objects, one each.
            ids: Their ids, 255 characters at most; a random one for None.
            batch_size: How many texts to embed at once; by default all.

        Raises:
            InputError: The lengths differ, or an id or metadata cannot be stored.
        """
        refuse(kwargs, "add_texts")
        given = list(texts)
        keys = [key or str(uuid.uuid4()) for key in (ids or [None] * len(given))]
        if len(keys) != len(given):
            raise InputError(f"{len(keys)} ids do not fit {len(given)} texts")
        if given:
            step = len(given) if batch_size is None else batch_size
            vectors = [
                vector
                for start in range(0, len(given), step)
                for vector in self.embeddings.embed_documents(given[start : start + step])
            ]
            self.collection.documents.put(keys, vectors, given, metadatas or None)
        return keys

    def add_images(
        self,
        paths: Sequence[str | os.PathLike[str]],
        metadatas: Sequence[Mapping[str, Any]] | None = None,
        *,
        captions: Sequence[str] | None = None,
    ) -> list[str]:
        """Add images with the collection's model, and return their ids: their absolute paths.

        An image that is stored already is not embedded again; its caption and metadata are
        replaced. Repeat the call if it was interrupted.

        Args:
            paths: Image files.
            metadatas: JSON objects, one each; the path is added.
            captions: What the documents say, for whoever reads them; by default the file's name.

        Raises:
            ImageError: An image cannot be read; the others are stored.
        """
        texts = [Path(path).name for path in paths] if captions is None else list(captions)
        every = [{}] * len(paths) if metadatas is None else list(metadatas)
        if not len(paths) == len(texts) == len(every):
            raise InputError(
                f"{len(texts)} captions and {len(every)} metadata do not fit {len(paths)} images"
            )
        if folders := [path for path in paths if not Path(path).is_file()]:
            raise InputError(f"{folders[0]} is not a file: name images")
        if not paths:
            return []
        report = self.collection.add(*paths, retry=True)
        failed = {failure.path.resolve() for failure in report.failed}
        there = [place for place, path in enumerate(paths) if Path(path).resolve() not in failed]
        keys = self.collection.documents.describe(
            [paths[place] for place in there],
            [texts[place] for place in there],
            [every[place] for place in there],
        )
        if report.failed:
            raise ImageError(str(report.failed[0]))
        return keys

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        """Delete documents by id, or all of them, in one transaction; unknown ids are ignored.

        Files of images stay.
        """
        refuse(kwargs, "delete")
        if ids is None:
            self.collection.documents.delete_where(None)
        else:
            self.collection.documents.delete(ids)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """Return documents by id, in the order of ids; unknown ids are skipped."""
        return [_document(found) for found in self.collection.documents.get(ids)]

    def similarity_search(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the k documents most similar to a text, best first."""
        return [document for document, _ in self._search(self._query(query), k, filter, kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """Return the same with their similarities, larger for the nearer."""
        return self._search(self._query(query), k, filter, kwargs)

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None, **kwargs: Any
    ) -> list[Document]:
        """Return the k documents most similar to an embedding, best first."""
        return [document for document, _ in self._search(list(embedding), k, filter, kwargs)]

    def similarity_search_by_vector_with_score(
        self, embedding: list[float], k: int = 4, filter: Filter | None = None
    ) -> list[tuple[Document, float]]:
        """Return the same with their similarities."""
        return self._search(list(embedding), k, filter, {})

    def similarity_search_by_image(
        self, image: Any, k: int = 4, filter: Filter | None = None
    ) -> list[Document]:
        """Return the k documents most similar to an image, best first.

        image: a path, an http(s) URL, the bytes of a file or a PIL image.
        """
        return [document for document, _ in self._search(Image(image), k, filter, {})]

    def similarity_search_by_image_with_score(
        self, image: Any, k: int = 4, filter: Filter | None = None
    ) -> list[tuple[Document, float]]:
        """Return the same with their similarities."""
        return self._search(Image(image), k, filter, {})

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return k of the `fetch_k` documents nearest to a text, diverse ones.

        lambda_mult: from 0, the most diverse, to 1, the most similar.
        """
        vector = self.embeddings.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(
            vector, k, fetch_k, lambda_mult, filter, **kwargs
        )

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Document]:
        """Return k of the `fetch_k` documents nearest to an embedding, diverse ones."""
        refuse(kwargs, "max_marginal_relevance_search")
        found = self._store.search_diverse(
            list(embedding), k=k, fetch_k=fetch_k, where=where_of(filter), weight=lambda_mult
        )
        return [_document(each) for each in found]

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings | None = None,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Open a store, add texts and return it; kwargs: as for the class."""
        store = cls(embedding, **kwargs)
        try:
            store.add_texts(texts, metadatas, ids=ids)
        except BaseException:
            store.close()
            raise
        return store

    def _query(self, text: str) -> Any:
        # The collection's model rates the results of its own words.
        return Text(text) if self._embedding is None else self._embedding.embed_query(text)

    def _search(
        self, query: Any, k: int, given: Filter | None, options: Mapping[str, Any]
    ) -> list[tuple[Document, float]]:
        refuse(options, "a search")
        found = self.collection.documents.search(query, k=k, where=where_of(given))
        return [(_document(each), each.similarity or 0.0) for each in found]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self._relevance_score_fn is not None:
            return self._relevance_score_fn
        if self.collection.metric == "cosine":
            return lambda similarity: min(max(similarity, 0.0), 1.0)
        if self.collection.metric == "euclidean":
            return lambda similarity: 1 / (1 - similarity)
        raise InputError(
            "a dot product has no scale from 0 to 1: give the store a relevance_score_fn"
        )


def _document(found: StoredDocument) -> Document:
    return Document(id=found.key, page_content=found.text, metadata=found.metadata)
