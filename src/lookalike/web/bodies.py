"""Limits of request bodies: their sizes, and how long they may take to arrive."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.problems import Busy, Problem
from lookalike.web.settings import Limits

_RETRY_SECONDS = 5
_SLOWEST = 100_000
"""Bytes a second; slower bodies are refused once their time is over."""


class Bodies:
    """Refuse bodies that are too large (413) or too slow (408), or too many at once (503).

    Only forms with images and embeddings to store may be large: other documents become many times
    larger when they are parsed. What was read counts until the request is answered.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        most = self._most(scope)
        length = _header(scope, b"content-length") or b"0"
        if not length.isdigit() or int(length) > most:
            await _too_large(most).response()(scope, receive, send)
            return
        body = _Body()
        try:
            await self._app(scope, self._limited(receive, body, most), send)
        finally:
            self._held -= body.size

    def _most(self, scope: Scope) -> int:
        """Return the largest size of a request."""
        kind, most = _header(scope, b"content-type").lower(), self._limits.request_bytes
        if kind.startswith(b"multipart/form-data") or scope["method"] == "PUT":
            return most
        return min(self._limits.document_bytes, most)

    def _limited(self, receive: Receive, body: _Body, most: int) -> Receive:
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def receive_limited() -> Message:
            if body.is_whole:  # the rest is about the connection: it may stay open for long
                return await receive()
            deadline = began + self._limits.body_seconds + body.size / _SLOWEST
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                detail = "the request did not arrive in time; send it again, or a smaller one"
                raise Problem(408, detail, headers={"Connection": "close"}) from error
            size = len(message.get("body", b""))
            body.size += size
            self._held += size
            body.is_whole = not message.get("more_body", False)
            if body.size > most:
                raise _too_large(most)
            if self._held > self._limits.all_requests_bytes:
                raise Busy(_RETRY_SECONDS, closes=True)
            return message

        return receive_limited


@dataclass
class _Body:
    """What has come of a request."""

    size: int = 0
    is_whole: bool = False


def _too_large(most: int) -> Problem:
    detail = f"a request has at most {most:,} bytes; send fewer or smaller images"
    return Problem(413, detail, headers={"Connection": "close"})


def _header(scope: Scope, name: bytes) -> bytes:
    value: bytes = dict(scope["headers"]).get(name, b"")
    return value
