"""Images that queries refer to: kept when they are dropped, shown as thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import JSONResponse, Response

from lookalike import ImageError
from lookalike.web.api.files import placeholder_or_raise, rendition_response
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep
from lookalike.web.thumbnails import Rendition
from lookalike.web.uploads import Upload, read_form

router = APIRouter(include_in_schema=False)

ContentHash = Annotated[str, Path(pattern="^[0-9a-f]{64}$")]


@router.post("/query-images")
async def keep(request: Request, state: StateDep) -> Response:
    """Keep the images of a form; answer with the hash of each, by which a URL names it."""
    form = await read_form(request, state.settings.limits)
    kept = [await kept_upload(state, upload) for upload in form.uploads]
    if not kept:
        raise Problem(422, "there is no image in the request")
    return JSONResponse(
        {"images": [{"hash": each.content_hash, "name": each.name} for each in kept]}
    )


async def kept_upload(state: AppState, upload: Upload) -> Upload:
    """Keep an uploaded image, and return it. Raises ImageError if it cannot be decoded."""
    try:
        await state.work.embed(state.query_images.keep, upload.content_hash, upload.content)
    except ImageError as error:
        reason = str(error).removeprefix("the image: ")
        raise ImageError(f"{upload.name or 'the image'}: {reason}") from error
    return upload


@router.get("/query-images/{content_hash}/thumbnail")
async def read_thumbnail(request: Request, state: StateDep, content_hash: ContentHash) -> Response:
    """Send an uploaded image, scaled down."""

    def find() -> tuple[Rendition | None, Callable[[], Rendition]]:
        found = state.thumbnails.cached_bytes(content_hash)
        content = b"" if found else state.query_images.content(content_hash)
        return found, lambda: state.thumbnails.get_bytes(content_hash, content)

    try:
        found, make = await state.work.run(find)
        made = await state.work.decode(make) if found is None else found
    except (ImageError, Problem) as error:
        return placeholder_or_raise(request, error)
    return rendition_response(request, made, is_kept=True)
