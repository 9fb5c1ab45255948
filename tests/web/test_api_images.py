"""Stored images over HTTP: browse, read, bring, change."""

import hashlib

import numpy as np
import pytest

import lookalike
from tests.storages import web_server

IMAGES = "/api/v1/images"


@pytest.fixture
def collection(served):
    """A collection of five vectors, and how to reach it."""
    with lookalike.connect(served.database_url) as db:
        shapes = db.collection("shapes", dim=3)
        shapes.upsert(
            [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 1]],
            names=["x", "y", "z", "xy", "yz"],
            attributes=[{"size": n, "even": n % 2 == 0} for n in range(5)],
        )
        yield shapes
        db.delete_collection("shapes")


@pytest.fixture
def shapes(api, collection):
    """Asks the API about the vectors."""

    def ask(method, path="", status=200, **options):
        parameters = {"collection": "shapes", **options.pop("params", {})}
        response = api.request(method, IMAGES + path, params=parameters, **options)
        assert response.status_code == status, response.text
        return response.json()

    return ask


def ids_of(found):
    return [image["id"] for image in found["images"]]


def test_browse_by_pages_in_an_order_with_conditions(shapes):
    assert ids_of(shapes("GET")) == [5, 4, 3, 2, 1]
    assert ids_of(shapes("GET", params={"order_by": "size", "k": 2, "offset": 1})) == [2, 3]
    found = shapes("GET", params={"where": "even=true", "count": True, "k": 1})
    assert ids_of(found) == [5] and found["total"] == 3
    assert found["images"][0]["attributes"] is None
    assert shapes("GET")["total"] is None
    (first,) = shapes("GET", params={"k": 1, "include": ["attributes", "embedding"]})["images"]
    assert first["attributes"] == {"size": 4, "even": True}
    assert first["embedding"] == [0, 1, 1]


def test_an_image_of_a_file_is_told_with_its_facts(api, served_photos):
    (found,) = api.get(IMAGES, params={"where": "image_name=cat.jpg"}).json()["images"]
    image = api.get(f"{IMAGES}/{found['id']}").json()
    file = served_photos / "cat.jpg"
    assert image["path"] == str(file)
    assert image["attributes"]["format"] == "jpeg" and image["embedding"] is None
    assert image["file"]["size"] == file.stat().st_size
    assert image["file"]["content_hash"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert api.get(image["links"]["file"]).content == file.read_bytes()
    assert api.get(image["links"]["thumbnail"]).headers["content-type"] == "image/webp"


def test_an_image_on_another_server_is_fetched(api, served, served_photos):
    with lookalike.connect(served.database_url) as db, web_server(served_photos) as url:
        db.collection("elsewhere", model="efficientnet-lite2").add(f"{url}cat.jpg")
        (found,) = api.get(IMAGES, params={"collection": "elsewhere"}).json()["images"]
        image = api.get(f"{IMAGES}/{found['id']}", params={"collection": "elsewhere"}).json()
        assert image["path"] == f"{url}cat.jpg"
        file, thumbnail = (image["links"][name] for name in ("file", "thumbnail"))
        assert api.get(file).content == (served_photos / "cat.jpg").read_bytes()
        assert api.get(thumbnail).headers["content-type"] == "image/webp"
    lost = api.get(file)
    assert lost.status_code == 404 and "cat.jpg: Cannot connect" in lost.json()["detail"]
    with lookalike.connect(served.database_url) as db:
        db.delete_collection("elsewhere")


def test_an_embedding_has_no_file(shapes, api):
    image = shapes("GET", "/4", params={"include": "embedding"})
    assert image == {
        "id": 4,
        "image_name": "xy",
        "path": None,
        "attributes": None,
        "embedding": [1, 1, 0],
        "file": None,
        "links": {},
    }
    shapes("GET", "/99", status=404)
    shapes("GET", "/x", status=422)
    shapes("GET", "/4/file", status=404)
    shapes("GET", "/99/neighbours", status=404)


def test_neighbours_are_those_of_numpy(shapes):
    found = shapes("GET", "/1/neighbours", params={"k": 2, "where": "even=false"})
    assert [match["id"] for match in found["matches"]] == [4, 2]
    np.testing.assert_allclose(
        [match["similarity"] for match in found["matches"]], [np.sqrt(0.5), 0], atol=1e-6
    )


def test_upsert_inserts_replaces_and_keeps_names(shapes, collection):
    body = {"embeddings": [[2, 0, 1]], "names": ["new"], "attributes": [{"size": 9}]}
    assert shapes("PUT", json=body) == {"ids": [6]}
    assert shapes("PUT", json={"embeddings": [[0, 0, 2]], "ids": [6]}) == {"ids": [6]}
    (item,) = collection.get([6])
    assert (item.image_name, item.attributes, item.embedding.tolist()) == (
        "new",
        {"size": 9},
        [0, 0, 2],
    )


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"embeddings": []}, "embeddings"),
        ({"embeddings": [[1, 2]]}, "3"),
        ({"embeddings": [[0, 0, 0]]}, "zero"),
        ({"embeddings": [[1, 2, "3"]]}, "embeddings.0.2"),
        ({"embeddings": [[1, 2, 3]], "names": ["a", "b"]}, "2 names"),
        ({"embeddings": [[1, 2, 3]], "ids": [1, 1]}, "2 ids"),
        ({"embeddings": [[1, 2, 1e39]]}, "embedding"),
        ({"embeddings": [[1, 2, 3]], "attributes": [{"a": {"b": 1}}]}, "attributes.0.a"),
        ({"embeddings": [[1, 2, 3]], "attributes": [{"id": 1}]}, "own column"),
        ({"embeddings": [[1, 2, 3]], "attributes": [{"a": 2**60}]}, "too large"),
        ({"vectors": [[1, 2, 3]]}, "embeddings"),
    ],
)
def test_an_upsert_that_cannot_be_stored_is_told(shapes, collection, api, body, told):
    response = api.put(IMAGES, json=body, params={"collection": "shapes"})
    assert response.status_code in (400, 422), response.text
    assert told in response.json()["detail"]
    assert collection.count() == 5


def test_an_upsert_creates_a_collection(api, served):
    created = {"collection": "created"}
    try:
        body = {"embeddings": [[1, 0], [0, 1]], "names": ["right", "up"]}
        assert api.put(IMAGES, json=body, params=created).json() == {"ids": [1, 2]}
        query = {"query": {"vector": [1, 0.2]}}
        found = api.post("/api/v1/search", json=query, params=created).json()["results"][0]
        assert [match["image_name"] for match in found["matches"]] == ["right", "up"]
    finally:
        with lookalike.connect(served.database_url) as db:
            db.delete_collection("created")
    assert api.get(IMAGES, params=created).status_code == 404
    assert api.get(IMAGES, params=created).status_code == 404


def test_attributes_of_one_and_of_many(shapes, collection):
    assert shapes("PATCH", "/1", json={"attributes": {"tags": ["a", "b"]}}) == {"images": 1}
    many = {"ids": [1, 2], "attributes": {"tags": ["c"], "even": None}}
    assert shapes("PATCH", json=many) == {"images": 2}
    assert [item.attributes for item in collection.get([1, 2])] == [
        {"size": 0, "tags": ["c"]},
        {"size": 1, "tags": ["c"]},
    ]
    assert ids_of(shapes("GET", params={"where": "tags:c"})) == [2, 1]
    shapes("PATCH", "/99", status=400, json={"attributes": {"a": 1}})
    shapes("PATCH", "/1", status=422, json={"attributes": {}})
    shapes("PATCH", "/1", status=400, json={"attributes": {"image_name": "x"}})
