"""The pages: server-rendered HTML."""

from fastapi import FastAPI

from lookalike.web.views import static


def install(app: FastAPI) -> None:
    """Add the routes of the pages."""
    for module in (static,):
        app.include_router(module.router)
