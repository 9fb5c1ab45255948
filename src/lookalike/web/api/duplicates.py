"""Duplicates: find them, mark images as distinct, and move files to the trash."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lookalike import DuplicateGroup, DuplicateImage
from lookalike.web.api.contents import BUSY, json_body
from lookalike.web.api.documents import json_response, links_of, plain
from lookalike.web.api.image_schemas import Changed
from lookalike.web.api.jobs import job_document, job_response
from lookalike.web.api.parameters import CollectionName
from lookalike.web.api.reading import read_document
from lookalike.web.api.report_schemas import (
    DistinctRequest,
    DuplicatesRequest,
    DuplicatesResponse,
    JobDocument,
    TrashRequest,
    TrashResponse,
)
from lookalike.web.duplicates import remove_images
from lookalike.web.finding import FoundDuplicates, start_find
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep

router = APIRouter(tags=["duplicates"])

_DISTINCT = json_body(DistinctRequest)


@router.post(
    "/duplicates",
    status_code=202,
    response_model=JobDocument,
    responses=BUSY,
    openapi_extra=json_body(DuplicatesRequest),
)
async def find_duplicates(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Begin to find groups of images that resemble one another; a job does it."""
    document = await read_document(request, DuplicatesRequest)
    options = document.model_dump(exclude_unset=True)
    return job_response(await state.work.run(_start, state, collection, options), 202)


def _start(state: AppState, name: str | None, options: dict[str, Any]) -> Job:
    return start_find(state, name, **options)


@router.get("/duplicates", response_model=DuplicatesResponse)
async def read_duplicates(
    state: StateDep,
    collection: CollectionName = None,
    k: Annotated[int, Query(description="Number of groups.", ge=1, le=1000)] = 100,
    offset: Annotated[int, Query(description="Number of groups to skip.", ge=0, lt=2**31)] = 0,
) -> Response:
    """Return the groups that the last search found, and that nobody has decided on since."""

    def read() -> Response:
        job = _last(state, collection)
        found: FoundDuplicates | None = job.result
        document: dict[str, Any] = {"job": job_document(job), "groups": None, "total": None}
        if found is not None:
            groups = [each.group for each in found.open()]
            document["total"] = len(groups)
            page = groups[offset : offset + k]
            document["groups"] = [_group_document(group, collection) for group in page]
        return json_response(document)

    return await state.work.run(read)


def _last(state: AppState, name: str | None) -> Job:
    images = state.collections.get(name)
    job = state.jobs.latest("duplicates", images.name)
    if job is None:
        raise Problem(
            404, f"the duplicates of {images.name} have not been searched: POST to this URL first"
        )
    return job


@router.post("/duplicates/distinct", response_model=Changed, openapi_extra=_DISTINCT)
async def mark_distinct(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Record that images are not duplicates of one another: they never share a group again."""
    document = await read_document(request, DistinctRequest)

    def mark() -> int:
        images = state.collections.get(collection)
        return len(images.duplicates.mark_distinct(*document.ids))

    return json_response({"images": await state.work.run(mark)})


@router.delete("/duplicates/distinct", response_model=Changed, openapi_extra=_DISTINCT)
async def unmark_distinct(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Delete the records that images are distinct; `images` is the number of pairs."""
    document = await read_document(request, DistinctRequest)

    def unmark() -> int:
        images = state.collections.get(collection)
        return images.duplicates.unmark_distinct(*document.ids)

    return json_response({"images": await state.work.run(unmark)})


@router.post(
    "/duplicates/trash",
    response_model=TrashResponse,
    responses=BUSY,
    openapi_extra=json_body(TrashRequest),
)
async def trash_duplicates(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Move the files of some images to the system's trash, and remove these from the collection.

    Each must be in a group of the last search, of which at least one image stays. A file stays if
    it or the one to keep has changed since.
    """
    document = await read_document(request, TrashRequest)
    return json_response(await state.work.run(_trash, state, collection, document.ids))


def _trash(state: AppState, name: str | None, ids: Sequence[int]) -> dict[str, Any]:
    images = state.collections.get(name)
    found: FoundDuplicates | None = _last(state, name).result
    if found is None:
        raise Problem(409, "the search for duplicates has no result: wait for its job")
    report, token = remove_images(state, images, found, frozenset(ids))
    return {
        "removed": [file.id for file in report.removed],
        "size": report.size,
        "failed": plain(report.failed),
        "without_file": list(report.without_file),
        "undo": token or None,
    }


def _group_document(group: DuplicateGroup, collection: str | None) -> dict[str, Any]:
    return {
        "name": group.name,
        "number": group.number,
        "tier": group.tier,
        "keep": _image_document(group.keep, collection),
        "duplicates": [_image_document(image, collection) for image in group.duplicates],
    }


def _image_document(image: DuplicateImage, collection: str | None) -> dict[str, Any]:
    links = {} if image.path is None else links_of(image.id, collection)
    document: dict[str, Any] = plain(image)
    return {**document, "links": links}
