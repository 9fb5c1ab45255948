"""Collections, duplicates and jobs over HTTP."""

import time

import pytest

import lookalike

API = "/api/v1"


def wait(api, response):
    assert response.status_code == 202, response.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = api.get(response.headers["location"]).json()
        if job["state"] != "running":
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_collections_are_told_as_the_library_tells_them(api, served):
    with lookalike.connect(served.database_url) as db:
        expected = db.collection().status()
    found = api.get(f"{API}/collections/image_embeddings").json()
    for name in ("rows", "dim", "metric", "model", "indexed", "n_cells", "threshold", "failures"):
        assert found[name] == getattr(expected, name)
    assert found["last_run"]["added"] == expected.last_run.added
    assert {each["name"] for each in found["attributes"]} >= {"width", "format"}
    listed = api.get(f"{API}/collections").json()["collections"]
    assert "image_embeddings" in [each["name"] for each in listed]
    assert api.get(f"{API}/collections/nothing").status_code == 404
    for name in ("..%2f..%2fetc", "%F0%9F%99%82", "a`b"):
        assert api.get(f"{API}/collections/{name}").status_code in (400, 404)


def test_failures_are_listed(api, served, served_photos, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with lookalike.connect(served.database_url) as db:
        db.collection("damaged").add(served_photos / "cat.jpg", tmp_path)
        try:
            found = api.get(f"{API}/collections/damaged/failures").json()["failures"]
        finally:
            db.delete_collection("damaged")
    (failure,) = found
    assert failure["path"] == str(tmp_path / "broken.jpg") and failure["reason"]


def test_the_status_tells_what_a_token_allows(served, served_photos):
    for token, can_write in ((served.token, True), (served.read_token, False)):
        with served.client(token=token) as client:
            status = client.get(f"{API}/status").json()
        assert status["can_write"] is can_write
        assert status["version"] == lookalike.__version__
        assert status["roots"] == [str(served_photos)]
        assert status["collection"] == "image_embeddings"


@pytest.fixture
def cats(served, served_photos, tmp_path):
    """A collection of a picture, its copy, and its mirror image."""
    for name in ("cat.jpg", "copy.jpg", "cat-mirrored.jpg", "rocket.jpg"):
        source = "cat.jpg" if name == "copy.jpg" else name
        (tmp_path / name).write_bytes((served_photos / source).read_bytes())
    with lookalike.connect(served.database_url) as db:
        db.collection("cats").add(tmp_path)
        yield db.collection("cats")
        db.delete_collection("cats")


def test_duplicates_are_those_that_the_library_finds(api, cats):
    ask = {"params": {"collection": "cats"}}
    assert api.get(f"{API}/duplicates", **ask).status_code == 404
    job = wait(api, api.post(f"{API}/duplicates", json={"tier": "near-duplicate"}, **ask))
    assert job["state"] == "done", job
    found = api.get(f"{API}/duplicates", **ask).json()
    expected = cats.duplicates.find(tier="near-duplicate")
    assert found["total"] == len(expected) == 1
    assert [group["name"] for group in found["groups"]] == [group.name for group in expected]
    (group,) = found["groups"]
    tiers = {image["image_name"]: image["tier"] for image in group["duplicates"]}
    assert sorted(tiers.values()) == ["identical", "near-duplicate"]
    assert group["keep"]["tier"] is None and group["keep"]["links"]["thumbnail"]
    assert (
        api.get(f"{API}/duplicates", params={"collection": "cats", "offset": 1}).json()["groups"]
        == []
    )


def test_distinct_images_share_no_group(api, cats):
    ask = {"params": {"collection": "cats"}}
    ids = sorted(record.id for record in cats.find(1, 2, 3))
    marked = api.post(f"{API}/duplicates/distinct", json={"ids": ids}, **ask)
    assert marked.json() == {"images": 3}
    assert cats.duplicates.find(tier="near-duplicate") == []
    unmarked = api.request("DELETE", f"{API}/duplicates/distinct", json={"ids": ids}, **ask)
    assert unmarked.json() == {"images": 3}
    for wrong, status in (([1], 422), ([1, 99], 400), (["a", "b"], 422)):
        response = api.post(f"{API}/duplicates/distinct", json={"ids": wrong}, **ask)
        assert response.status_code == status


def test_options_of_duplicates_are_checked(api, cats):
    for body in ({"tier": "alike"}, {"min_similarity": "high"}, {"prefer": ["/etc"]}):
        response = api.post(f"{API}/duplicates", json=body, params={"collection": "cats"})
        assert response.status_code == 422
    response = api.post(f"{API}/duplicates", json={}, params={"collection": "nothing"})
    assert response.status_code == 404
    for body in ({"min_similarity": 3}, {"tier": "identical", "min_similarity": 0.5}):
        response = api.post(f"{API}/duplicates", json=body, params={"collection": "cats"})
        assert response.status_code == 400 and "min_similarity" in response.json()["detail"]


def test_unknown_jobs(api):
    for method in ("GET", "DELETE"):
        assert api.request(method, f"{API}/jobs/none").status_code == 404
    assert api.get(f"{API}/jobs/none/events").status_code == 404
    assert api.post(f"{API}/undo/none").status_code == 404
