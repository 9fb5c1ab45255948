"""The state of the server."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import __version__
from lookalike.web.api.documents import json_response, plain
from lookalike.web.api.report_schemas import ServerStatus
from lookalike.web.state import StateDep

router = APIRouter(tags=["server"])


@router.get("/status", response_model=ServerStatus)
async def read_status(request: Request, state: StateDep) -> Response:
    """Return the state of the server, and what your token allows."""
    work, settings = state.work, state.settings
    return json_response(
        {
            "version": __version__,
            "collection": state.collections.default,
            "can_write": request.state.can_write,
            "roots": [str(root) for root in settings.roots],
            "waiting": {name: queue.size for name, queue in work.queues().items()},
            "held": plain(state.collections.held()),
            "limits": asdict(settings.limits),
        }
    )
