"""Undo: what was removed is put back."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lookalike.web.problems import Problem
from lookalike.web.state import StateDep, require_writer
from lookalike.web.undo import Undo, Undos
from lookalike.web.views.rendering import page

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_writer)])

UNDONE = "lookalike:undone"
"""The event that tells a page that it has to show things anew."""


def taken_back(undos: Undos, token: str) -> str:
    """Take a change back, and return one sentence about it.

    Raises Problem 404 if it was taken back before, or is too old. If taking it back fails, it can
    be tried again.
    """
    undo: Undo | None = undos.take(token)
    if undo is None:
        raise Problem(404, "this can no longer be undone")
    try:
        return undo.take_back()
    except BaseException:
        undos.restore(token, undo)
        raise


@router.post("/undo/{token}")
async def undo(request: Request, state: StateDep, token: str) -> Response:
    """Take a change back; the toast that offered it tells what was done."""
    told = await state.work.run(taken_back, state.undo, token)
    return page(request, "shared/undone.html", headers={"HX-Trigger": UNDONE}, message=told)
