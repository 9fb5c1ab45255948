"""Clients that send or read in bad faith, before the server knows who they are."""

import contextlib
import socket
import time

import pytest

from tests.web.serving import serving

LIMITS = {"head_seconds": 1.0, "body_seconds": 1.0, "stall_seconds": 1.0}
HEAD = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /api/v1/search HTTP/1.1\r\nHost: localhost\r\n"
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def hasty(served, tmp_path_factory):
    """A server that waits for nobody for long."""
    home = tmp_path_factory.mktemp("hasty")
    with serving(served.database_url, home, limits=LIMITS) as running:
        yield running


@pytest.fixture
def connection(hasty):
    with socket.create_connection(("127.0.0.1", hasty.port), timeout=20) as opened:
        yield opened


def flood(connection, part, most=40 * MEGABYTE):
    """Send the same again and again; return how much the server took."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most:
            sent += connection.send(part)
    return sent


@pytest.mark.parametrize(
    "begin",
    [
        b"GET /health?",
        HEAD + b"X: ",
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;",
    ],
)
def test_heads_without_end_are_refused(connection, begin):
    connection.sendall(begin)
    assert flood(connection, b"a" * 100_000) < 20 * MEGABYTE


def test_headers_without_number_are_refused(connection):
    connection.sendall(HEAD)
    assert flood(connection, b"X-Y: z\r\n" * 10_000) < 20 * MEGABYTE


def test_a_usual_head_is_read(connection):
    connection.sendall(HEAD + b"Cookie: " + b"a=b; " * 10_000 + b"\r\n\r\n")
    assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("head", [HEAD, POST])
def test_a_body_that_follows_the_answer_keeps_no_connection(connection, head):
    connection.sendall(head + b"Content-Length: 1000000\r\n\r\n")
    assert connection.recv(100).startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 401 "))
    began = time.monotonic()
    with contextlib.suppress(OSError):
        while time.monotonic() - began < 10:
            connection.sendall(b"a")
            time.sleep(0.05)
    assert time.monotonic() - began < 6


def test_who_reads_nothing_keeps_no_connection(hasty):
    with hasty.client() as client:
        page = client.get("/docs").text
    script = page.partition('script src="')[2].partition('"')[0]
    asked = f"GET {script} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", hasty.port))
        connection.sendall(20 * asked)
        time.sleep(3)
        size = 0
        with contextlib.suppress(OSError):
            while part := connection.recv(1 << 20):
                size += len(part)
    assert 0 < size < 15 * MEGABYTE
