"""Folders served as storage elsewhere: by rclone as S3 and over HTTP, and as Google's buckets."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

KEY, SECRET = "a-key", "a-secret"


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """Serve the folders of a folder as S3's buckets; the environment then leads there."""
    login = ("--auth-key", f"{KEY},{SECRET}")
    with _rclone("s3", *login, folder=folder) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_REGION", "us-east-1")
        forget_clients()
        yield "s3://"


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Serve a folder, with its lists of files, over HTTP."""
    with _rclone("http", folder=folder) as url:
        yield url


def forget_clients() -> None:
    """Have fsspec read the environment again."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def _rclone(kind: str, *options: str, folder: Path) -> Iterator[str]:
    command = [Path(sys.executable).with_name("rclone"), "serve", kind, *options]
    # Otherwise it answers with a list of five minutes ago.
    command += ["--dir-cache-time", "0", "--addr", "127.0.0.1:0", folder]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            for line in process.stderr:
                if address := re.search(r"http://127\.0\.0\.1:\d+/", line):
                    yield address[0]
                    return
            raise OSError(f"rclone did not start to serve {kind}")
        finally:
            process.kill()


@contextmanager
def google_server(folder: Path) -> Iterator[str]:
    """Serve the folders of a folder as buckets of Google's, which can be had nowhere else.

    It answers what the JSON API's pages say, for lists, objects and their bytes.
    """
    handler = type("Handler", (_GoogleHandler,), {"folder": folder})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            address = f"http://127.0.0.1:{server.server_port}"
            patch.setenv("STORAGE_EMULATOR_HOST", address)
            patch.setenv("FSSPEC_GS_TOKEN", "anon")
            patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # asks for a login
            yield "gs://"
    finally:
        server.shutdown()
        server.server_close()


class _GoogleHandler(BaseHTTPRequestHandler):
    folder: Path

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        options = dict(parse_qsl(parts.query))
        bucket, _, name = parts.path.partition("/b/")[2].partition("/o")
        name = unquote(name.lstrip("/"))
        file = self.folder / bucket / name
        if not (self.folder / bucket).is_dir():
            self.send_error(404)
        elif not name:
            self._answer(json.dumps(self._list(bucket, options.get("prefix", ""))).encode())
        elif not file.is_file():
            self.send_error(404)
        elif options.get("alt") == "media":
            self._answer(file.read_bytes(), "image/png")
        else:
            self._answer(json.dumps(self._object(bucket, file)).encode())

    def _list(self, bucket: str, prefix: str) -> dict[str, object]:
        place = self.folder / bucket / prefix
        found = sorted(place.iterdir()) if place.is_dir() else []
        return {
            "kind": "storage#objects",
            "items": [self._object(bucket, each) for each in found if each.is_file()],
            "prefixes": [f"{prefix}{each.name}/" for each in found if each.is_dir()],
        }

    def _object(self, bucket: str, file: Path) -> dict[str, object]:
        status = file.stat()
        return {
            "kind": "storage#object",
            "name": str(file.relative_to(self.folder / bucket)),
            "bucket": bucket,
            "size": str(status.st_size),
            "etag": f"{status.st_mtime_ns:x}",
            "updated": f"{datetime.fromtimestamp(status.st_mtime, UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        }

    def _answer(self, content: bytes, kind: str = "application/json") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(ConnectionError):  # gcsfs asks in two ways at once, and hangs up on one
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
