"""Limits of request bodies: their size, and how long they may take to arrive."""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.web.problems import Problem
from lookalike.web.settings import Limits

_SLOWEST = 100_000
"""Bytes a second; slower bodies are refused once their time is over."""


class Bodies:
    """Refuse bodies that are too large (413) or too slow (408)."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limits.request_bytes:
            await self._too_large().response()(scope, receive, send)
            return
        await self._app(scope, self._limited(receive), send)

    def _limited(self, receive: Receive) -> Receive:
        loop, got, is_whole = asyncio.get_running_loop(), 0, False
        began = loop.time()

        async def receive_limited() -> Message:
            nonlocal got, is_whole
            if is_whole:  # the rest is about the connection: it may stay open for long
                return await receive()
            deadline = began + self._limits.body_seconds + got / _SLOWEST
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as error:
                detail = "the request did not arrive in time; send it again, or a smaller one"
                raise Problem(408, detail, headers={"Connection": "close"}) from error
            got += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if got > self._limits.request_bytes:
                raise self._too_large()
            return message

        return receive_limited

    def _too_large(self) -> Problem:
        most = self._limits.request_bytes
        detail = f"a request has at most {most:,} bytes; send fewer or smaller images"
        return Problem(413, detail, headers={"Connection": "close"})
