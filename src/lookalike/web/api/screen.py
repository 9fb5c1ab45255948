"""Screening: compare images with a collection, such as a blocklist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import Collection, Match
from lookalike.web.api.contents import either, form, json_body
from lookalike.web.api.documents import json_response, match_document
from lookalike.web.api.parameters import CollectionName
from lookalike.web.api.reading import FORMS, media_type_of, read_document, read_images
from lookalike.web.api.report_schemas import ScreenForm, ScreenRequest, ScreenResponse
from lookalike.web.api.search import check_results
from lookalike.web.problems import Problem
from lookalike.web.settings import Limits
from lookalike.web.state import AppState, StateDep
from lookalike.web.uploads import Upload

router = APIRouter(tags=["screen"])


@router.post(
    "/screen",
    response_model=ScreenResponse,
    openapi_extra=either(form(ScreenForm), json_body(ScreenRequest)),
)
async def screen(request: Request, state: StateDep, collection: CollectionName = None) -> Response:
    """Compare images with a collection: which resemble one of its images, and which are clean.

    Send images as a form; or ids, embeddings and URLs as JSON.
    """
    uploads: Sequence[Upload] = ()
    if media_type_of(request) in FORMS:
        sent = await read_images(request, state.settings.limits)
        document = ScreenRequest.model_validate(_options(sent.fields))
        uploads = sent.uploads
    else:
        document = await read_document(request, ScreenRequest)
    if not (uploads or document.urls or document.ids or document.vectors):
        raise Problem(422, "give images to screen: uploads, urls, ids or vectors")
    _check_number(document, len(uploads), state.settings.limits)
    run = state.work.of(embeds=bool(uploads), fetches=bool(document.urls))
    return json_response(await run(_screen, state, collection, document, uploads))


def _options(fields: Sequence[tuple[str, str]]) -> dict[str, str]:
    options = dict(fields)
    if len(options) < len(fields):
        raise Problem(422, "a field comes twice")
    if unknown := set(options) - {"k", "min_similarity"}:
        raise Problem(422, f"there is no field {min(unknown)[:80]!r} beside images")
    return options


def _check_number(document: ScreenRequest, uploads: int, limits: Limits) -> None:
    number, most = len(document.ids) + len(document.vectors), limits.queries
    check_results(number + uploads + len(document.urls), document.k, limits)
    if number > most:
        raise Problem(422, f"{number} ids and vectors are too many: send at most {most} at once")


def _screen(
    state: AppState, name: str | None, document: ScreenRequest, uploads: Sequence[Upload]
) -> dict[str, Any]:
    images = state.collections.get(name)
    least = document.min_similarity
    least = images.threshold.get() if least is None else least
    sources = [upload.content for upload in uploads] + list(document.urls)
    shown = [upload.name for upload in uploads] + list(document.urls)
    results = []
    found = images.screen(
        sources,
        min_similarity=least,
        k=document.k,
        allow_private_urls=state.settings.allow_private_urls,
    )
    for source, screening in zip(shown, found, strict=True):
        results.append(_document(source, screening.matches, name, screening.error))
    for asked, matches in _stored(images, document, least):
        results.append(_document(asked, matches, name, None))
    return {"results": results, "min_similarity": least}


def _stored(
    images: Collection, document: ScreenRequest, least: float
) -> list[tuple[int | None, Sequence[Match]]]:
    """Return the matches of what needs no model; a stored image does not match itself."""
    queries: list[Any] = [*document.ids, *document.vectors]
    if not queries:
        return []
    found = images.search_many(queries, k=document.k, min_similarity=least)
    shown = [*document.ids, *(None for _ in document.vectors)]
    return list(zip(shown, found, strict=True))


def _document(
    source: str | int | None, matches: Sequence[Match], name: str | None, error: str | None
) -> dict[str, Any]:
    return {
        "image": source,
        "is_clean": not matches and error is None,
        "matches": [match_document(match, name) for match in matches],
        "error": error,
    }
