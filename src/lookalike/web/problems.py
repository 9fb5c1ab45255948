"""Errors as problem details (RFC 9457); browsers get a page. No traceback reaches a client."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import lookalike

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)
_TYPE = re.compile(r"(str|bool|int|float|constrained-\w+)$|\w+\[|[A-Z]\w+Document$")


class Problem(Exception):
    """An answer other than the one that was asked for.

    Args:
        status: HTTP status.
        detail: One sentence that names the value and the remedy.
        headers: Headers of the answer, such as Retry-After.
        more: Further members of the document.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> Response:
        """Return it as a document."""
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        text = json.dumps(content, default=str)
        return Response(text, self.status, self.headers, media_type=MEDIA_TYPE)


class Busy(Problem):
    """More work is waiting than the server can do in a moment."""

    def __init__(self, seconds: int, *, closes: bool = False) -> None:
        super().__init__(
            503,
            f"too many requests are waiting; try again in {seconds} seconds",
            headers={"Retry-After": str(seconds), **({"Connection": "close"} if closes else {})},
        )


def problem_of(error: Exception) -> Problem:
    """Return what a client is told of an error."""
    match error:
        case Problem():
            return error
        case lookalike.MissingExtra():
            return Problem(501, str(error))
        case lookalike.ImageError():
            return Problem(422, str(error))
        case lookalike.InputError() | lookalike.EmbeddingError() | lookalike.ModelError():
            return Problem(400, str(error))
        case lookalike.MissingTable():
            return Problem(404, "the collection was removed or renamed meanwhile; try again")
        case lookalike.ConnectionFailed() | lookalike.ServerError():
            detail = "the database does not answer; try again in a moment"
            return Problem(503, detail, headers={"Retry-After": "5"})
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError() | ValidationError():
            return _invalid(error)
        case _:
            return Problem(500, "the server failed; its log says why")


def _invalid(error: RequestValidationError | ValidationError) -> Problem:
    """Return a problem that names a value that is wrong, and lists all."""
    # Of a value that may be of several kinds, each says what it lacks: the deepest fits best.
    found = sorted(error.errors(), key=lambda each: -len(each["loc"]))
    errors = [{"where": _place(each["loc"]), "problem": str(each["msg"])} for each in found]
    first = errors[0]
    return Problem(422, f"{first['where']}: {first['problem']}", errors=errors)


def _place(parts: Sequence[int | str]) -> str:
    """Return where a value is, without the names of types among its parts."""
    names = [str(part) for part in parts if isinstance(part, int) or not _TYPE.match(part)]
    return ".".join(names) or "the document"


def install(app: FastAPI) -> None:
    """Answer every error of an app's routes as a problem."""
    kinds = (Problem, lookalike.LookalikeError, HTTPException, RequestValidationError)
    for kind in (*kinds, ValidationError):
        app.add_exception_handler(kind, _answer)
    app.add_middleware(_Failures)


class _Failures:
    """Answer what no handler expects: Starlette would, but outside of all other middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def send_noting(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if scope["type"] != "http" or has_begun:
                raise
            response = await _answer(Request(scope, receive), error)
            await response(scope, receive, send)


async def _answer(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    if isinstance(error, lookalike.MissingTable):
        state = request.app.state.lookalike
        await state.work.run(state.collections.forget_gone)
    if problem.status >= 500 and not isinstance(error, Problem):
        known = isinstance(error, lookalike.LookalikeError)
        told = f": {error}" if known else ""
        info = None if known else error  # of a database that is away, one line says enough
        _LOG.error("%s %s failed%s", request.method, request.url.path, told, exc_info=info)
    if wants_page(request):
        from lookalike.web.views.failed import failed_page

        return failed_page(request, problem)
    return problem.response()


def wants_page(request: Request) -> bool:
    """Whether the client is a browser that shows a page, not a program."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get(
        "accept", ""
    )
