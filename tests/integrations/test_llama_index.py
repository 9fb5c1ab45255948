"""The vector store of LlamaIndex: what LangChain's suite asks, and its filters."""

import asyncio
import random

import numpy as np
import pytest
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import Document, IndexNode, NodeRelationship, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.core.vector_stores.types import FilterOperator as Is
from llama_index.core.vector_stores.utils import build_metadata_filter_fn

from lookalike import InputError
from lookalike.integrations.llama_index import LookalikeVectorStore
from tests.oracle import similarities

GENERATOR = np.random.default_rng(3)
VECTORS = GENERATOR.normal(size=(40, 6))
QUERY = GENERATOR.normal(size=6)
BY_NEARNESS = np.argsort(-similarities(VECTORS, QUERY))
METADATA = [
    {
        "n": i,
        "kind": ["Ab", "ab", "cd"][i % 3],
        "tags": [f"t{i % 3}", f"t{i % 5}"],
        "id": i % 4,
        **({"rare": "" if i % 4 else "here"} if i % 2 else {}),
    }
    for i in range(40)
]


def node(i, **changes):
    made = TextNode(
        id_=f"node-{i}", text=f"text {i}", metadata=METADATA[i], embedding=VECTORS[i].tolist()
    )
    made.relationships[NodeRelationship.SOURCE] = Document(
        id_=f"doc-{i % 4}"
    ).as_related_node_info()
    return made.model_copy(update=changes)


@pytest.fixture(scope="module")
def filled(module_database_url):
    store = LookalikeVectorStore(database=module_database_url)
    store.add([node(i) for i in range(40)])
    yield store
    store.close()


@pytest.fixture
def store(db):
    return LookalikeVectorStore(database=db)


def ask(store, k=3, **options):
    query = VectorStoreQuery(query_embedding=QUERY.tolist(), similarity_top_k=k, **options)
    found = store.query(query)
    assert [each.node_id for each in found.nodes] == found.ids
    return found


def test_an_empty_store_finds_nothing(store):
    assert ask(store).nodes == [] and store.get_nodes() == store.get_nodes(["a"]) == []
    store.delete("a")
    store.delete_nodes(["a"])
    store.clear()
    assert store.add([]) == []


def test_nodes_come_back_whole(store):
    other = IndexNode(id_="i", text="index", index_id="x", embedding=[0.0] * 5 + [1.0])
    assert store.add([node(0), node(1), other]) == ["node-0", "node-1", "i"]
    found = store.get_nodes(["i", "nobody", "node-1"])
    expected = [other, node(1)]
    assert found == [each.model_copy(update={"embedding": None}) for each in expected]
    assert isinstance(found[0], IndexNode) and found[1].ref_doc_id == "doc-1"
    assert store.client.collections() == ["nodes"]


def test_the_nearest_with_their_similarities(filled):
    found = ask(filled, k=5)
    assert found.ids == [f"node-{i}" for i in BY_NEARNESS[:5]]
    expected = similarities(VECTORS, QUERY)[BY_NEARNESS[:5]]
    assert found.similarities == pytest.approx(expected, abs=1e-6)
    found = ask(filled, k=5, doc_ids=["doc-1", "doc-2"])
    assert found.ids == [f"node-{i}" for i in BY_NEARNESS if i % 4 in (1, 2)][:5]
    found = ask(filled, k=5, node_ids=["node-3", "node-9", "nobody"])
    assert sorted(found.ids) == ["node-3", "node-9"]
    assert len(ask(filled, node_ids=[], doc_ids=[]).ids) == 3  # as its retrievers ask for all


def test_adding_again_replaces(store):
    store.add([node(0), node(1)])
    store.add([node(0, metadata={"new": 1}, embedding=VECTORS[5].tolist()), node(1)])
    (found,) = store.get_nodes(filters=one("new", 1))
    assert (found.node_id, found.metadata) == ("node-0", {"new": 1})
    assert len(store.get_nodes()) == 2


def test_deleting_by_document_ids_and_filters(store):
    store.add([node(i) for i in range(12)])
    store.delete("doc-1")
    assert [each.node_id for each in store.get_nodes()] == [
        f"node-{i}" for i in range(12) if i % 4 != 1
    ]
    store.delete_nodes(["node-0", "nobody", "node-2"])
    store.delete_nodes(["node-3", "node-4"], filters=one("n", 4))
    store.delete_nodes(filters=one("kind", "cd"))
    kept = [3, 6, 7, 10]
    assert [each.node_id for each in store.get_nodes()] == [f"node-{i}" for i in kept]
    store.delete_nodes()
    store.delete_nodes([])
    assert len(store.get_nodes()) == 4
    store.clear()
    assert store.get_nodes() == []


def one(key, value, operator=Is.EQ):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value, operator=operator)])


SINGLE = [
    *(("n", operator, 9) for operator in (Is.EQ, Is.NE, Is.GT, Is.GTE, Is.LT, Is.LTE)),
    *(("kind", operator, "ab") for operator in (Is.EQ, Is.NE, Is.GT, Is.LTE)),
    ("n", Is.IN, [1, 2, 60]),
    ("n", Is.NIN, [1, 2, 60]),
    ("kind", Is.IN, ["ab", "x"]),
    ("id", Is.EQ, 3),
    ("rare", Is.EQ, "here"),
    ("rare", Is.NE, "here"),
    ("rare", Is.NIN, ["here"]),
    ("rare", Is.IS_EMPTY, None),
    ("n", Is.IS_EMPTY, None),
    ("nobody", Is.IS_EMPTY, None),
    ("nobody", Is.EQ, 1),
    ("nobody", Is.NE, 1),
    ("kind", Is.TEXT_MATCH_INSENSITIVE, "AB"),
]
LISTS = [
    ("tags", Is.CONTAINS, "t4"),
    ("tags", Is.ANY, ["t3", "t4"]),
    ("tags", Is.ALL, ["t1", "t4"]),
]


def filters_of(condition, *asked):
    return MetadataFilters(
        condition=condition,
        filters=[MetadataFilter(key=key, operator=op, value=value) for key, op, value in asked],
    )


def test_filters_are_those_of_llama_index(filled):
    """Its own function for the store in memory says which nodes pass."""
    generator = random.Random(5)
    asked = [filters_of(FilterCondition.AND, each) for each in (*SINGLE, *LISTS)]
    asked += [filters_of(FilterCondition.NOT, each) for each in SINGLE]
    for condition in FilterCondition:
        known = SINGLE if condition is FilterCondition.NOT else SINGLE + LISTS
        asked += [filters_of(condition, *generator.sample(known, 3)) for _ in range(6)]
    for filters in asked:
        passes = build_metadata_filter_fn(lambda i: METADATA[i], filters)
        expected = [f"node-{i}" for i in range(40) if passes(i)]
        found = filled.get_nodes(filters=filters)
        assert [each.node_id for each in found] == expected, filters
    nearest = ask(filled, k=40, filters=asked[0])
    assert nearest.ids == ["node-9"]


def test_groups_of_filters_may_be_nested(filled):
    inner = filters_of(FilterCondition.OR, ("n", Is.LT, 5), ("n", Is.GT, 35))
    none = MetadataFilters(condition="not", filters=[inner, *one("kind", "ab").filters])
    found = filled.get_nodes(filters=none)
    assert [each.metadata["n"] for each in found] == [n for n in range(5, 36) if n % 3 != 1]
    double = MetadataFilters(condition="not", filters=[none])
    assert len(filled.get_nodes(filters=double)) == 40 - len(found)
    assert len(filled.get_nodes(filters=MetadataFilters(filters=[]))) == 40


def test_what_it_cannot_do_is_refused_by_name(filled):
    for filters, told in (
        (one("kind", "a", Is.TEXT_MATCH), "no filter text_match; use text_match_insensitive"),
        (filters_of(FilterCondition.NOT, LISTS[0]), "cannot negate the filter contains"),
        (filters_of(FilterCondition.NOT, LISTS[1]), "cannot negate the filter any"),
        (one("n", None), "n: None is not a value; use is_empty"),
    ):
        with pytest.raises(InputError, match=told):
            filled.get_nodes(filters=filters)
    with pytest.raises(InputError, match="no query mode 'hybrid'; it has default, mmr"):
        ask(filled, mode=VectorStoreQueryMode.HYBRID)
    with pytest.raises(InputError, match="no alpha of a query"):
        ask(filled, alpha=0.5)
    with pytest.raises(InputError, match="no embedding"):
        filled.query(VectorStoreQuery(query_str="words"))
    with pytest.raises(InputError, match="no option 'refresh'"):
        filled.add([], refresh=True)


def test_diverse_results_are_those_of_the_definition(filled):
    """LlamaIndex's own store in memory compares with the last chosen node alone."""
    near = BY_NEARNESS[:20]
    for weight in (0, 0.2, 0.5, 1):
        places = maximal_marginal_relevance(QUERY, list(VECTORS[near]), weight, k=5)
        found = ask(filled, k=5, mode=VectorStoreQueryMode.MMR, mmr_threshold=weight)
        assert found.ids == [f"node-{near[place]}" for place in places]
    query = VectorStoreQuery(QUERY.tolist(), 3, mode=VectorStoreQueryMode.MMR)
    assert len(filled.query(query, mmr_threshold=0.1, mmr_prefetch_k=3).ids) == 3


def test_the_same_from_coroutines(store):
    async def run():
        assert await store.async_add([node(i) for i in range(8)]) == [f"node-{i}" for i in range(8)]
        query = VectorStoreQuery(query_embedding=QUERY.tolist(), similarity_top_k=3)
        found = await asyncio.gather(*(store.aquery(query) for _ in range(4)))
        assert {tuple(each.ids) for each in found} == {
            tuple(f"node-{i}" for i in BY_NEARNESS if i < 8)[:3]
        }
        await store.adelete("doc-1")
        await store.adelete_nodes(["node-0"])
        assert len(await store.aget_nodes()) == 5
        assert len(await store.aget_nodes(["node-2"])) == 1
        await store.aclear()
        assert await store.aget_nodes() == []

    asyncio.run(run())


def test_an_index_of_llama_index_uses_it(store):
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(id_=f"d{i}", text=f"words {i}", metadata={"n": i}) for i in range(3)]
    embedding = MockEmbedding(embed_dim=4)
    index = VectorStoreIndex.from_documents(
        documents, storage_context=context, embed_model=embedding
    )
    again = VectorStoreIndex.from_vector_store(store, embed_model=embedding)
    found = again.as_retriever(similarity_top_k=2, filters=one("n", 1)).retrieve("words")
    assert [(each.node.ref_doc_id, each.text) for each in found] == [("d1", "words 1")]
    index.delete_ref_doc("d1", delete_from_docstore=True)
    assert len(again.as_retriever(similarity_top_k=5).retrieve("words")) == 2
