"""Images from the web: what is fetched and what is refused, by a real server."""

import random
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lookalike.core.errors import ImageError
from lookalike.images.download import download


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path == "/loop":
            self.send_response(302)
            self.send_header("Location", "/loop")
            self.end_headers()
        elif self.path == "/rude":
            self.wfile.write(b"HTTP/1.1 404 \x1b[2J" + b"x" * 5000 + b"\r\n\r\n")
        elif self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            self.server.release.wait(30)
        elif self.path.startswith("/drip/"):
            head = b"HTTP/1.1 200 OK\r\nServer: " if self.path == "/drip/head" else b""
            if not head:
                self.send_response(200)
                self.end_headers()
            self.wfile.write(head)
            while not self.server.release.wait(0.05):
                self.wfile.write(b"x")
        else:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 1000)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.release = threading.Event()
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.release.set()
        http.shutdown()
        thread.join()


def test_bytes_are_fetched_also_by_redirects(server):
    assert download(f"{server}/a.jpg", allow_private=True) == b"x" * 1000
    assert download(f"{server}/to/{server}/a.jpg", allow_private=True) == b"x" * 1000


@pytest.mark.parametrize(
    "variables",
    [
        {"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost,127.0.0.1"},
        {"https_proxy": "http://127.0.0.1:9"},
    ],
)
def test_what_goes_past_the_proxy_is_not_allowed_by_it(server, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImageError, match="127.0.0.1, which is not on the public internet"):
        download(f"{server}/a.jpg")


def test_a_proxy_of_a_private_network_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server)
    assert download("http://images.example/a.jpg") == b"x" * 1000


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "10.0.0.1", "192.168.1.1", "100.64.0.1"),
        *("169.254.169.254", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "224.0.0.1"),
        *("[fe80::1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::7f00:1]"),
        *("[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2001:0:4136:e378::1]", "[fec0::1]"),
    ],
)
def test_addresses_that_are_not_public_are_refused(host):
    with pytest.raises(ImageError, match="not on the public internet"):
        download(f"http://{host}:9/a.jpg")


def test_a_redirect_to_a_private_address_is_refused(server, monkeypatch):
    # A name that is public: the look-up says so, and the connection goes to the test's server.
    port = int(server.rpartition(":")[2])
    look_up, connect = socket.getaddrinfo, socket.create_connection

    def public(host, *args, **kwargs):
        if host != "images.example":
            return look_up(host, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    monkeypatch.setattr(socket, "getaddrinfo", public)
    monkeypatch.setattr(
        socket, "create_connection", lambda address, *rest: connect(("127.0.0.1", port), *rest)
    )
    assert download(f"http://images.example:{port}/a.jpg") == b"x" * 1000
    with pytest.raises(ImageError, match="127.0.0.1, which is not on the public internet"):
        download(f"http://images.example:{port}/to/{server}/a.jpg")


def test_a_name_that_means_another_address_later_is_looked_up_once(server, monkeypatch):
    # The name server of an attacker: a public address for the check, a private one after it.
    port = int(server.rpartition(":")[2])
    look_up, answers, connected = socket.getaddrinfo, iter(["93.184.215.14", "127.0.0.1"]), []

    def rebind(host, *args, **kwargs):
        if host != "rebinding.example":
            return look_up(host, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    def connect(address, *_):
        connected.append(address)
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(ImageError, match="refused"):
        download(f"http://rebinding.example:{port}/a.jpg")
    assert connected == [("93.184.215.14", port)]
    with pytest.raises(ImageError, match="127.0.0.1, which is not on the public internet"):
        download(f"http://rebinding.example:{port}/a.jpg")
    assert len(connected) == 1


ODD = [
    *(
        "http://[/",
        "http://]/",
        "http://[::1",
        "http://[x]/",
        "http://[127.0.0.1]/",
        "http://[v1.x]",
    ),
    *(
        "http://",
        "http:///x",
        "http://:80/",
        "http://a:b/",
        "http://a:-1/",
        "http://a:99999999999/",
    ),
    *("http://\0/", "http://a\nb/", "http://a b/", "http://a/\r\nX: y", "http://\x1b[2J/"),
    *("http://\udcff/", "http://\ud800/", "http://\u2100/", "http://\u202e/", "http://a\u2028b/"),
    *("http://%/", "http://%00/", "http://..", "http://.", "http://xn--a/", "http://\ufeff/"),
    *(f"http://{'a' * 64}.example/", f"http://x{'a' * 70000}/", f"http://127.0.0.1/{'a' * 70000}"),
    *("http://@/", "http://user:pw@/", "http://#", "http://?", "http://\\/", "https://[/"),
]


@pytest.mark.parametrize("url", ODD, ids=lambda url: ascii(url)[:40])
def test_any_odd_url_is_an_error_of_one_printable_line(url, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _numbers_only(socket.getaddrinfo))
    with pytest.raises(ImageError) as refused:
        download(url)
    text = str(refused.value)
    assert text.isprintable()
    assert len(text) < 2000
    assert text.startswith(("http://", "https://"))
    assert not text.endswith(": ")


def _numbers_only(look_up):
    # No test asks a name server, which may answer in any time.
    def found(*args, **kwargs):
        return look_up(*args, **kwargs | {"flags": socket.AI_NUMERICHOST})

    return found


def test_fuzzed_urls_are_errors(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", _numbers_only(socket.getaddrinfo))
    chance = random.Random(10)
    pieces = ["[", "]", "/", ":", "@", "%", "\0", "\n", "\r", "\t", " ", "\\", "#", "?", ".", ".."]
    pieces += [
        "\xfc",
        "\u2460",
        "\u3002",
        "xn--",
        "a" * 64,
        "127.0.0.1",
        "::1",
        "99999",
        "-1",
        "%25lo",
    ]
    pieces += [
        "\udcff",
        "\ud800",
        "\u202e",
        "\u2100",
        "\uff10",
        "\u0663",
        "\ufeff",
        "user:pw",
        "v1.x",
    ]
    for _ in range(1000):
        url = "".join(["http://", *chance.choices(pieces, k=chance.randrange(1, 7))])
        with pytest.raises(ImageError) as refused:
            download(url)
        assert str(refused.value).isprintable()


def test_what_a_server_says_is_told_in_one_line(server):
    with pytest.raises(ImageError) as refused:
        download(f"{server}/rude", allow_private=True)
    assert str(refused.value) == f"{server}/rude: \\x1b[2J{'x' * 496}"


def test_a_password_in_a_url_is_not_asked_of_a_name_server(server, monkeypatch):
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: asked.append(args))
    for place in ("me@images.example", "me:secret@images.example", "me:secret@images.example:80"):
        with pytest.raises(ImageError, match="a URL with a user or password is not downloaded"):
            download(f"http://{place}/a.jpg")
    assert asked == []


def test_a_redirect_to_an_odd_url(server):
    with pytest.raises(ImageError):
        download(f"{server}/to/http://[/", allow_private=True)


def test_redirects_end(server):
    with pytest.raises(ImageError, match="redirect"):
        download(f"{server}/loop", allow_private=True)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/a.jpg", "data:,x"])
def test_other_schemes_are_refused(server, target):
    with pytest.raises(ImageError):
        download(target, allow_private=True)
    with pytest.raises(ImageError):
        download(f"{server}/to/{target}", allow_private=True)


def test_too_many_bytes_are_refused(server):
    with pytest.raises(ImageError, match="more than 999 bytes"):
        download(f"{server}/a.jpg", allow_private=True, max_bytes=999)


def test_a_server_that_does_not_answer_is_given_up(server):
    with pytest.raises(ImageError, match="timed out|not read within"):
        download(f"{server}/slow", allow_private=True, time_limit=0.3)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_server_that_answers_byte_by_byte_is_given_up(server, part):
    with pytest.raises(ImageError, match=r"not read within 0\.5 seconds"):
        download(f"{server}/drip/{part}", allow_private=True, time_limit=0.5)
