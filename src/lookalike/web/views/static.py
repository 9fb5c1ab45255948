"""The files of the page: styles, scripts, fonts; in memory, compressed once."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib.resources import files
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
    """A file of the package: its bytes, the same compressed or None, type and version."""

    content: bytes
    compressed: bytes | None
    type: str
    version: str


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
    version = hashlib.sha256(content).hexdigest()[:12]
    small = None if path.suffix in _COMPRESSED else gzip.compress(content, 9, mtime=0)
    return StaticFile(content, small, _TYPES[path.suffix], version)


def static_url(name: str) -> str:
    """Return the URL of a file, which changes with its content."""
    file = static_file(name)
    if file is None:
        raise KeyError(name)
    return f"/static/{name}?v={file.version}"


@router.get("/static/{name:path}")
async def read_static(request: Request, name: str) -> Response:
    """Send a file of the page."""
    file = static_file(name)
    if file is None:
        raise Problem(404, f"no file {name!r}")
    tag = f'"{file.version}"'
    headers = {"Cache-Control": _FOREVER, "ETag": tag, "Vary": "Accept-Encoding"}
    if request.query_params.get("v") != file.version:
        headers["Cache-Control"] = "no-cache"
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    content = file.content
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        content, headers["Content-Encoding"] = file.compressed, "gzip"
    return Response(content, headers=headers, media_type=file.type)
