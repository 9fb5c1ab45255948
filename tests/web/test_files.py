"""Files of stored images over HTTP."""

import os
import shutil
from email.message import Message
from io import BytesIO

import pillow_heif
import pytest
from PIL import Image
from starlette.testclient import TestClient

import lookalike
from lookalike.web.app import create_app
from lookalike.web.media_types import media_type
from lookalike.web.settings import Settings

TOKEN = "a" * 32
SCRIPT = "<img src=x onerror=alert(1)>.jpg"
LATIN = "caf\u00e9 \u2028.jpg"


@pytest.fixture(scope="module")
def folder(tmp_path_factory, photos):
    """Files of several kinds; some have names that lie."""
    folder = tmp_path_factory.mktemp("images")
    shutil.copy(photos / "cat.jpg", folder)
    shutil.copy(photos / "moose.webp", folder / SCRIPT)
    shutil.copy(photos / "coffee.jpg", folder / LATIN)
    picture = Image.open(photos / "bee.jpg")
    picture.save(folder / "bee.tif")
    pillow_heif.from_pillow(picture).save(folder / "bee.heic")
    picture.save(folder / "bee.gif")
    return folder


@pytest.fixture(scope="module")
def client(module_database_url, folder, tmp_path_factory):
    """A client of an app that serves these files."""
    with lookalike.connect(module_database_url) as db:
        db.collection("photos").add(folder)
        cache = tmp_path_factory.mktemp("cache")
        app = create_app(db, Settings(collection="photos", token=TOKEN, cache=cache))
        with TestClient(app, base_url="http://127.0.0.1:8000") as client:
            client.headers["authorization"] = f"Bearer {TOKEN}"
            client.ids = {
                record.path.name: record.id for record in db.collection("photos").find(folder)
            }
            yield client


def url(client, name, kind="file"):
    return f"/api/v1/images/{client.ids[name]}/{kind}"


def test_the_file_with_its_true_type(client, folder):
    answer = client.get(url(client, SCRIPT))
    assert answer.content == (folder / SCRIPT).read_bytes()
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("name", "kind", "how"),
    [
        ("cat.jpg", "image/jpeg", "inline"),
        ("bee.gif", "image/gif", "inline"),
        ("bee.tif", "image/tiff", "attachment"),
        ("bee.heic", "image/heif", "attachment"),
    ],
)
def test_what_no_browser_shows_is_offered_for_download(client, name, kind, how):
    answer = client.head(url(client, name))
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-disposition"].startswith(how)
    assert answer.content == b""
    assert int(answer.headers["content-length"]) > 1000
    download = client.head(url(client, name), params={"download": True})
    assert download.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("cat.jpg", "cat.jpg"),
        (SCRIPT, SCRIPT + ".webp"),
        (LATIN, "caf\u00e9 _.jpg"),
    ],
)
def test_names_of_downloads_are_safe(client, name, saved):
    header = client.head(url(client, name)).headers["content-disposition"]
    message = Message()
    message["content-disposition"] = header
    assert header.isascii()
    assert message.get_filename() or message.get_param("filename*")
    coded = header.partition("filename*=UTF-8''")[2]
    assert bytes.fromhex("".join(_hex(coded))).decode() == saved


def _hex(coded):
    """Yield the hexadecimal bytes of percent-encoded text."""
    place = 0
    while place < len(coded):
        if coded[place] == "%":
            yield coded[place + 1 : place + 3]
            place += 3
        else:
            yield f"{ord(coded[place]):02x}"
            place += 1


def test_unchanged_files_are_not_sent_again(client):
    first = client.get(url(client, "cat.jpg"))
    tag, time = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"if-none-match": tag},
        {"if-none-match": f'"other", W/{tag}'},
        {"if-none-match": "*"},
        {"if-modified-since": time},
    ):
        answer = client.get(url(client, "cat.jpg"), headers=headers)
        assert (answer.status_code, answer.content) == (304, b""), headers
        assert answer.headers["etag"] == tag
    for headers in (
        {"if-none-match": '"other"', "if-modified-since": time},
        {"if-modified-since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"if-modified-since": "yesterday"},
    ):
        assert client.get(url(client, "cat.jpg"), headers=headers).content == first.content


def test_ranges(client, folder):
    whole = (folder / "cat.jpg").read_bytes()
    size = len(whole)
    for wanted, part, start in (
        ("bytes=0-9", whole[:10], 0),
        (f"bytes={size - 5}-", whole[-5:], size - 5),
        ("bytes=-7", whole[-7:], size - 7),
        (f"bytes=100-{size + 1000}", whole[100:], 100),
    ):
        answer = client.get(url(client, "cat.jpg"), headers={"range": wanted})
        assert (answer.status_code, answer.content) == (206, part)
        last = start + len(part) - 1
        assert answer.headers["content-range"] == f"bytes {start}-{last}/{size}"
    for wanted in (f"bytes={size}-", "bytes=-0"):
        answer = client.get(url(client, "cat.jpg"), headers={"range": wanted})
        assert (answer.status_code, answer.content) == (416, b"")
        assert answer.headers["content-range"] == f"bytes */{size}"
    for wanted in ("bytes=5-2", "bytes=0-1,5-9", "lines=0-9", "bytes=-", "bytes=a-b"):
        assert client.get(url(client, "cat.jpg"), headers={"range": wanted}).content == whole


def test_a_range_of_an_older_file_is_the_whole_new_one(client):
    headers = {"range": "bytes=0-9", "if-range": '"other"'}
    assert client.get(url(client, "cat.jpg"), headers=headers).status_code == 200
    tag = client.head(url(client, "cat.jpg")).headers["etag"]
    headers["if-range"] = tag
    assert client.get(url(client, "cat.jpg"), headers=headers).status_code == 206


@pytest.mark.parametrize("kind", ["thumbnail", "preview"])
@pytest.mark.parametrize("name", ["cat.jpg", SCRIPT, LATIN, "bee.heic", "bee.tif"])
def test_copies_that_every_browser_shows(client, name, kind):
    answer = client.get(url(client, name, kind))
    assert answer.headers["content-type"] == "image/webp"
    assert Image.open(BytesIO(answer.content)).format == "WEBP"
    assert answer.headers["cache-control"] == "private, no-cache"
    tag = {"if-none-match": answer.headers["etag"]}
    assert client.get(url(client, name, kind), headers=tag).status_code == 304
    kept = client.get(url(client, name, kind), params={"v": "1"})
    assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_what_is_not_stored_or_has_no_file(client):
    assert client.get("/api/v1/images/999999/file").status_code == 404
    assert client.get("/api/v1/images/999999/thumbnail").status_code == 404
    assert client.get(f"/api/v1/images/{2**63}/file").status_code == 422
    where = {"collection": "none"}
    assert client.get(url(client, "cat.jpg"), params=where).status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        b"<html><script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"",
        b"root:x",
    ],
)
def test_files_that_are_no_images_any_more(client, folder, content):
    path = folder / "bee.gif"
    whole = path.read_bytes()
    try:
        path.write_bytes(content)
        answer = client.get(url(client, "bee.gif"))
        assert answer.status_code == 404
        assert "no longer an image" in answer.json()["detail"]
        assert client.get(url(client, "bee.gif", "thumbnail")).status_code == 422
        shown = client.get(url(client, "bee.gif", "thumbnail"), headers={"sec-fetch-dest": "image"})
        assert shown.status_code == 200
        assert shown.headers["content-type"] == "image/svg+xml"
    finally:
        path.write_bytes(whole)


def test_a_pipe_in_place_of_a_file_blocks_nothing(client, folder):
    path = folder / "bee.gif"
    whole = path.read_bytes()
    path.unlink()
    try:
        assert client.get(url(client, "bee.gif")).status_code == 404
        os.mkfifo(path)
        assert "not a regular file" in client.get(url(client, "bee.gif")).json()["detail"]
        assert client.get(url(client, "bee.gif", "thumbnail")).status_code == 422
    finally:
        path.unlink(missing_ok=True)
        path.write_bytes(whole)


def test_types_by_first_bytes(photos):
    for path in photos.iterdir():
        expected = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp"}
        kind = media_type(path.read_bytes()[:64])
        assert (kind.name if kind else None) == expected.get(path.suffix)
    for head in (b"", b"RIFF0000WAVE", b"%PDF-1.7", b"\0\0\0\x18ftypmp42", b"PK\3\4", b"P6x"):
        assert media_type(head) is None
