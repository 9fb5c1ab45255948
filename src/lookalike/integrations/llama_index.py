"""LlamaIndex's vector store on MySQL, on Community too."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from lookalike import Condition, Database, Document, InputError, Metric, MissingExtra
from lookalike.integrations._documents import DocumentStore, refuse

try:
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.schema import BaseNode, MetadataMode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

    from lookalike.integrations._metadata_filters import Test, conditions_of
except ImportError as error:
    raise MissingExtra("llama-index", "lookalike.integrations.llama_index") from error

_UNFILTERED = ("_node_content", "_node_type")
_MODES = (VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR)
_PREFETCH = 4
"""How many times k nodes are fetched, by default, to choose diverse ones."""


class LookalikeVectorStore(BasePydanticVectorStore):
    """Nodes with their texts and embeddings in a collection.

    A similarity is larger for the nearer: the cosine, the dot product, or the Euclidean distance
    with a minus sign.

    Args:
        database: A Database, or a URL as for `lookalike.connect`; by default the private MySQL.
        collection: Name of the collection; the first node creates it.
        metric: How a new collection ranks: "cosine" (default), "euclidean" or "dot".
    """

    stores_text: bool = True
    collection: str = "nodes"

    _store: DocumentStore = PrivateAttr()

    def __init__(
        self,
        *,
        database: Database | str | None = None,
        collection: str = "nodes",
        metric: Metric | None = None,
    ) -> None:
        super().__init__(stores_text=True, collection=collection)  # type: ignore[call-arg]
        self._store = DocumentStore(database, collection, metric=metric)

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex knows it by."""
        return "LookalikeVectorStore"

    @property
    def client(self) -> Database:
        """The database."""
        return self._store.db

    def close(self) -> None:
        """Close the database, if the store has opened it by its URL."""
        self._store.close()

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Store nodes with their embeddings, all or none, and return their ids.

        Nodes with known ids are replaced.
        """
        refuse(kwargs, "add")
        ids = [node.node_id for node in nodes]
        if nodes:
            self._documents.put(
                ids,
                [node.get_embedding() for node in nodes],
                [node.get_content(metadata_mode=MetadataMode.NONE) for node in nodes],
                [node_to_metadata_dict(node, remove_text=True) for node in nodes],
                unfiltered=_UNFILTERED,
            )
        return ids

    def delete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Delete all nodes of a document, in one transaction."""
        refuse(delete_kwargs, "delete")
        self._documents.delete_where({"ref_doc_id": ref_doc_id})

    def delete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Delete nodes that have one of these ids and pass the filters, in one transaction.

        Without ids and filters nothing is deleted: see `clear`.
        """
        refuse(delete_kwargs, "delete_nodes")
        if node_ids or (node_ids is None and filters is not None and filters.filters):
            self._documents.delete_where(_where(node_ids, filters))

    def clear(self) -> None:
        """Delete all nodes, in one transaction."""
        self._documents.delete_where(None)

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Return the nodes that have one of these ids and pass the filters.

        With ids alone in their order, else in the order in which they were stored.
        """
        if node_ids is not None and filters is None:
            return [_node(each) for each in self._documents.get(node_ids)]
        if node_ids == []:
            return []
        return [_node(each) for each in self._documents.find(_where(node_ids, filters))]

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Return the nodes most similar to an embedding, best first.

        The mode MMR takes `mmr_threshold`, from 0 (the most diverse) to 1 (the most similar; .5 by
        default), and `mmr_prefetch_k`, how many nodes to choose from.

        Raises:
            InputError: A mode, filter or option that lookalike does not have.
        """
        weight = kwargs.pop("mmr_threshold", None)
        fetch_k = kwargs.pop("mmr_prefetch_k", None)
        refuse(kwargs, "query")
        vector = _checked(query)
        k = query.similarity_top_k
        # LlamaIndex's retrievers give an empty list for all nodes.
        tests = [*_where(query.node_ids, query.filters)]
        if query.doc_ids:
            tests.append(Condition("doc_id", "in", tuple(query.doc_ids)))
        if query.mode == VectorStoreQueryMode.MMR:
            weight = query.mmr_threshold if weight is None else weight
            found = self._store.search_diverse(
                vector,
                k=k,
                fetch_k=k * _PREFETCH if fetch_k is None else fetch_k,
                where=tests,
                weight=0.5 if weight is None else weight,
            )
        else:
            found = self._documents.search(vector, k=k, where=tests)
        return VectorStoreQueryResult(
            nodes=[_node(each) for each in found],
            similarities=[each.similarity or 0.0 for each in found],
            ids=[each.key or "" for each in found],
        )

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Run `add` in a thread."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **delete_kwargs: Any) -> None:
        """Run `delete` in a thread."""
        await asyncio.to_thread(self.delete, ref_doc_id, **delete_kwargs)

    async def adelete_nodes(
        self,
        node_ids: list[str] | None = None,
        filters: MetadataFilters | None = None,
        **delete_kwargs: Any,
    ) -> None:
        """Run `delete_nodes` in a thread."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **delete_kwargs)

    async def aclear(self) -> None:
        """Run `clear` in a thread."""
        await asyncio.to_thread(self.clear)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """Run `get_nodes` in a thread."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """Run `query` in a thread."""
        return await asyncio.to_thread(self.query, query, **kwargs)

    @property
    def _documents(self) -> Any:
        return self._store.collection.documents


def _where(node_ids: Sequence[str] | None, filters: MetadataFilters | None) -> tuple[Test, ...]:
    ids = [] if not node_ids else [Condition("image_name", "in", tuple(node_ids))]
    return (*ids, *conditions_of(filters))


def _checked(query: VectorStoreQuery) -> list[float]:
    """Return a query's embedding. Raises InputError for what lookalike does not have."""
    if query.mode not in _MODES:
        known = ", ".join(mode.value for mode in _MODES)
        raise InputError(f"lookalike has no query mode {query.mode.value!r}; it has {known}")
    for name in ("alpha", "sparse_top_k", "hybrid_top_k", "output_fields", "embedding_field"):
        if getattr(query, name, None) is not None:
            raise InputError(f"lookalike has no {name} of a query: leave it out")
    if query.query_embedding is None:
        raise InputError("the query has no embedding: lookalike searches by embeddings")
    return query.query_embedding


def _node(found: Document) -> BaseNode:
    return metadata_dict_to_node(found.metadata, found.text)
