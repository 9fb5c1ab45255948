"""Images of multipart requests."""

import hashlib
from io import BytesIO

import pytest
from fastapi import FastAPI, Request
from PIL import Image
from starlette.testclient import TestClient

from lookalike import ImageDecoder, ImageError
from lookalike.web import problems
from lookalike.web.disk_cache import DiskCache
from lookalike.web.problems import Problem
from lookalike.web.query_images import QueryImages
from lookalike.web.settings import Limits
from lookalike.web.uploads import read_form

LIMITS = Limits(upload_bytes=20_000, images=3)


def jpeg(colour="red", size=(64, 48)) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG")
    return out.getvalue()


@pytest.fixture(scope="module")
def client():
    """A client of an app that tells what it read."""
    app = FastAPI()
    problems.install(app)

    @app.post("/api/read")
    async def read(request: Request):
        form = await read_form(request, LIMITS)
        images = [[each.name, len(each.content), each.content_hash] for each in form.uploads]
        return {"images": images, "fields": form.fields}

    with TestClient(app) as client:
        yield client


def test_images_and_fields_in_order(client):
    red, blue = jpeg("red"), jpeg("blue")
    answer = client.post(
        "/api/read",
        files=[("image", ("a.jpg", red)), ("image", ("C:\\pictures\\b\n.jpg", blue))],
        data={"text": "ü", "k": ["1", "2"]},
    ).json()
    names = [name for name, _, _ in answer["images"]]
    assert names == ["a.jpg", "b%0A.jpg"]
    hashes = [content_hash for _, _, content_hash in answer["images"]]
    assert hashes == [hashlib.sha256(each).hexdigest() for each in (red, blue)]
    assert answer["fields"] == [["text", "ü"], ["k", "1"], ["k", "2"]]


def test_a_form_without_images(client):
    assert client.post("/api/read", data={"a": "b"}).json() == {
        "images": [],
        "fields": [["a", "b"]],
    }
    empty = [("image", ("", b""))]
    assert client.post("/api/read", files=empty).json()["images"] == []


@pytest.mark.parametrize(
    ("files", "status", "told"),
    [
        ([("image", ("a.jpg", b"\xff\xd8\xff" + bytes(20_000)))], 413, "a.jpg is too large"),
        ([("image", ("a.jpg", jpeg()))] * 4, 413, "too many images; the limit is 3"),
        ([("image", ("a.jpg", jpeg()))] * 9, 413, "too many images; the limit is 3"),
        ([("image", ("a.jpg", b"<html>"))], 415, "a.jpg is not an image"),
        ([("image", ("a.jpg", b""))], 400, "a.jpg is empty"),
        ([("other", ("a.jpg", jpeg()))], 400, "no field 'other'"),
    ],
)
def test_limits(client, files, status, told):
    answer = client.post("/api/read", files=files)
    assert answer.status_code == status
    assert told in answer.json()["detail"]


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("multipart/form-data", b"--x", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n", 400),
        ("application/json", b"{}", 415),
    ],
)
def test_malformed_requests(client, kind, body, status):
    answer = client.post("/api/read", content=body, headers={"content-type": kind})
    assert answer.status_code == status
    assert answer.headers["content-type"] == problems.MEDIA_TYPE


def test_too_many_fields(client):
    answer = client.post(
        "/api/read", files={"image": ("a.jpg", jpeg())}, data={f"f{n}": "x" for n in range(300)}
    )
    assert answer.status_code == 413


@pytest.fixture(scope="module")
def decoder():
    with ImageDecoder(processes=1, max_pixels=10_000) as decoder:
        yield decoder


def test_query_images_outlive_the_server(tmp_path, decoder):
    content = jpeg("green")
    name = hashlib.sha256(content).hexdigest()
    QueryImages(DiskCache(tmp_path, 10**6), decoder).keep(name, content)
    images = QueryImages(DiskCache(tmp_path, 10**6), decoder)
    assert images.content(name) == content
    assert images.image(name).size == (64, 48)
    assert images.image(name) is images.image(name)
    for unknown in ("a" * 64, "../../etc/passwd", ""):
        with pytest.raises(Problem) as caught:
            images.image(unknown)
        assert caught.value.status == 404


def test_broken_and_huge_query_images_are_not_kept(tmp_path, decoder):
    images = QueryImages(DiskCache(tmp_path, 10**6), decoder)
    for content in (jpeg()[:300], jpeg(size=(200, 200))):
        name = hashlib.sha256(content).hexdigest()
        with pytest.raises(ImageError):
            images.keep(name, content)
        with pytest.raises(Problem):
            images.content(name)
