"""Screening over HTTP, compared with numpy and with the library."""

import numpy as np
import pytest

import lookalike

SCREEN = "/api/v1/screen"


@pytest.fixture(scope="module")
def blocklist(served, served_photos):
    """The name of a collection of two photographs."""
    with lookalike.connect(served.database_url) as db:
        db.collection("prohibited").add(served_photos / "cat.jpg", served_photos / "bee.jpg")
        yield "prohibited"
        db.delete_collection("prohibited")


def screen(api, blocklist, status=200, **request):
    response = api.post(SCREEN, params={"collection": blocklist}, **request)
    assert response.status_code == status, response.text
    return response.json()


def test_uploads_match_or_are_clean(api, blocklist, photos):
    files = [
        ("image", (name, (photos / name).read_bytes())) for name in ("cat-crop.jpg", "rocket.jpg")
    ]
    files.append(("image", ("broken.jpg", (photos / "cat.jpg").read_bytes()[:200])))
    found = screen(api, blocklist, files=files, data={"min_similarity": "0.6", "k": "1"})
    cat, rocket, broken = found["results"]
    assert found["min_similarity"] == 0.6
    assert [match["image_name"] for match in cat["matches"]] == ["cat.jpg"] and not cat["is_clean"]
    assert cat["image"] == "cat-crop.jpg" and cat["matches"][0]["similarity"] > 0.6
    assert rocket["is_clean"] and not rocket["matches"] and rocket["error"] is None
    assert broken["error"] and not broken["is_clean"] and str(photos) not in broken["error"]


def test_vectors_and_stored_images(api, blocklist, served):
    with lookalike.connect(served.database_url) as db:
        first, second = db.collection(blocklist).get([1, 2])
    similarity = first.embedding @ second.embedding
    similarity /= np.linalg.norm(first.embedding) * np.linalg.norm(second.embedding)
    body = {"ids": [1], "vectors": [second.embedding.tolist()], "min_similarity": -1.0}
    stored, vector = screen(api, blocklist, json=body)["results"]
    (match,) = stored["matches"]
    assert stored["image"] == match["id"] - 1 == 1
    np.testing.assert_allclose(match["similarity"], similarity, atol=2e-4)
    assert [match["id"] for match in vector["matches"]] == [2, 1] and vector["image"] is None


def test_a_url_of_this_machine_is_not_read(api, blocklist, served):
    body = {"urls": [f"{served.url}/health", "http://[::1]/", "http://169.254.169.254/latest/"]}
    for result in screen(api, blocklist, json=body)["results"]:
        assert result["error"] and not result["is_clean"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": []},
        {"urls": ["/etc/passwd"]},
        {"urls": ["file:///etc/passwd"]},
        {"paths": ["/etc/passwd"]},
        {"ids": ["/etc/passwd"]},
        {"vectors": [[]]},
        {"ids": [1], "k": 0},
        {"ids": [1] * 257},
    ],
)
def test_what_cannot_be_screened_is_told(api, blocklist, body):
    assert screen(api, blocklist, 422, json=body)["detail"]


def test_a_form_has_images_and_known_fields(api, blocklist, photos):
    image = {"image": (photos / "cat.jpg").read_bytes()}
    screen(api, blocklist, 422, data={"k": "1"})
    screen(api, blocklist, 422, files=image, data={"path": "/etc/passwd"})
    screen(api, blocklist, 422, files=image, data={"k": ["1", "2"]})


def test_a_read_only_token_may_screen_and_search(served, blocklist, photos):
    with served.client(token=served.read_token) as client:
        image = {"image": (photos / "cat.jpg").read_bytes()}
        assert not screen(client, blocklist, files=image)["results"][0]["is_clean"]
        assert client.post("/api/v1/search", json={"query": {"id": 1}}).status_code == 200
