"""Requests in bad faith, of somebody who has a token."""

import asyncio
import http.server
import io
import threading

import httpx
import pytest
from PIL import Image

from lookalike.web.app import create_app
from lookalike.web.problems import Problem
from lookalike.web.settings import Settings
from tests.web.serving import run_apart, serving

API = "/api/v1"
FIELD = b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n'
LIMITS = {
    "pixels": 100_000,
    "images": 4,
    "request_bytes": 300_000,
    "document_bytes": 50_000,
    "all_requests_bytes": 400_000,
}


def picture(width, height):
    """A PNG of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


class _Pictures(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(picture(400, 300))

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def elsewhere():
    """The URL of a picture of 400 x 300 pixels, on a server of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/a.png"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def strict(served, tmp_path_factory):
    """A client of a server with small limits."""
    home = tmp_path_factory.mktemp("strict")
    options = ("--allow-private-urls",)
    with (
        serving(served.database_url, home, *options, limits=LIMITS) as running,
        running.client() as client,
    ):
        yield client


def test_pictures_at_urls_have_the_limits_of_uploads(strict, elsewhere):
    page = strict.get("/", params={"t": f"url:{elsewhere}"})
    assert page.status_code == 422 and "the limit is 100,000 pixels" in page.text
    answer = strict.post(f"{API}/search", json={"query": {"url": elsewhere}})
    assert answer.status_code == 422 and "the limit is 100,000 pixels" in answer.text


def test_pictures_of_one_request_are_limited_together(strict):
    files = [("image", (f"{n}.png", picture(200 + n, 200))) for n in range(4)]
    for path in (f"{API}/search", "/screen"):
        answer = strict.post(path, files=files, follow_redirects=True)
        assert answer.status_code == 413, answer.text
        assert "100,000 pixels together" in answer.text
    assert strict.post(f"{API}/search", files=files[:2]).status_code == 200


def test_a_url_names_no_more_pictures_than_a_form(strict):
    names = [("image", f"{n:064x}") for n in range(5)]
    assert strict.get("/screen", params=names).status_code == 413


def test_only_forms_are_large(strict):
    text = b'{"query": {"id": 1}}' + b" " * 60_000
    kinds = ("application/json", "application/x-www-form-urlencoded", "text/plain")
    for path in (f"{API}/search", "/selection/tag", "/query-images"):
        for kind in kinds:
            answer = strict.post(path, content=text, headers={"Content-Type": kind})
            assert answer.status_code == 413, (path, kind)


def test_requests_that_are_read_at_the_same_time_are_limited(strict):
    """Two halves of forms wait; the third has no place until one is gone."""

    async def ask():
        release = asyncio.Event()

        async def waiting():
            yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
            yield b"a" * 150_000
            await release.wait()

        headers = {"Content-Type": "multipart/form-data; boundary=b", **strict.headers}
        async with httpx.AsyncClient(base_url=strict.base_url, timeout=30) as client:

            def post(content):
                return client.post(f"{API}/search", content=content, headers=headers)

            halves = [asyncio.create_task(post(waiting())) for _ in range(2)]
            await asyncio.sleep(1)
            refused = await post(b"a" * 150_000)
            release.set()
            await asyncio.gather(*halves)
            return refused, await post(b"a" * 150_000)

    refused, later = run_apart(ask())
    assert refused.status_code == 503 and refused.headers["retry-after"]
    assert later.status_code == 400


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        ("application/x-www-form-urlencoded", b"a=1&" * 2000, 413),
        ("application/x-www-form-urlencoded", b"a=" + b"x" * 1_500_000, 413),
        ("multipart/form-data; boundary=b; charset=idna", FIELD + b"xn--\xff\r\n--b--\r\n", 400),
        ("multipart/form-data; boundary=b; charset=none", b"--b--\r\n", 422),
        ("multipart/form-data; boundary=" + "b" * 5000, b"--b--\r\n", 400),
    ],
)
def test_forms_that_are_no_forms(api, kind, content, status):
    for path in (f"{API}/search", "/screen", "/query-images"):
        answer = api.post(path, content=content, headers={"Content-Type": kind})
        assert answer.status_code < 500, answer.text
        if path == f"{API}/search":
            assert answer.status_code == status, answer.text


def test_half_characters_are_no_failure(api):
    part = FIELD + b"\\ud800\r\n--b--\r\n"
    kind = {"Content-Type": "multipart/form-data; boundary=b; charset=unicode_escape"}
    assert api.post(f"{API}/search", content=part, headers=kind).status_code < 500
    body = b'{"ids": [4000001], "add": ["\\ud800"]}'
    kind = {"Content-Type": "application/json"}
    assert api.post("/selection/tag", content=body, headers=kind).status_code < 500
    body = b'{"ids": [4000001], "attributes": {"a": "\\ud800"}}'
    assert api.patch(f"{API}/images", content=body).status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        f"/image/{10**30}",
        f"/parts/neighbours/{10**30}",
        f"/compare?a={10**30}&b=1",
        f"/?t=id:{10**18}",
        "/?t=id:99999999999999999999",
        f"/parts/tiles?offset={10**30}",
        "/parts/tiles?offset=2000000000",
        "/?from=0000-99-99&to=x",
        "/?f.a%20b%00=x",
        "/parts/filter?name=%ed%a0%80",
        f"/?min={'9' * 300}",
    ],
)
def test_numbers_of_any_size_are_answered(api, path):
    assert api.get(path, headers={"Accept": "text/html"}).status_code < 500


def test_ids_of_a_selection_have_64_bits(api):
    for what in ("tag", "remove", "trash", "distinct", "export"):
        answer = api.post(f"/selection/{what}", json={"ids": [2**63]})
        assert answer.status_code == 422, what


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("search", {"queries": [{"id": 1}] * 256, "k": 10_000}),
        ("search", {"queries": [{"mix": [{"id": 1}] * 64}] * 256}),
        ("search", {"query": {"mix": [{"url": "http://example.org/"}] * 33}}),
        ("search", {"query": {"text": "a" * 5000}}),
        ("search", {"query": {"id": 1}, "where": "a" * 20_000}),
        ("search", {"query": {"id": 1}, "where": ["a=1"] * 200}),
        ("screen", {"ids": [1] * 256, "k": 10_000}),
    ],
)
def test_one_request_asks_for_so_much(api, path, body):
    assert api.post(f"{API}/{path}", json=body).status_code == 422


def test_many_embeddings_come_in_parts(api):
    asked = {"include": "embedding", "k": 10_000}
    answer = api.get(f"{API}/images", params=asked)
    assert answer.status_code == 422 and "with embeddings" in answer.json()["detail"]
    assert api.get(f"{API}/images", params={**asked, "k": 1000}).status_code == 200


def test_a_wrong_token_replaces_no_cookie(served):
    with served.client(token="") as nobody:
        for path in ("/health", "/health?token=a%0d%0ab", "/health?token=%e2%98%83"):
            answer = nobody.get(path, params=None if "?" in path else {"token": "x" * 43})
            assert answer.status_code == 303 and answer.headers["location"] == "/health"
            assert "set-cookie" not in answer.headers


def test_an_origin_that_is_none_is_refused(served):
    with httpx.Client(base_url=served.url) as visitor:
        visitor.get("/", params={"token": served.token})
        answer = visitor.post("/undo/none", headers={"Origin": "http://["})
        assert answer.status_code == 403
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_private_is_kept_by_no_cache(api):
    for path in (f"{API}/images", f"{API}/search?id=1", "/metrics", "/", f"{API}/nothing"):
        assert api.get(path).headers["cache-control"] == "no-store", path


def test_pages_ask_the_database_in_threads():
    app = create_app(None, Settings())
    state, threads = app.state.lookalike, []

    def get(name=None):
        threads.append(threading.current_thread())
        raise Problem(404, "there is none")

    state.collections.get = state.collections.open = get
    paths = ["/image/1", "/compare?a=1&b=2"]
    paths += [f"/parts/{each}" for each in ("neighbours/1", "count", "filters", "filter?name=a")]

    async def ask():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in paths:
                assert (await client.get(path)).status_code == 404
            for what in ("tag", "remove", "trash", "distinct", "export"):
                answer = await client.post(f"/selection/{what}", json={"ids": [1]})
                assert answer.status_code == 404
        return threading.current_thread()

    of_loop = run_apart(ask())
    assert len(threads) == len(paths) + 5
    assert of_loop not in threads
    state.work.close()
