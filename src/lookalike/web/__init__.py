"""The web page and the HTTP API: `lookalike serve`.

FastAPI and uvicorn come with the extra `web`; they are imported when the server starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike.web.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from lookalike import Database

__all__ = ["Settings", "check_installed", "serve"]


def serve(db: Database, settings: Settings, *, ready: Callable[[int], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests that run then are finished.

    Args:
        db: Where the collections are.
        settings: What to serve, and to whom.
        ready: Called with the port once requests are accepted.

    Raises:
        MissingExtra: The extra `web` is not installed.
        InputError: The address cannot be bound.
    """
    check_installed()
    from lookalike.web.server import run

    run(db, settings, ready=ready)


def check_installed() -> None:
    """Raise MissingExtra if the extra `web` is not installed."""
    from lookalike import MissingExtra

    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingExtra("web", "lookalike serve") from error
