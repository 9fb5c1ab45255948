"""The file of a stored image, and smaller copies of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response

from lookalike import ImageError
from lookalike.web.files import FileResponse, OpenedFile, is_unchanged, open_image, path_of
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep
from lookalike.web.thumbnails import Rendition, Size

router = APIRouter(tags=["images"])

RowId = Annotated[int, Path(description="Id of the image.", ge=0, lt=2**63)]
CollectionName = Annotated[str | None, Query(description="By default the server's.")]
Version = Annotated[
    str | None,
    Query(alias="v", description="Anything that changes with the image: it may be kept for ever."),
]
_IMAGES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}}},
    304: {"description": "Not changed."},
}
_FILES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/*": {}}},
    206: {"description": "The wanted range."},
    304: {"description": "Not changed."},
    416: {"description": "There is no such range."},
}

PLACEHOLDER = (
    b'<svg xmlns="http://www.w3.org/2000/svg" width="160" height="120" viewBox="0 0 160 120">'
    b'<rect width="160" height="120" fill="#808792" fill-opacity=".14"/>'
    b'<g fill="none" stroke="#808792" stroke-width="3" stroke-linecap="round" '
    b'stroke-linejoin="round"><path d="M73 42H60a6 6 0 0 0-6 6v24a6 6 0 0 0 6 6h9l6-12-6-10z"/>'
    b'<path d="M84 42h16a6 6 0 0 1 6 6v24a6 6 0 0 1-6 6H80l6-12-6-10z"/></g></svg>'
)
"""What <img> gets instead of an image that is gone or broken."""


@router.get("/images/{row_id}/file", response_class=Response, responses=_FILES)
@router.head("/images/{row_id}/file", include_in_schema=False)
async def read_file(
    request: Request,
    state: StateDep,
    row_id: RowId,
    collection: CollectionName = None,
    download: Annotated[bool, Query(description="Offer to save it.")] = False,
) -> Response:
    """Send the file of an image with its true type; with ETag, and by range."""
    file = await state.work.run(_opened, state, collection, row_id)
    is_head = request.method == "HEAD"
    return FileResponse(file, request.headers, download=download, is_head=is_head)


@router.get("/images/{row_id}/thumbnail", response_class=Response, responses=_IMAGES)
async def read_thumbnail(
    request: Request,
    state: StateDep,
    row_id: RowId,
    collection: CollectionName = None,
    version: Version = None,
) -> Response:
    """Send an image scaled to fit in 640 x 400 pixels, as WebP."""
    return await _scaled(request, state, collection, row_id, "thumbnail", version)


@router.get("/images/{row_id}/preview", response_class=Response, responses=_IMAGES)
async def read_preview(
    request: Request,
    state: StateDep,
    row_id: RowId,
    collection: CollectionName = None,
    version: Version = None,
) -> Response:
    """Send an image scaled to fit in 2560 x 1600 pixels, as WebP: browsers show any format."""
    return await _scaled(request, state, collection, row_id, "preview", version)


def _opened(state: AppState, collection: str | None, row_id: int) -> OpenedFile:
    return open_image(path_of(state.collections.peek(collection), row_id))


async def _scaled(
    request: Request,
    state: AppState,
    collection: str | None,
    row_id: int,
    size: Size,
    version: str | None,
) -> Response:
    def find() -> tuple[Rendition | None, Callable[[], Rendition]]:
        path = path_of(state.collections.peek(collection), row_id)
        return state.thumbnails.cached(path, size), lambda: state.thumbnails.get(path, size)

    try:
        found, make = await state.work.run(find)
        made = await state.work.decode(make) if found is None else found
    except (ImageError, Problem) as error:
        return placeholder_or_raise(request, error)
    return rendition_response(request, made, is_kept=version is not None)


def rendition_response(request: Request, made: Rendition, *, is_kept: bool) -> Response:
    """Answer with a scaled image; is_kept: browsers may keep it without asking again."""
    headers = {
        "ETag": made.etag,
        "Cache-Control": f"private, {'max-age=31536000, immutable' if is_kept else 'no-cache'}",
    }
    if is_unchanged(request.headers, made.etag):
        return Response(status_code=304, headers=headers)
    return Response(made.content, headers=headers, media_type="image/webp")


def placeholder_or_raise(request: Request, error: ImageError | Problem) -> Response:
    """Answer <img> with a drawing, whatever is wrong with the image; raise the error to others."""
    is_lasting = isinstance(error, ImageError) or error.status == 404
    if is_lasting and request.headers.get("sec-fetch-dest") == "image":
        headers = {"Cache-Control": "private, max-age=60"}
        return Response(PLACEHOLDER, headers=headers, media_type="image/svg+xml")
    raise error
