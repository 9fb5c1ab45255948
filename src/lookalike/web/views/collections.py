"""The collections: their status, failures, and adding images to them."""

from __future__ import annotations

from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from lookalike import IndexStatus
from lookalike.web.adding import start_add
from lookalike.web.overview import Overview, begun_jobs, overview, overviews
from lookalike.web.problems import Problem
from lookalike.web.roots import allowed_folder, folders_below
from lookalike.web.state import AppState, StateDep, require_writer
from lookalike.web.uploads import read_form
from lookalike.web.views.rendering import is_fragment, page

router = APIRouter(include_in_schema=False)


@router.get("/collections")
async def show(request: Request, state: StateDep) -> Response:
    """Show all collections."""

    def read() -> tuple[list[Overview], list[IndexStatus], list[str]]:
        return overviews(state), state.db.tables(), folders_below(state.settings.roots)

    found, tables, folders = await state.work.run(read)
    begun = begun_jobs(state, found)
    return page(
        request,
        "collections/page.html",
        collections=found,
        begun=begun,
        tables=tables,
        folders=folders,
    )


@router.get("/parts/collections/{name}")
async def show_one(request: Request, state: StateDep, name: str) -> Response:
    """Show one collection anew; one that was not created, with the reason."""
    try:
        found = await state.work.run(overview, state, name)
    except Problem:
        job = state.jobs.latest("add", name)
        if job is None:
            raise
        return page(request, "collections/begun.html", job=job)
    rows, number = await state.work.run(_totals, state)
    template = "collections/shown-anew.html"
    return page(request, template, found=found, rows=rows, number=number)


@router.post("/collections/add", dependencies=[Depends(require_writer)])
async def add(request: Request, state: StateDep) -> Response:
    """Begin to add the images of an allowed folder to a collection, new or not."""
    form = await read_form(request, state.settings.limits)
    name, folder = form.get("collection").strip(), form.get("folder").strip()
    if not folder:
        raise Problem(422, "name the folder whose images are to be added")
    await state.work.run(_start, state, name, folder)
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return RedirectResponse(f"/collections#c-{quote(name or state.collections.default)}", 303)


def _totals(state: AppState) -> tuple[int, int]:
    """Return how many images there are, and collections."""
    found = state.db.status()
    return sum(each.rows for each in found), len(found)


def _start(state: AppState, name: str, folder: str) -> None:
    start_add(state, name or None, allowed_folder(state.settings.roots, folder))
