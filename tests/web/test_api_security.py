"""Who may ask what, and what no request can reach."""

import http.client
import http.server
import threading
import zlib

import httpx
import pytest

from lookalike.web.api.openapi import document
from lookalike.web.tokens import Tokens
from tests.web.serving import serving

API = "/api/v1"
OPERATIONS = [
    (method.upper(), path.replace("{row_id}", "1").replace("{name}", "a").replace("{token}", "a"))
    for path, methods in document()["paths"].items()
    for method in methods
]
ASKING = {("POST", f"{API}/search"), ("POST", f"{API}/screen")}


@pytest.fixture(scope="module")
def nobody(served):
    with served.client(token="") as client:
        yield client


@pytest.fixture
def visitor(served):
    """A browser's requests: it has the cookie, and follows no redirect."""
    with httpx.Client(base_url=served.url, timeout=60) as client:
        client.get("/", params={"token": served.token})
        yield client


def test_without_a_token_nothing_but_health_answers(nobody):
    for method, path in OPERATIONS:
        expected = 200 if path == "/health" else 401
        assert nobody.request(method, path).status_code == expected, (method, path)
    for token in ("x" * 43, "\N{SNOWMAN}".encode().decode("latin-1")):
        headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
        assert nobody.get(f"{API}/status", headers=headers).status_code == 401
    assert nobody.get("/docs").status_code == nobody.get("/openapi.json").status_code == 401


def test_a_read_only_token_changes_nothing(served):
    with served.client(token=served.read_token) as client:
        for method, path in OPERATIONS:
            if method in ("GET", "HEAD"):
                continue
            status = client.request(method, path).status_code
            assert (status == 403) == ((method, path) not in ASKING), (method, path, status)


def test_tokens_are_compared_in_constant_time(monkeypatch):
    compared = []

    def compare(first, second):
        compared.append((len(first), len(second)))
        return first == second

    monkeypatch.setattr("lookalike.web.tokens.compare_digest", compare)
    tokens = Tokens("write-write-write", "read-read-read-re")
    given = ["write-write-write", "read-read-read-re", "", "w", "x" * 10_000]
    assert [tokens.access(each) for each in given] == ["write", "read", "none", "none", "none"]
    assert compared == [(32, 32)] * 10


def test_the_token_of_the_url_becomes_a_cookie(served, nobody):
    response = nobody.get("/", params={"token": served.token, "q": "a b"})
    assert response.status_code == 303 and response.headers["location"] == "/?q=a+b"
    cookie = response.headers["set-cookie"].lower()
    assert cookie.startswith(f"lookalike_{served.port}=")
    assert {"httponly", "samesite=strict", "path=/"} <= set(cookie.split("; "))
    assert response.headers["cache-control"] == "no-store"
    wrong = nobody.get("/", params={"token": "x" * 43})
    assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
    nobody.cookies.clear()
    outward = nobody.get(f"//evil.example/{API}", params={"token": served.token})
    assert outward.headers.get("location", "/").startswith("/")
    assert not outward.headers.get("location", "/").startswith("//")
    nobody.cookies.clear()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "OWN"}, 400),
        ({"Sec-Fetch-Site": "same-origin"}, 400),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ],
)
def test_changes_by_cookie_come_from_the_same_origin(visitor, served, headers, status):
    sent = {name: value.replace("OWN", served.url) for name, value in headers.items()}
    body = {"ids": [4_000_001], "attributes": {"a": 1}}
    response = visitor.patch(f"{API}/images", json=body, headers=sent)
    assert response.status_code == status, response.text
    assert visitor.get(f"{API}/status", headers=sent).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:PORT", 200),
        ("localhost:PORT", 200),
        ("LOCALHOST", 200),
        ("[::1]:PORT", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:PORT", 421),
        ("localhost@evil.example", 421),
        ("evil.example:80@localhost", 421),
        ("169.254.169.254", 421),
        ("", 421),
        ("[", 421),
    ],
)
def test_the_host_is_checked(served, host, status):
    headers = {"Host": host.replace("PORT", str(served.port))}
    with served.client() as client:
        assert client.get("/health", headers=headers).status_code == status


def test_every_answer_has_the_headers_of_safety(api, nobody, visitor):
    asked = [
        nobody.get("/health"),
        nobody.get("/nothing"),
        nobody.get("/health", headers={"Host": "evil.example"}),
        visitor.patch(f"{API}/images", json={}),
        visitor.get("/docs"),
        api.get("/openapi.json"),
        api.get("/nothing"),
        api.get(f"{API}/nothing"),
        api.post("/health"),
        api.get(f"{API}/images/1/file"),
        api.get(f"{API}/images/1/thumbnail"),
        api.post(f"{API}/search", content=b"{"),
    ]
    statuses = {response.status_code for response in asked}
    assert statuses >= {200, 401, 403, 404, 405, 421, 422}
    for response in asked:
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in response.headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/a/../../app.py",
        "/static/a/%2e%2e/app.py",
        "/static/a/..%2f..%2fapp.py",
        "/static/a//etc/passwd",
        "/static/a/%2fetc%2fpasswd",
        "/static/a/css/..%2f..%2fapp.py",
        "/static/..%5capp.py",
        f"{API}/images/..%2f..%2fetc%2fpasswd/file",
        f"{API}/images/-1/file",
        f"{API}/images/1%00/file",
    ],
)
def test_no_path_leads_to_another_file(served, path):
    connection = http.client.HTTPConnection("127.0.0.1", served.port)  # changes no path
    connection.request("GET", path, headers={"Authorization": f"Bearer {served.token}"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status in (404, 422)
    assert b"root:" not in content and b"import" not in content


def test_names_of_images_are_never_paths_or_urls(api, served_photos, served):
    (served_photos.parent / "secret.jpg").write_bytes((served_photos / "cat.jpg").read_bytes())
    for name in (
        str(served_photos / "cat.jpg"),
        str(served_photos.parent / "secret.jpg"),
        f"file://{served_photos}/cat.jpg",
        f"{served.url}/api/v1/images/1/file",
        "/etc/passwd",
        "/etc",
        "/",
        "/dev/zero",
        "~/.ssh/id_rsa",
        "a\0b",
    ):
        for response in (
            api.post(f"{API}/search", json={"query": {"name": name}}),
            api.post(f"{API}/search", json={"query": {"mix": [{"name": name}]}}),
            api.get(f"{API}/search", params={"name": name}),
        ):
            assert response.status_code == 400, (name, response.text)
            assert "no stored image has that name" in response.json()["detail"]
            assert "folder" not in response.json()["detail"]
        assert api.post(f"{API}/search", json={"query": {"id": name}}).status_code == 422
        for kind in ("image", "path", "source"):
            assert api.post(f"{API}/search", json={"query": {kind: name}}).status_code == 422
            assert api.get(f"{API}/search", params={kind: name}).status_code == 422


class _Counting(http.server.BaseHTTPRequestHandler):
    asked = 0

    def do_GET(self):
        type(self).asked += 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def private():
    """The port of a server of this machine that counts who asks it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Counting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def test_urls_never_reach_private_networks(api, private):
    hosts = ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0", "127.1", "2130706433")
    for host in (*hosts, "0x7f.1", "user@127.0.0.1", "169.254.169.254", "10.0.0.1"):
        url = f"http://{host}:{private}/a.jpg"
        for response in (
            api.post(f"{API}/search", json={"query": {"url": url}}),
            api.get(f"{API}/search", params={"url": url}),
        ):
            assert response.status_code == 422, (url, response.text)
        (result,) = api.post(f"{API}/screen", json={"urls": [url]}).json()["results"]
        assert result["error"]
    for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1", "//127.0.0.1/"):
        assert api.post(f"{API}/search", json={"query": {"url": url}}).status_code == 422
    assert _Counting.asked == 0


def bomb(side=30_000):
    """A small PNG of many pixels."""

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return len(content).to_bytes(4, "big") + kind + content + check.to_bytes(4, "big")

    size = side.to_bytes(4, "big")
    rows = zlib.compress(bytes((side // 8 + 1) * 64), 9)
    head = chunk(b"IHDR", size + size + b"\x01\0\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_images_of_too_many_pixels_are_refused(api):
    response = api.post(f"{API}/search", files={"image": ("a.png", bomb())})
    assert response.status_code == 422 and "pixels" in response.json()["detail"]


def test_the_log_has_no_token_and_nothing_that_controls_a_terminal(served, api):
    api.get(f"{API}/images/%1b%5b31m%0aINFO", params={"q": "secret words"})
    api.get("/health", params={"token": served.token})
    log = (served.home / "serve.log").read_text()
    assert "/health" in log
    for hidden in (served.token, served.read_token, "secret words", "\x1b", "\nINFO"):
        assert hidden not in log


def test_without_tokens_other_sites_are_still_refused(served, tmp_path):
    with (
        serving(served.database_url, tmp_path, "--no-token") as running,
        running.client(token="") as client,
    ):
        assert client.get(f"{API}/status").json()["can_write"] is True
        body = {"ids": [4_000_001], "attributes": {"a": 1}}
        assert client.patch(f"{API}/images", json=body).status_code == 400
        for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            response = client.patch(f"{API}/images", json=body, headers=headers)
            assert response.status_code == 403
        stranger = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
        assert client.get(f"{API}/search?id=1", headers=stranger).status_code == 403
        link = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
        assert client.get("/docs", headers=stranger | link).status_code == 200
