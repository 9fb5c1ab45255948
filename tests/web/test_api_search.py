"""Searches over HTTP, compared with numpy on the stored embeddings."""

import json

import httpx
import numpy as np
import pytest

import lookalike

SEARCH = "/api/v1/search"


@pytest.fixture(scope="module")
def stored(served):
    """The ids, names and embeddings (n, dim), of unit length, that are stored."""
    with lookalike.connect(served.database_url) as db:
        collection = db.collection()
        ids = [row[0] for row in db.rows("SELECT id FROM image_embeddings ORDER BY id")[1]]
        items = collection.get(ids)
    embeddings = np.array([item.embedding for item in items])
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return ids, [item.image_name for item in items], embeddings


def nearest(stored, query, k, without=()):
    """The k nearest ids with their cosine similarities, ties by id."""
    ids, _, embeddings = stored
    similarities = embeddings @ (query / np.linalg.norm(query))
    order = np.lexsort((ids, -similarities))
    return [(ids[i], similarities[i]) for i in order if ids[i] not in without][:k]


def id_of(stored, name):
    return stored[0][stored[1].index(name)]


def embedding_of(stored, name):
    return stored[2][stored[1].index(name)]


def check(answer, expected):
    assert [match["id"] for match in answer["matches"]] == [row_id for row_id, _ in expected]
    found = [match["similarity"] for match in answer["matches"]]
    np.testing.assert_allclose(found, [similarity for _, similarity in expected], atol=2e-4)


def post(api, document, **parameters):
    response = api.post(SEARCH, json=document, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()["results"]


def test_vectors_ids_and_names_find_what_numpy_finds(api, stored):
    vector = np.random.default_rng(1).standard_normal(stored[2].shape[1])
    cat = id_of(stored, "cat.jpg")
    queries = [{"vector": vector.tolist()}, {"id": cat}, {"name": "cat.jpg"}]
    found = post(api, {"queries": queries, "k": 5})
    check(found[0], nearest(stored, vector, 5))
    for answer in found[1:]:
        check(answer, nearest(stored, embedding_of(stored, "cat.jpg"), 5, without={cat}))


def test_a_mix_has_weights(api, stored):
    mix = [{"name": "cat.jpg"}, {"name": "bee.jpg", "weight": -0.5}]
    expected = embedding_of(stored, "cat.jpg") - 0.5 * embedding_of(stored, "bee.jpg")
    without = {id_of(stored, "cat.jpg"), id_of(stored, "bee.jpg")}
    (answer,) = post(api, {"query": {"mix": mix}, "k": 4})
    check(answer, nearest(stored, expected, 4, without))


def test_uploads_are_one_query_their_mean(api, stored, photos):
    names = ("cat.jpg", "bee.jpg", "coffee-crop.jpg")
    files = [("image", (name, (photos / name).read_bytes())) for name in names]
    response = api.post(SEARCH, files=files, data={"k": "6"})
    expected = sum(embedding_of(stored, name) for name in names)
    check(response.json()["results"][0], nearest(stored, expected, 6))


def test_an_upload_and_words_are_one_query(api, stored, photos):
    files = {"image": (photos / "cat.jpg").read_bytes()}
    found = api.post(SEARCH, files=files, data={"text": "cat", "k": "3"}).json()["results"]
    mix = [{"name": "cat.jpg", "weight": 0.5}, {"text": "cat", "weight": 0.5}]
    (expected,) = post(api, {"query": {"mix": mix}, "k": 3, "exclude_self": False})
    assert [m["id"] for m in found[0]["matches"]] == [m["id"] for m in expected["matches"]]


def test_a_document_refers_to_uploads_by_place(api, stored, photos):
    document = {"queries": [{"image": 1}, {"mix": [{"image": 0}, {"id": 1, "weight": -1}]}]}
    files = [("image", (photos / name).read_bytes()) for name in ("cat.jpg", "bee.jpg")]
    response = api.post(SEARCH, files=files, data={"request": json.dumps(document)})
    bee, mixed = response.json()["results"]
    check(bee, nearest(stored, embedding_of(stored, "bee.jpg"), 10))
    first = stored[2][0]
    expected = embedding_of(stored, "cat.jpg") - first
    check(mixed, nearest(stored, expected, 10, without={stored[0][0]}))


def test_the_same_search_by_url(api, stored):
    cat = id_of(stored, "cat.jpg")
    response = api.get(SEARCH, params={"id": cat, "k": 3, "include": "attributes"})
    (answer,) = response.json()["results"]
    check(answer, nearest(stored, embedding_of(stored, "cat.jpg"), 3, without={cat}))
    assert answer["matches"][0]["attributes"]["format"] == "jpeg"
    both = api.get(SEARCH, params=[("name", "cat.jpg"), ("name", "bee.jpg")]).json()
    expected = embedding_of(stored, "cat.jpg") + embedding_of(stored, "bee.jpg")
    without = {cat, id_of(stored, "bee.jpg")}
    check(both["results"][0], nearest(stored, expected, 10, without))


def test_neighbours_leave_out_the_image_itself(api, stored):
    cat = id_of(stored, "cat.jpg")
    response = api.get(f"/api/v1/images/{cat}/neighbours", params={"k": 4})
    check(response.json(), nearest(stored, embedding_of(stored, "cat.jpg"), 4, without={cat}))


@pytest.mark.parametrize(
    "where",
    [
        "width>=600 and format=jpeg",
        ["width>=600", {"name": "format", "value": "jpeg"}],
        {"width": [600, 640], "format": "jpeg"},
    ],
)
def test_conditions_as_text_list_or_object(api, where):
    (answer,) = post(api, {"query": {"id": 1}, "where": where, "include": ["attributes"], "k": 50})
    assert answer["matches"]
    for match in answer["matches"]:
        assert match["attributes"]["format"] == "jpeg"
        assert match["attributes"]["width"] >= 600


def test_a_match_has_what_search_json_has_and_links(api, stored, served_photos):
    cat = id_of(stored, "cat.jpg")
    (answer,) = post(api, {"query": {"id": cat}, "k": 1, "exclude_self": False})
    (match,) = answer["matches"]
    assert match["level"] == "strong" and match["percentile"] > 99
    assert match["path"] == str(served_photos / "cat.jpg")
    assert match["attributes"] is None
    assert match["links"]["file"] == f"/api/v1/images/{cat}/file"
    assert answer["is_chance"] is False


WRONG = [
    ({}, "give a query"),
    ({"query": {"id": 1}, "queries": [{"id": 1}]}, "give a query"),
    ({"query": {}}, "has nothing"),
    ({"query": {"id": 1, "text": "cat"}}, "has id, text"),
    ({"query": {"id": 1, "mix": [{"id": 2}]}}, "either a mix or one term"),
    ({"query": {"id": True}}, "query.id"),
    ({"query": {"id": "1"}}, "query.id"),
    ({"query": {"id": 2**70}}, "query.id"),
    ({"query": {"vector": [1, "2"]}}, "vector"),
    ({"query": {"vector": []}}, "vector"),
    ({"query": {"vector": [1, 2, 3]}}, "3"),
    ({"query": {"url": "file:///etc/passwd"}}, "url"),
    ({"query": {"image": 0}}, "there is no image 0"),
    ({"query": {"id": 1}, "kk": 3}, "kk"),
    ({"query": {"id": 1}, "k": 0}, "k"),
    ({"query": {"id": 1}, "k": "10"}, "k"),
    ({"query": {"id": 1}, "where": "price<"}, "price"),
    ({"query": {"id": 1}, "where": {"colour": "red"}}, "colour"),
    ({"query": {"id": 1}, "where": [{"name": "a", "operator": "like"}]}, "where.0.operator"),
    ({"query": {"id": 1}, "order_by": "colour"}, "colour"),
    ({"query": {"id": 1}, "min_similarity": 2}, "min_similarity"),
    ({"query": {"id": 4_000_000}}, "4000000"),
    ({"queries": [{"id": 1}] * 257}, "257"),
]


@pytest.mark.parametrize(("document", "told"), WRONG, ids=[str(each)[:50] for each, _ in WRONG])
def test_what_is_wrong_is_told(api, document, told):
    response = api.post(SEARCH, json=document)
    assert response.status_code in (400, 404, 422), response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == response.status_code
    assert told in problem["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"null", b"[]", b'{"query": {"vector": [NaN]}}', b"\xff", b'{"k": 1e999}']
)
def test_what_is_no_document_is_told(api, body):
    response = api.post(SEARCH, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 422
    assert response.json()["detail"]


def test_forms_are_checked_as_documents_are(api, photos):
    image = {"image": (photos / "cat.jpg").read_bytes()}
    for data, told in [
        ({"k": "many"}, "k"),
        ({"k": ["1", "2"]}, "twice"),
        ({"colour": "red"}, "colour"),
        ({"where": '{"a": NaN}'}, "NaN"),
        ({"exclude_self": "true"}, "exclude_self"),
        ({"request": "{}", "k": "1"}, "either"),
        ({"request": json.dumps({"query": {"id": 1}})}, "no query names image 0"),
    ]:
        response = api.post(SEARCH, files=image, data=data)
        assert response.status_code == 422, response.text
        assert told in response.json()["detail"]
    assert api.post(SEARCH, content=b"k=1").status_code == 422
    assert (
        api.post(SEARCH, content=b"<a/>", headers={"Content-Type": "text/xml"}).status_code == 415
    )


def test_unknown_parameters_are_told(api):
    for path in (SEARCH, "/api/v1/images", "/api/v1/images/1/file", "/api/v1/status"):
        response = api.get(path, params={"colour": "red"})
        assert response.status_code == 422 and "colour" in response.json()["detail"]


def test_an_unknown_collection_is_told(api: httpx.Client):
    for name, status in [("nothing_here", 404), ("no/name", 400), ("x" * 65, 422), ("a`b", 400)]:
        response = api.post(SEARCH, json={"query": {"id": 1}}, params={"collection": name})
        assert response.status_code == status, response.text
