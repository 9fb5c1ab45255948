"""The pages: server-rendered HTML."""

from fastapi import FastAPI

from lookalike.web.views import changes, collections, jobs, query_images, screen, static


def install(app: FastAPI) -> None:
    """Add the routes of the pages."""
    for module in (static, changes, jobs, query_images, collections, screen):
        app.include_router(module.router)
