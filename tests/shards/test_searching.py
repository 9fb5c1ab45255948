"""Searches of spread collections, compared with numpy; a shard that is lost is an error."""

import numpy as np
import pytest

import lookalike
from tests.shards.conftest import SHARDS

N, DIM = 700, 16
BRANDS = ["Acme", "acme", "Äcme", "bolt ", "bolt"]


def vectors(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def attributes_of(number: int) -> dict[str, object]:
    return {
        "price": number % 50 / 2,
        "brand": BRANDS[number % len(BRANDS)],
        "sale": number % 3 == 0,
        **({"tags": ["red", f"t{number % 7}"]} if number % 2 else {}),
    }


FILTERS = {
    "price<3": lambda a, name: a["price"] < 3,
    "price>=20 and sale=true": lambda a, name: a["price"] >= 20 and a["sale"],
    "brand=acme": lambda a, name: a["brand"] == "acme",
    "brand!=acme": lambda a, name: a["brand"] != "acme",
    "brand~ACME": lambda a, name: a["brand"] in ("Acme", "acme"),
    "tags:t3": lambda a, name: "t3" in a.get("tags", []),
    "tags is missing": lambda a, name: "tags" not in a,
    "image_name~'7.JPG'": lambda a, name: name.endswith("7.jpg"),
    "price=1.5 or brand=bolt": lambda a, name: a["price"] == 1.5 or a["brand"] == "bolt",
}


@pytest.fixture(scope="module")
def filled(servers):
    """A collection of N rows over all shards, with the embeddings."""
    sizes = lookalike.IndexSizes(rows_for_cells=300)
    with lookalike.connect(servers.url, index_sizes=sizes) as db:
        shapes = db.collection("shapes", dim=DIM, shards=SHARDS)
        shapes.upsert(
            vectors(1),
            names=[f"{number}.jpg" for number in range(N)],
            attributes=[attributes_of(number) for number in range(N)],
        )
        yield shapes, vectors(1)
        db.delete_collection("shapes")


def nearest(embeddings, query, k, passing=None):
    """Ids of the k nearest rows, whose ids count from 1."""
    scores = embeddings @ query / np.linalg.norm(embeddings, axis=1)
    if passing is not None:
        scores[~passing] = -np.inf
    return (np.argsort(-scores, kind="stable")[:k] + 1).tolist()


def test_rows_are_spread_evenly_and_each_shard_has_its_index(servers, filled):
    for shard in servers.shards.values():
        with lookalike.connect(shard_url(servers, shard)) as db:
            ((n,),) = db.rows("SELECT COUNT(*) FROM shapes")[1]
            assert N // 3 <= n <= N // 3 + 1
            assert "VECTOR KEY `lookalike_vectors`" in db.rows("SHOW CREATE TABLE shapes")[1][0][1]
    assert filled[0].index.status().kind == "server"


def shard_url(servers, shard):
    return servers.url.replace(str(servers.head.socket), str(shard.socket))


def test_how_wide_shards_search_cannot_be_set(filled):
    shapes, embeddings = filled
    with pytest.raises(lookalike.InputError, match="oversampling cannot be set on a spread"):
        shapes.search(embeddings[0], oversampling=20)


def test_searches_find_what_numpy_finds(filled):
    shapes, embeddings = filled
    hits = 0
    for query in vectors(2, 20):
        found = shapes.search(query, k=10)
        assert len(found) == 10
        ids = [match.id for match in found]
        hits += len(set(ids) & set(nearest(embeddings, query, 10)))
        cosines = embeddings[np.array(ids) - 1] @ query / np.linalg.norm(query)
        cosines /= np.linalg.norm(embeddings[np.array(ids) - 1], axis=1)
        assert [match.similarity for match in found] == pytest.approx(cosines.tolist(), abs=1e-6)
        exact = shapes.search(query, k=10, exact=True)
        assert [match.id for match in exact] == nearest(embeddings, query, 10)
    assert hits >= 195


@pytest.mark.parametrize("where", FILTERS)
def test_filters_pass_what_python_passes(filled, where):
    shapes, embeddings = filled
    passing = np.array([FILTERS[where](attributes_of(i), f"{i}.jpg") for i in range(N)])
    assert 0 < passing.sum() < N
    for query in vectors(3, 2):
        found = shapes.search(query, k=12, where=where)
        assert [match.id for match in found] == nearest(embeddings, query, 12, passing)[
            : passing.sum()
        ]
    assert shapes.count(where) == passing.sum()


def test_rows_are_read_in_any_order(filled):
    shapes, _ = filled
    prices = [attributes_of(number)["price"] for number in range(N)]
    listed = shapes.browse(order_by="-price", k=20)
    expected = sorted(range(N), key=lambda number: (-prices[number], -number))[:20]
    assert [record.id for record in listed] == [number + 1 for number in expected]
    counted = {each.value: each.rows for each in shapes.attributes.counts("brand")}
    assert counted == {brand: N // len(BRANDS) for brand in BRANDS}
    assert {each.name: each.rows for each in shapes.status().attributes}["sale"] == N
    assert len(shapes.search("17.jpg", k=1)) == 1


def test_a_lost_shard_is_an_error_that_names_it(servers, filled):
    shapes, embeddings = filled
    query = vectors(4, 1)[0]
    assert len(shapes.search(query)) == 10
    servers.shards["shard2"].kill()
    try:
        for options in ({}, {"where": "price<3"}):
            with pytest.raises(lookalike.DatabaseError, match="shard2"):
                shapes.search(query, **options)
        with pytest.raises(lookalike.DatabaseError, match="shard2"):
            shapes.upsert(vectors(5, 3))
    finally:
        servers.shards["shard2"].start()
    assert [match.id for match in shapes.search(query, exact=True)] == nearest(
        embeddings, query, 10
    )
    assert shapes.status().rows == N
