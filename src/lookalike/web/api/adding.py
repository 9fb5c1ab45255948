"""Add images: uploads, or files and folders of the server that its owner has allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import AddReport
from lookalike.web.adders import Added
from lookalike.web.api.contents import BUSY, either, form, json_body
from lookalike.web.api.documents import json_response, links_of
from lookalike.web.api.image_schemas import AddForm, AddResponse, PathsRequest
from lookalike.web.api.jobs import job_response
from lookalike.web.api.parameters import CollectionName
from lookalike.web.api.reading import media_type_of, read_document, read_images
from lookalike.web.api.report_schemas import JobDocument
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.roots import allowed_paths
from lookalike.web.state import AppState, StateDep
from lookalike.web.uploads import Upload

router = APIRouter(tags=["images"])


@router.post(
    "/images",
    status_code=201,
    response_model=AddResponse,
    responses=BUSY | {202: {"model": JobDocument, "description": "A job adds the paths."}},
    openapi_extra=either(form(AddForm), json_body(PathsRequest)),
)
async def add_images(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Add uploaded images; or, as JSON, files and folders of the server, by a job.

    Uploads are kept in the server's folder for uploads. The name of a file is only a hint. An image
    that is there already is not added twice.
    """
    if media_type_of(request) == "multipart/form-data":
        return await _add_uploads(request, state, collection)
    document = await read_document(request, PathsRequest)
    paths = await state.work.run(allowed_paths, state.settings.roots, document.paths)
    return await state.work.run(_start, state, collection, paths, document)


async def _add_uploads(request: Request, state: AppState, collection: str | None) -> Response:
    sent = await read_images(request, state.settings.limits)
    if sent.fields:
        raise Problem(422, f"there is no field {sent.fields[0][0][:80]!r}: send image alone")
    names = [upload.name for upload in sent.uploads]
    waiting = await state.work.run(_keep, state, collection, sent.uploads)
    del sent  # the images are on disk, and others may wait for their turn
    added = await asyncio.gather(*map(asyncio.wrap_future, waiting))
    if all(each.id is None for each in added):
        errors = [
            {"where": name, "problem": each.error or ""}
            for name, each in zip(names, added, strict=True)
        ]
        raise Problem(422, f"{names[0]}: {added[0].error}", errors=errors)
    documents = [_document(name, each, collection) for name, each in zip(names, added, strict=True)]
    return json_response({"images": documents}, 201)


def _keep(state: AppState, collection: str | None, uploads: Sequence[Upload]) -> list[Any]:
    adder = state.adders.get(collection)
    return [adder.add(upload) for upload in uploads]


def _document(name: str, added: Added, collection: str | None) -> dict[str, Any]:
    links = {} if added.id is None else links_of(added.id, collection)
    return {
        "name": name,
        "id": added.id,
        "image_name": added.image_name,
        "error": added.error,
        "links": links,
    }


def _start(
    state: AppState, name: str | None, paths: Sequence[Path], document: PathsRequest
) -> Response:
    state.collections.forget_gone()
    images = state.collections.open(name)
    options = document.model_dump(exclude={"paths"})

    def work(job: Job) -> AddReport:
        is_new = not images.exists
        try:
            return images.add(*paths, **options, progress=partial(job.report, "adding images"))
        finally:
            if is_new:
                state.collections.forget(name)

    what = ", ".join(map(str, paths))
    job = state.jobs.start("add", images.name, work, what=what)
    return job_response(job, 202)
