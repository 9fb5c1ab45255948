"""Images that are added over HTTP: uploads, and folders of the server."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

import lookalike
from tests.web.pictures import jpeg

IMAGES = "/api/v1/images"


@pytest.fixture
def album(served):
    """A collection of its own, created by its first upload; dropped after the test."""
    name = f"album_{uuid.uuid4().hex[:8]}"
    yield name
    with lookalike.connect(served.database_url) as db:
        if name in db.collections():
            db.delete_collection(name)


@pytest.fixture
def stored(served, album):
    """The opened collection."""
    with lookalike.connect(served.database_url) as db:
        yield lambda: db.collection(album)


def upload(api, album, *files, **data):
    sent = [("image", file) for file in files]
    return api.post(IMAGES, params={"collection": album}, files=sent, data=data)


def wait(api, response):
    assert response.status_code == 202, response.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        job = api.get(response.headers["location"]).json()
        if job["state"] != "running":
            return job
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_an_upload_is_stored_whole_and_found(api, served, album, stored):
    response = upload(api, album, ("my cat.jpg", jpeg(1)), ("../../b.png", jpeg(2)))
    assert response.status_code == 201, response.text
    first, second = response.json()["images"]
    assert (first["name"], first["image_name"], first["error"]) == ("my cat.jpg",) * 2 + (None,)
    assert second["image_name"] == "b.jpg"
    for image, seed in ((first, 1), (second, 2)):
        (record,) = stored().records([image["id"]])
        assert served.uploads.resolve() in record.path.parents
        assert record.path.read_bytes() == jpeg(seed)
        sent = api.get(image["links"]["file"])
        assert sent.status_code == 200 and sent.content == jpeg(seed)
    found = api.post(
        "/api/v1/search", params={"collection": album}, files={"image": jpeg(2)}
    ).json()["results"][0]["matches"]
    assert found[0]["id"] == second["id"] and found[0]["similarity"] > 0.999


def test_the_same_upload_twice_is_one_image(api, album, stored):
    sent = ("a.jpg", jpeg(3))
    ids = {upload(api, album, sent, sent).json()["images"][0]["id"] for _ in range(3)}
    assert len(ids) == 1
    assert stored().count() == 1


def test_what_is_no_image_is_told_and_nothing_stays(api, served, album, stored):
    broken = ("broken.jpg", jpeg(4)[:300])
    response = upload(api, album, ("good.jpg", jpeg(5)), broken)
    assert response.status_code == 201
    good, bad = response.json()["images"]
    assert good["id"] and not good["error"]
    assert bad["id"] is None and bad["error"]
    response = upload(api, album, broken)
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == "broken.jpg"
    assert [path.name for path in (served.uploads / album).rglob("*.jpg")] == ["good.jpg"]
    assert stored().count() == 1
    for content in (b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"hello"):
        assert upload(api, album, ("a.jpg", content)).status_code == 415
    assert upload(api, album, ("a.jpg", b"")).status_code == 400
    assert upload(api, album, ("a.jpg", jpeg(5)), path="/etc").status_code == 422


def test_many_uploads_at_once_are_added_in_batches(api, served, album, stored):
    def send(seed):
        with served.client() as client:
            sent = ("image.jpg", jpeg(seed))
            return upload(client, album, sent).json()["images"][0]["id"]

    with ThreadPoolExecutor(16) as pool:
        ids = list(pool.map(send, range(100, 160)))
    assert len(set(ids)) == 60 and stored().count() == 60
    records = stored().records(ids)
    assert [record.path.read_bytes() for record in records] == [jpeg(i) for i in range(100, 160)]


def test_too_many_or_too_large_uploads_are_refused(api, album):
    response = upload(api, album, *[("a.jpg", jpeg(6))] * 33)
    assert response.status_code == 413
    names = [each["name"] for each in api.get("/api/v1/collections").json()["collections"]]
    assert album not in names


def test_a_folder_below_a_root_is_added_by_a_job(api, served_photos, album, stored):
    paths = {"paths": [str(served_photos / "cat.jpg"), str(served_photos / "bee.jpg")]}
    response = api.post(IMAGES, json=paths, params={"collection": album})
    job = wait(api, response)
    assert job["state"] == "done" and job["result"]["added"] == 2, job
    assert stored().count() == 2
    with api.stream("GET", job["links"]["events"]) as events:
        assert events.headers["content-type"].startswith("text/event-stream")
        text = "".join(events.iter_text())
    assert text.startswith("event: end\ndata: {") and text.endswith("}\n\n")
    assert job["id"] in [each["id"] for each in api.get("/api/v1/jobs").json()["jobs"]]


def test_no_other_path_is_added(api, served_photos, tmp_path, album):
    (served_photos / "out").symlink_to(tmp_path)
    (tmp_path / "secret.jpg").write_bytes(jpeg(7))
    try:
        for path in [
            "/etc",
            "/etc/passwd",
            "/",
            "relative",
            "~",
            "~root",
            f"{served_photos}/../",
            f"{served_photos}/../../etc/passwd",
            f"{served_photos}/out",
            f"{served_photos}/out/secret.jpg",
            f"{served_photos}x",
            f"{served_photos}/a\0b",
            f"{tmp_path}/*",
            "http://127.0.0.1/a.jpg",
            "x" * 100_000,
        ]:
            response = api.post(IMAGES, json={"paths": [path]}, params={"collection": album})
            assert response.status_code == 403, (path, response.text)
        nothing = {"paths": [f"{served_photos}/*.jpg"]}
        assert api.post(IMAGES, json=nothing, params={"collection": album}).status_code == 404
    finally:
        (served_photos / "out").unlink()
