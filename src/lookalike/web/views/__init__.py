"""The pages: server-rendered HTML."""

from fastapi import FastAPI

from lookalike.web.views import (
    changes,
    collections,
    detail,
    duplicates,
    facets,
    jobs,
    query_images,
    screen,
    search,
    selection,
    static,
)

_VIEWS = (
    static,
    search,
    facets,
    detail,
    selection,
    changes,
    collections,
    jobs,
    query_images,
    screen,
    duplicates,
)


def install(app: FastAPI) -> None:
    """Add the routes of the pages."""
    for module in _VIEWS:
        app.include_router(module.router)
