"""The HTTP API, /api/v1, and what stands at the root: /health, /ready, /metrics, /docs."""

from fastapi import APIRouter, Depends, FastAPI

from lookalike.web.api import (
    adding,
    collections,
    docs,
    duplicates,
    files,
    images,
    jobs,
    openapi,
    removing,
    root,
    screen,
    search,
    status,
)
from lookalike.web.api.documents import PREFIX
from lookalike.web.api.parameters import refuse_unknown

_ROUTERS = (search, images, adding, removing, files, duplicates, screen, collections, jobs, status)


def install(app: FastAPI) -> None:
    """Add the routes of the API."""
    for module in (root, openapi, docs):
        app.include_router(module.router)
    router = APIRouter(prefix=PREFIX, dependencies=[Depends(refuse_unknown)])
    for each in _ROUTERS:
        router.include_router(each.router)
    app.include_router(router)
