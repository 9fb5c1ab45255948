"""The HTTP API, /api/v1, and what stands at the root: /health, /ready, /metrics."""

from fastapi import APIRouter, FastAPI

from lookalike.web.api import files, root, search

PREFIX = "/api/v1"


def install(app: FastAPI) -> None:
    """Add the routes of the API."""
    app.include_router(root.router)
    router = APIRouter(prefix=PREFIX)
    for module in (search, files):
        router.include_router(module.router)
    app.include_router(router)
