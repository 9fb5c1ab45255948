"""Stored images: browse, read, change and remove them, and bring embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lookalike import Collection
from lookalike.web.api.contents import json_body, parameters
from lookalike.web.api.documents import answer_document, item_document, json_response
from lookalike.web.api.image_schemas import (
    Attributes,
    AttributesDocument,
    AttributesRequest,
    Changed,
    ImageDocument,
    ImageList,
    UpsertRequest,
    UpsertResponse,
)
from lookalike.web.api.parameters import CollectionName, K, RowId, Where
from lookalike.web.api.reading import read_document
from lookalike.web.api.schemas import Answer, NeighboursParameters
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep

if TYPE_CHECKING:
    from lookalike import Matches

router = APIRouter(tags=["images"])

_MOST_NUMBERS = 2_000_000
"""Of embeddings in one answer."""

Part = Literal["embedding", "attributes"]
Include = Annotated[list[Part], Query(description="What else to return.", max_length=2)]


@router.get("/images", response_model=ImageList)
async def browse_images(
    state: StateDep,
    collection: CollectionName = None,
    where: Where = None,
    order_by: Annotated[
        str, Query(description="As in `Collection.browse`.", min_length=1, max_length=256)
    ] = "-id",
    k: K = 60,
    offset: Annotated[int, Query(description="Number of images to skip.", ge=0, lt=2**31)] = 0,
    include: Include = [],  # noqa: B006 - FastAPI copies it
    count: Annotated[bool, Query(description="Also count all that pass.")] = False,
) -> Response:
    """Return stored images without a query, by pages."""

    def browse() -> Response:
        images = state.collections.get(collection)
        if "embedding" in include and k * (images.dim or 1) > _MOST_NUMBERS:
            most = max(1, _MOST_NUMBERS // (images.dim or 1))
            raise Problem(422, f"k is {k:,}; with embeddings, ask for at most {most:,} at once")
        found = images.browse(where=where, order_by=order_by, k=k, offset=offset, include=include)
        total = images.count(where) if count else None
        documents = [item_document(item, collection, include) for item in found]
        return json_response({"images": documents, "total": total})

    return await state.work.run(browse)


@router.get("/images/{row_id}", response_model=ImageDocument)
async def read_image(
    state: StateDep,
    row_id: RowId,
    collection: CollectionName = None,
    include: Include = ["attributes"],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Return a stored image, and what is known of its file."""

    def read() -> Response:
        images = state.collections.get(collection)
        found = images.get([row_id], include=include)
        if not found:
            raise _missing(images, row_id)
        file = images.files([row_id]).get(row_id)
        return json_response(item_document(found[0], collection, include, file))

    return await state.work.run(read)


@router.get(
    "/images/{row_id}/neighbours",
    response_model=Answer,
    openapi_extra=parameters(NeighboursParameters),
)
async def read_neighbours(
    request: Request, state: StateDep, row_id: RowId, collection: CollectionName = None
) -> Response:
    """Return the stored images most similar to a stored image, without itself."""
    from lookalike.web.api.reading import search_of
    from lookalike.web.api.search import options_of

    asked = request.query_params.multi_items()
    document = search_of([("id", str(row_id)), *((n, v) for n, v in asked if n != "id")])
    if document.query is None or document.query.mix is not None:
        raise Problem(422, "neighbours are those of one image: leave out other queries")

    def search() -> Matches:
        images = state.collections.get(collection)
        if not images.records([row_id]):
            raise _missing(images, row_id)
        return images.search(row_id, **options_of(document))

    return json_response(answer_document(await state.work.run(search), collection))


@router.put("/images", response_model=UpsertResponse, openapi_extra=json_body(UpsertRequest))
async def upsert_embeddings(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Store embeddings that you bring, all or none; a new collection gets their dim."""
    document = await read_document(request, UpsertRequest)
    ids = await state.work.embed(_upsert, state, collection, document)
    return json_response({"ids": ids})


def _upsert(state: AppState, name: str | None, document: UpsertRequest) -> list[int]:
    images = state.collections.open(name)
    is_new = not images.exists
    if is_new:
        dim = len(document.embeddings[0])
        images = state.db.collection(name or state.collections.default, dim=dim)
    try:
        return images.upsert(
            document.embeddings,
            names=document.names,
            ids=document.ids,
            attributes=document.attributes,
        )
    finally:
        if is_new:
            state.collections.forget(name)


@router.patch("/images", response_model=Changed, openapi_extra=json_body(AttributesRequest))
async def set_attributes(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Set the same attributes on several images, all or none; null removes one."""
    document = await read_document(request, AttributesRequest)
    return await _set(state, collection, document.ids, document.attributes)


@router.patch(
    "/images/{row_id}", response_model=Changed, openapi_extra=json_body(AttributesDocument)
)
async def set_attributes_of_one(
    request: Request, state: StateDep, row_id: RowId, collection: CollectionName = None
) -> Response:
    """Set attributes of an image; null removes one."""
    document = await read_document(request, AttributesDocument)
    return await _set(state, collection, [row_id], document.attributes)


async def _set(
    state: AppState, name: str | None, ids: Sequence[int], attributes: Attributes
) -> Response:
    def write() -> int:
        images = state.collections.get(name)
        return images.attributes.update(dict.fromkeys(ids, attributes))

    return json_response({"images": await state.work.run(write)})


def _missing(images: Collection, row_id: int) -> Problem:
    return Problem(404, f"there is no image {row_id} in {images.name}")
