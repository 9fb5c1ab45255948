"""Undo: what was removed is put back."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lookalike.web.state import StateDep, require_writer
from lookalike.web.views.rendering import page

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_writer)])

UNDONE = "lookalike:undone"
"""The event that tells a page that it has to show things anew."""


@router.post("/undo/{token}")
async def undo(request: Request, state: StateDep, token: str) -> Response:
    """Take a change back; the toast that offered it tells what was done."""
    told = await state.work.run(state.undo.take_back, token)
    return page(request, "shared/undone.html", headers={"HX-Trigger": UNDONE}, message=told)
