"""Slow, large and many requests; how a server ends, and what is left when it is killed."""

import io
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from tests.web.serving import run_apart, serving

API = "/api/v1"
LIMITS = {
    "request_bytes": 100_000,
    "images": 4,
    "pixels": 100_000,
    "queries": 3,
    "head_seconds": 1.0,
    "body_seconds": 1.0,
}


@pytest.fixture(scope="module")
def strict(served, tmp_path_factory):
    """A server with small limits."""
    home = tmp_path_factory.mktemp("strict")
    with serving(served.database_url, home, "--max-upload", "20000", limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def client(strict):
    with strict.client() as opened:
        yield opened


def picture(width, height, seed=0):
    """A PNG of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def search(client, *images):
    return client.post(f"{API}/search", files=[("image", ("a.png", each)) for each in images])


def test_limits_of_uploads(client):
    small = picture(8, 8)
    assert search(client, small, small, small, small).status_code == 200
    for response, told in [
        (search(client, picture(100, 100)), "a.png is too large; the limit is 0.02 MB"),
        (search(client, *[small] * 5), "too many images; the limit is 4"),
        (search(client, *[picture(72, 72)] * 7), "at most 100,000 bytes"),
    ]:
        assert response.status_code == 413, response.text
        assert told in response.json()["detail"]
    flat = io.BytesIO()
    Image.new("L", (400, 300)).save(flat, "PNG")
    response = search(client, flat.getvalue())
    assert response.status_code == 422 and "pixels" in response.json()["detail"]
    queries = {"queries": [{"id": 1}] * 4}
    assert client.post(f"{API}/search", json=queries).status_code == 422


def test_a_body_of_unknown_length_is_counted(client):
    def parts():
        for _ in range(20):
            yield b" " * 10_000

    response = client.post(f"{API}/search", content=parts())
    assert response.status_code == 413, response.text


def connected(strict):
    return socket.create_connection(("127.0.0.1", strict.port), timeout=20)


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [b"", b"GET /health HTTP/1.1\r\nHost: local"])
def test_a_head_that_does_not_arrive_ends_the_connection(strict, sent):
    with connected(strict) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        assert read_all(connection) == b""
        assert 0.5 < time.monotonic() - began < 10


def test_a_head_that_trickles_is_not_waited_for(strict):
    with connected(strict) as connection:
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 15:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: "[:1])
                time.sleep(0.05)
        assert time.monotonic() - began < 10


def test_a_body_that_does_not_arrive_is_answered_408(strict):
    head = (
        f"POST {API}/search HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {strict.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    with connected(strict) as connection:
        connection.sendall(head.encode())
        answer = read_all(connection).decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "application/problem+json" in answer and "did not arrive in time" in answer


def test_what_is_no_http_is_refused(strict):
    for sent in (b"\x16\x03\x01\x02\0\x01\0", b"GET / HTTP/9.9\r\n\r\n", b"A" * 200_000):
        with connected(strict) as connection:
            try:
                connection.sendall(sent)
                answer = read_all(connection)
            except OSError:
                continue
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


def test_an_end_finishes_what_runs_and_ends_streams(served, tmp_path, photos):
    with serving(served.database_url, tmp_path, "--root", str(photos)) as running:
        answers = {}

        def ask(name, call):
            with running.client() as client:
                answers[name] = call(client)

        def upload(client):
            sent = {"image": (photos / "cat.jpg").read_bytes()}
            response = client.post(f"{API}/search", files=sent, data={"k": "3"})
            return response.status_code, len(response.json()["results"][0]["matches"])

        with running.client() as client:
            job = client.post(
                f"{API}/duplicates", json={}, params={"collection": "image_embeddings"}
            ).json()
            with client.stream("GET", job["links"]["events"]) as events:
                threads = [threading.Thread(target=ask, args=(name, upload)) for name in range(4)]
                for thread in threads:
                    thread.start()
                while client.get(f"{API}/status").json()["waiting"]["embedding"] < 4:
                    assert not answers
                began = time.monotonic()
                assert running.stop() == 0
                assert "event: " in "".join(events.iter_text())
        for thread in threads:
            thread.join()
        assert time.monotonic() - began < 25
        assert list(answers.values()) == [(200, 3)] * 4


def test_no_traceback_reaches_a_client():
    import httpx

    from lookalike.web.app import create_app
    from lookalike.web.settings import Settings

    app = create_app(None, Settings())

    @app.get("/boom")
    async def boom():
        raise RuntimeError("a secret")

    async def ask(path):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    response = run_apart(ask("/boom"))
    assert response.status_code == 500
    assert response.json()["detail"] == "the server failed; its log says why"
    assert "secret" not in response.text and "Traceback" not in response.text
    assert response.headers["content-security-policy"]
