"""Search: one query or several, as JSON, as a form with images, or in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import Matches
from lookalike.web.api.contents import either, form, json_body, parameters
from lookalike.web.api.documents import answer_document, json_response
from lookalike.web.api.parameters import CollectionName
from lookalike.web.api.reading import read_search, search_of
from lookalike.web.api.schemas import (
    QueryDocument,
    SearchForm,
    SearchParameters,
    SearchRequest,
    SearchResponse,
)
from lookalike.web.problems import Problem
from lookalike.web.queries import has_url, images_of, needs_model, query_of, terms_of, where_of
from lookalike.web.settings import Limits
from lookalike.web.state import AppState, StateDep
from lookalike.web.uploads import Upload

router = APIRouter(tags=["search"])


@router.post(
    "/search",
    response_model=SearchResponse,
    openapi_extra=either(json_body(SearchRequest), form(SearchForm)),
)
async def search(request: Request, state: StateDep, collection: CollectionName = None) -> Response:
    """Return the stored images most similar to each query, best first.

    As a form, `image` can be repeated, as can text, id, name and url: all together are one query,
    their mean. For several queries or mixes with images, send the JSON document in the field
    `request` and the images beside it; `{"image": 0}` is the first.
    """
    document, uploads = await read_search(request, state.settings.limits)
    return await _answer(state, collection, document, uploads)


@router.get("/search", response_model=SearchResponse, openapi_extra=parameters(SearchParameters))
async def search_by_url(
    request: Request, state: StateDep, collection: CollectionName = None
) -> Response:
    """Return the stored images most similar to the query in the URL, best first."""
    document = search_of(request.query_params.multi_items())
    return await _answer(state, collection, document, [])


async def _answer(
    state: AppState, collection: str | None, document: SearchRequest, uploads: Sequence[Upload]
) -> Response:
    queries = _queries(document, state)
    _check_uploads(document, queries, uploads)
    run = state.work.of(embeds=any(map(needs_model, queries)), fetches=any(map(has_url, queries)))
    found = await run(_search, state, collection, queries, document, uploads)
    return json_response({"results": [answer_document(each, collection) for each in found]})


def _queries(document: SearchRequest, state: AppState) -> list[QueryDocument]:
    given = ([document.query] if document.query else []) + (document.queries or [])
    if not given or (document.query and document.queries):
        raise Problem(422, "give a query, or a list of queries")
    _check_number(given, document.k, state.settings.limits)
    return given


def _check_number(queries: Sequence[QueryDocument], k: int, limits: Limits) -> None:
    """Raise Problem 422 for more than one request may ask for."""
    terms = [term for query in queries for term in terms_of(query)]
    check_results(len(queries), k, limits)
    for number, most, what in (
        (len(queries), limits.queries, "queries"),
        (len(terms), limits.terms, "terms"),
        (sum(term.url is not None for term in terms), limits.images, "URLs"),
    ):
        if number > most:
            raise Problem(422, f"{number:,} {what} are too many: send at most {most:,} at once")


def check_results(queries: int, k: int, limits: Limits) -> None:
    """Raise Problem 422 if a request asks for too many results."""
    if queries * k > limits.results:
        raise Problem(
            422,
            f"{queries:,} queries for {k:,} results each are too many: ask for at most "
            f"{limits.results:,} results at once",
        )


def _check_uploads(
    document: SearchRequest, queries: Sequence[QueryDocument], uploads: Sequence[Upload]
) -> None:
    """Raise Problem 422 for what would be ignored."""
    used = {place for query in queries for place in images_of(query)}
    if unused := set(range(len(uploads))) - used:
        raise Problem(422, f"no query names image {min(unused)}: write {{'image': {min(unused)}}}")
    if document.exclude_self and used:
        raise Problem(
            422, "exclude_self knows stored images only: leave it out, or search by id or name"
        )


def _search(
    state: AppState,
    collection: str | None,
    queries: Sequence[QueryDocument],
    document: SearchRequest,
    uploads: Sequence[Upload],
) -> list[Matches]:
    images = state.collections.get(collection)
    pictures = state.pictures(uploads)
    asked = [query_of(each, pictures) for each in queries]
    return images.search_many(asked, **options_of(document))


def options_of(document: SearchRequest) -> dict[str, Any]:
    """Return the options of a request for `Collection.search`."""
    options = {
        name: getattr(document, name)
        for name in document.model_fields_set - {"query", "queries", "where"}
    }
    options["where"] = where_of(document.where)
    return options
