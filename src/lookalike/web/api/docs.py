"""/docs: the API's documentation, to try out; its files come with the package."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike.web.views.rendering import page

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def read_docs(request: Request) -> Response:
    """Send the page."""
    return page(request, "docs.html")
