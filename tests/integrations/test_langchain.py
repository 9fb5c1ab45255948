"""The vector store of LangChain beyond its own suite: scores, filters, diversity and images."""

import asyncio

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores.utils import maximal_marginal_relevance
from PIL import Image

import lookalike
from lookalike import ImageError, InputError
from lookalike.integrations.langchain import LookalikeEmbeddings, LookalikeVectorStore
from tests.colours import Colours
from tests.oracle import similarities

FAKE = DeterministicFakeEmbedding(size=6)
TEXTS = [f"text {i}" for i in range(40)]
METADATA = [
    {"n": i, "kind": "ab"[i % 2], "tags": [f"t{i % 3}", f"t{i % 5}"], "id": i} for i in range(40)
]
IDS = [f"id-{i}" for i in range(40)]
VECTORS = np.array(FAKE.embed_documents(TEXTS))
QUERY = np.array(FAKE.embed_query("a question"))
BY_NEARNESS = np.argsort(-similarities(VECTORS, QUERY))


@pytest.fixture(scope="module")
def store(module_database_url):
    filled = LookalikeVectorStore.from_texts(
        TEXTS, FAKE, METADATA, ids=IDS, database=module_database_url
    )
    yield filled
    filled.close()


FILTERS = [
    (None, lambda each: True),
    ({"kind": "a"}, lambda each: each["kind"] == "a"),
    ("n<10 or tags:t4", lambda each: each["n"] < 10 or "t4" in each["tags"]),
    ({"id": {"$gte": 5, "$lt": 20}}, lambda each: 5 <= each["id"] < 20),
    ({"n": {"$in": [1, 2, 3]}}, lambda each: each["n"] in (1, 2, 3)),
    ({"n": {"$nin": [1, 2]}, "kind": {"$ne": "a"}}, lambda e: e["n"] > 2 and e["kind"] == "b"),
    ({"tags": {"$contains": "t1"}}, lambda each: "t1" in each["tags"]),
    ({"kind": {"$like": "A"}, "x": {"$exists": False}}, lambda each: each["kind"] == "a"),
    (
        {"$or": [{"n": {"$eq": 7}}, {"$and": [{"kind": "b"}, {"n": {"$lte": 3}}]}]},
        lambda each: each["n"] in (1, 3, 7),
    ),
    ({"nobody": "has this"}, lambda each: False),
]


def test_filters_are_lookalikes_and_those_with_dollars(store):
    for given, passes in FILTERS:
        expected = [IDS[i] for i in BY_NEARNESS if passes(METADATA[i])][:6]
        found = store.similarity_search("a question", k=6, filter=given)
        assert [each.id for each in found] == expected, given
        assert [each.metadata for each in found] == [METADATA[int(id_[3:])] for id_ in expected]


def test_a_score_is_the_similarity(store):
    expected = similarities(VECTORS, QUERY)[BY_NEARNESS[:5]]
    for found in (
        store.similarity_search_with_score("a question", k=5),
        store.similarity_search_by_vector_with_score(QUERY.tolist(), k=5),
        asyncio.run(store.asimilarity_search_with_score("a question", k=5)),
    ):
        assert [score for _, score in found] == pytest.approx(expected, abs=1e-6)
        assert [document.page_content for document, _ in found] == [
            TEXTS[i] for i in BY_NEARNESS[:5]
        ]
    by_vector = store.similarity_search_by_vector(QUERY.tolist(), k=5)
    assert [each.id for each in by_vector] == [IDS[i] for i in BY_NEARNESS[:5]]


def test_relevance_is_from_0_to_1(store):
    found = store.similarity_search_with_relevance_scores("a question", k=40)
    expected = similarities(VECTORS, QUERY)[BY_NEARNESS].clip(0, 1)
    assert [score for _, score in found] == pytest.approx(expected, abs=1e-6)
    retriever = store.as_retriever(
        search_type="similarity_score_threshold", search_kwargs={"score_threshold": 0.5, "k": 40}
    )
    assert len(retriever.invoke("a question")) == int((expected >= 0.5).sum()) > 0


def test_diverse_results_are_those_of_langchain(store):
    near = BY_NEARNESS[:20]
    for weight in (0, 0.3, 0.5, 1):
        places = maximal_marginal_relevance(QUERY, list(VECTORS[near]), weight, k=8)
        expected = [IDS[near[place]] for place in places]
        found = store.max_marginal_relevance_search("a question", k=8, lambda_mult=weight)
        assert [each.id for each in found] == expected
        found = asyncio.run(
            store.amax_marginal_relevance_search_by_vector(QUERY.tolist(), 8, lambda_mult=weight)
        )
        assert [each.id for each in found] == expected
    few = store.max_marginal_relevance_search("a question", k=8, filter={"n": ("<", 3)})
    assert sorted(each.id for each in few) == IDS[:3]
    assert store.max_marginal_relevance_search("a question", filter={"nobody": 1}) == []
    with pytest.raises(InputError, match="weight of similarity is 2"):
        store.max_marginal_relevance_search("a question", lambda_mult=2)


def test_what_it_does_not_know_is_refused(store):
    with pytest.raises(InputError, match="no option 'namespace'"):
        store.similarity_search("x", namespace="y")
    with pytest.raises(InputError, match=r"n: lookalike has no operator \$regex; it has \$eq"):
        store.similarity_search("x", filter={"n": {"$regex": "y"}})
    with pytest.raises(InputError, match=r"no filter \$not"):
        store.similarity_search("x", filter={"$not": {"n": 1}})
    with pytest.raises(InputError, match=r"\$or is empty"):
        store.similarity_search("x", filter={"$or": [{}]})
    with pytest.raises(InputError, match="2 ids do not fit 1 texts"):
        store.add_texts(["x"], ids=["a", "b"])


def test_other_metrics_rank_and_rate(db):
    euclidean = LookalikeVectorStore(FAKE, database=db, collection="e", metric="euclidean")
    euclidean.add_texts(TEXTS[:9], ids=IDS[:9])
    distances = -similarities(VECTORS[:9], QUERY, "euclidean")
    found = euclidean.similarity_search_with_relevance_scores("a question", k=9)
    assert [score for _, score in found] == pytest.approx(1 / (1 + np.sort(distances)), abs=1e-5)
    dot = LookalikeVectorStore(FAKE, database=db, collection="d", metric="dot")
    dot.add_texts(TEXTS[:9])
    with pytest.raises(InputError, match="give the store a relevance_score_fn"):
        dot.similarity_search_with_relevance_scores("a question")
    of_mine = LookalikeVectorStore(
        FAKE, database=db, collection="d", relevance_score_fn=lambda product: 0.25
    )
    found = of_mine.similarity_search_with_relevance_scores("a question", k=2)
    assert [score for _, score in found] == [0.25, 0.25]


def test_langchains_indexing_keeps_it_up_to_date(db):
    store = LookalikeVectorStore(FAKE, database=db)
    manager = InMemoryRecordManager("notes")
    manager.create_schema()
    documents = [Document(page_content=text, metadata={"source": text}) for text in TEXTS[:5]]

    def run(given):
        return index(given, manager, store, cleanup="full", source_id_key="source",
                     key_encoder="sha256")  # fmt: skip

    assert run(documents)["num_added"] == 5
    assert run(documents[1:]) == {
        "num_added": 0, "num_updated": 0, "num_skipped": 4, "num_deleted": 1,
    }  # fmt: skip
    assert {each.page_content for each in store.similarity_search("x", k=9)} == {*TEXTS[1:5]}
    assert store.delete() and store.similarity_search("x") == []


class Words(Colours):
    """Colours that know their names."""

    id, has_text = "words-of-colours", True

    def embed_texts(self, texts):
        known = {"red": (255, 1, 1), "green": (1, 255, 1), "blue": (1, 1, 255)}
        return np.array([known[text] for text in texts], np.float32)


@pytest.fixture
def pictures(tmp_path):
    paths = [tmp_path / f"{colour}.png" for colour in ("red", "lime", "blue")]
    for path in paths:
        Image.new("RGB", (8, 8), path.stem).save(path)
    return paths


def test_images_are_documents_by_the_collections_own_model(db, pictures):
    store = LookalikeVectorStore(database=db, collection="colours", model=Words())
    assert isinstance(store.embeddings, LookalikeEmbeddings)
    ids = store.add_images(
        pictures, [{"hue": 0}, {"hue": 120}, {"hue": 240}], captions=["warm"] * 3
    )
    assert ids == [str(path) for path in pictures]
    (found,) = store.similarity_search("green", k=1)
    assert found == Document(id=ids[1], page_content="warm", metadata={"path": ids[1], "hue": 120})
    (found,) = store.similarity_search_by_image(pictures[0], k=1, filter={"hue": {"$gt": 100}})
    assert found.id in ids[1:]
    ((found, score),) = store.similarity_search_by_image_with_score(pictures[2], k=1)
    assert found.id == ids[2] and score == pytest.approx(1, abs=1e-6)
    store.add_texts(["blue"], [{"hue": 240}], ids=["word"])
    assert {each.id for each in store.similarity_search("blue", k=2)} == {"word", ids[2]}
    assert store.add_images(pictures[:1]) == ids[:1]  # replaces caption and metadata
    (found,) = store.get_by_ids(ids[:1])
    assert (found.page_content, found.metadata) == ("red.png", {"path": ids[0]})
    (diverse, _) = store.max_marginal_relevance_search("blue", k=2, lambda_mult=0)
    assert diverse.id in ("word", ids[2])


def test_an_image_that_cannot_be_read_keeps_no_other_from_being_stored(db, pictures):
    store = LookalikeVectorStore(database=db, collection="colours", model=Words())
    broken = pictures[0].with_name("broken.png")
    broken.write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(ImageError, match="broken.png"):
            store.add_images([broken, *pictures], captions=["x", "a", "b", "c"])
    found = store.similarity_search("red", k=9)
    assert {each.page_content for each in found} == {"a", "b", "c"}
    with pytest.raises(InputError, match="2 captions"):
        store.add_images(pictures, captions=["a", "b"])
    with pytest.raises(InputError, match="is not a file"):
        store.add_images([pictures[0].parent])


def test_images_added_otherwise_are_found_with_their_attributes(db, pictures):
    words = Words()
    colours = db.collection("colours", model=words)
    colours.add(pictures[0].parent)
    colours.attributes.set([{"path": str(pictures[0]), "hue": 0}])
    store = LookalikeVectorStore(database=db, collection="colours", model=words)
    (found,) = store.similarity_search("red", filter={"hue": 0})
    assert found == Document(
        id=str(pictures[0]),
        page_content="red.png",
        metadata={"path": str(pictures[0]), "hue": 0},
    )


def test_a_table_of_ones_own_is_searched_and_not_written(db):
    db.rows("CREATE TABLE shoes (sku VARCHAR(9) PRIMARY KEY, title TEXT, price INT, v VECTOR(6))")
    for text in TEXTS[:3]:
        vector = np.array(FAKE.embed_query(text), np.float32).tobytes()
        db.rows("INSERT INTO shoes VALUES (%s, %s, 5, %s)", (text, text.upper(), vector))
    db.table("shoes", name="title")
    store = LookalikeVectorStore(FAKE, database=db, collection="shoes")
    (found,) = store.similarity_search("text 1", k=1, filter={"price": {"$lt": 6}})
    assert found == Document(
        id="TEXT 1", page_content="TEXT 1", metadata={"sku": "text 1", "price": 5}
    )
    for write in (store.delete, lambda: store.add_texts(["x"])):
        with pytest.raises(InputError, match="a table of your own, which lookalike only reads"):
            write()


def test_a_store_closes_what_it_opened(database_url, db):
    store = LookalikeVectorStore(FAKE, database=database_url)
    store.close()
    LookalikeVectorStore(FAKE, database=db).close()
    assert lookalike.Database.rows(db, "SELECT 1")[1] == [(1,)]
