"""The pages: server-rendered HTML."""

from fastapi import FastAPI

from lookalike.web.views import changes, jobs, query_images, static


def install(app: FastAPI) -> None:
    """Add the routes of the pages."""
    for module in (static, changes, jobs, query_images):
        app.include_router(module.router)
