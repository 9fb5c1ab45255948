"""Render templates into answers, compressed for those who accept that."""

from __future__ import annotations

import gzip
from functools import cache
from typing import Any

import jinja2
from fastapi import Request
from starlette.responses import Response

from lookalike.web.views.formats import FILTERS
from lookalike.web.views.static import static_url

_SMALLEST = 1000


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lookalike.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["static"] = static_url
    environment.filters.update(FILTERS)
    return environment


def is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part of a page."""
    headers = request.headers
    return "hx-request" in headers and "hx-history-restore-request" not in headers


def rendered(request: Request, template: str, **context: Any) -> str:
    """Return the text that a template makes.

    Templates have `request`, `state` (AppState), `can_write`, and `static(name)`.
    """
    state = request.app.state.lookalike
    can_write = getattr(request.state, "can_write", False)
    made = _environment().get_template(template)
    return made.render(request=request, state=state, can_write=can_write, **context)


def page(
    request: Request,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **context: Any,
) -> Response:
    """Return the page or part that a template makes; see `rendered`."""
    content = rendered(request, template, **context).encode("utf-8", "replace")
    sent = {"Cache-Control": "no-store", "Vary": "HX-Request, Accept-Encoding", **(headers or {})}
    if len(content) > _SMALLEST and "gzip" in request.headers.get("accept-encoding", ""):
        content, sent["Content-Encoding"] = gzip.compress(content, 4, mtime=0), "gzip"
    return Response(content, status, sent, media_type="text/html; charset=utf-8")
