"""The application: routes, the checks before them, and what starts and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI

from lookalike import Database, LookalikeError, __version__
from lookalike.web import api, problems, views
from lookalike.web.bodies import Bodies
from lookalike.web.collections import Collections
from lookalike.web.guard import Guard
from lookalike.web.logs import Requests
from lookalike.web.settings import Settings
from lookalike.web.state import AppState

TITLE = "lookalike"


def create_app(
    db: Database, settings: Settings, *, ready: Callable[[], None] = lambda: None
) -> FastAPI:
    """Return the application.

    Args:
        db: Where the collections are.
        settings: What to serve, and to whom; its port names the cookie.
        ready: Called when requests can be answered.
    """
    state = AppState(settings, db, Collections(db, settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await state.work.run(_open_default, state.collections)
        await state.work.run(state.adders.recover)
        loading = asyncio.create_task(state.work.decode(state.thumbnail_cache.load))
        ready()
        yield
        await loading
        state.close()

    app = FastAPI(
        title=TITLE,
        version=__version__,
        summary="Image similarity search inside MySQL.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.lookalike = state
    problems.install(app)
    api.install(app)
    views.install(app)
    # The last one sees a request first.
    app.add_middleware(Bodies, limits=settings.limits)
    app.add_middleware(Guard, settings=settings)
    app.add_middleware(Requests, metrics=state.metrics)
    return app


def _open_default(collections: Collections) -> None:
    """Begin to load the index of the default collection; without it, requests say what is wrong."""
    try:
        collections.open()
    except LookalikeError:
        return
