"""Remove images from a collection, and put them back."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import Collection, Removed
from lookalike.web.api.contents import json_body
from lookalike.web.api.documents import json_response
from lookalike.web.api.image_schemas import IdsRequest, Removal, Undone
from lookalike.web.api.parameters import CollectionName, RowId
from lookalike.web.api.reading import read_document
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep
from lookalike.web.undo import Undo

router = APIRouter(tags=["images"])


@router.delete("/images", response_model=Removal, openapi_extra=json_body(IdsRequest))
async def remove_images(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Remove images from the collection, all or none; their files stay."""
    document = await read_document(request, IdsRequest)
    return json_response(await state.work.run(_remove, state, collection, document.ids))


@router.delete("/images/{row_id}", response_model=Removal)
async def remove_image(
    state: StateDep, row_id: RowId, collection: CollectionName = None
) -> Response:
    """Remove an image from the collection; its file stays."""
    return json_response(await state.work.run(_remove, state, collection, [row_id]))


def _remove(state: AppState, name: str | None, ids: Sequence[int]) -> dict[str, Any]:
    images = state.collections.get(name)
    known = {record.id for record in images.records(ids)}
    for row_id in ids:
        if row_id not in known:
            raise Problem(404, f"there is no image {row_id} in {images.name}")
    removed = images.take_out(*ids)
    number = len(removed.ids)
    if not number:  # another request was faster
        raise Problem(404, f"there is no image {ids[0]} in {images.name} any more")
    undo = Undo(images.name, f"{_count(number)} removed", number, partial(_put, images, removed))
    return {"removed": number, "undo": state.undo.keep(undo)}


def _put(images: Collection, removed: Removed) -> str:
    report = images.put_back(removed)
    told = f"{_count(len(report.restored))} put back"
    reasons = "; ".join(f"{row_id}: {reason}" for row_id, reason in report.failed.items())
    return f"{told}; not {reasons}" if reasons else told


def _count(images: int) -> str:
    return "1 image" if images == 1 else f"{images:,} images"


@router.post("/undo/{token}", response_model=Undone)
async def undo(state: StateDep, token: str) -> Response:
    """Put back what was removed; a token works once, and only the latest are kept."""
    return json_response({"message": await state.work.run(state.undo.take_back, token)})
