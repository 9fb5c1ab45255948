"""The files of the page: styles, scripts, fonts; in memory, compressed once."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from typing import NamedTuple

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.web.problems import Problem

router = APIRouter(include_in_schema=False)

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".woff2": "font/woff2",
}
_COMPRESSED = (".woff2", ".png")
_FOREVER = "public, max-age=31536000, immutable"


class StaticFile(NamedTuple):
    """A file of the package: its bytes, the same compressed or None, type and entity tag."""

    content: bytes
    compressed: bytes | None
    type: str
    etag: str


@cache
def static_file(name: str) -> StaticFile | None:
    """Return a file below web/static; None if there is none of this name."""
    path = PurePosixPath(name)
    if path.suffix not in _TYPES or ".." in path.parts or path.is_absolute():
        return None
    found = files("lookalike.web") / "static"
    for part in path.parts:
        found /= part
    if not found.is_file():
        return None
    content = found.read_bytes()
    etag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    small = None if path.suffix in _COMPRESSED else gzip.compress(content, 9, mtime=0)
    return StaticFile(content, small, _TYPES[path.suffix], etag)


@cache
def release() -> str:
    """Return what changes when any file does.

    It stands before the names in URLs, so that what scripts and styles refer to has it, too.
    """
    digest = hashlib.sha256()
    for path, content in sorted(_contents(files("lookalike.web") / "static", "")):
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:12]


def _contents(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in folder.iterdir():
        name = f"{path}/{each.name}"
        if each.is_dir():
            yield from _contents(each, name)
        else:
            yield name, each.read_bytes()


def static_url(name: str) -> str:
    """Return the URL of a file, which changes when any file does."""
    if static_file(name) is None:
        raise KeyError(name)
    return f"/static/{release()}/{name}"


@router.get("/static/{version}/{name:path}")
async def read_static(request: Request, version: str, name: str) -> Response:
    """Send a file of the page."""
    file = static_file(name)
    if file is None:
        raise Problem(404, f"no file {name!r}")
    headers = {"Cache-Control": _FOREVER, "ETag": file.etag, "Vary": "Accept-Encoding"}
    if version != release():
        headers["Cache-Control"] = "no-cache"
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = file.compressed, "gzip"
    return Response(content, headers=headers, media_type=file.type)
