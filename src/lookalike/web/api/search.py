"""Search: one query or several, as JSON, as an upload, or in the URL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import Matches
from lookalike.web.api.documents import is_chance, json_response, match_document
from lookalike.web.api.schemas import QueryDocument, SearchRequest, SearchResponse
from lookalike.web.problems import Problem
from lookalike.web.queries import needs_model, query_of, where_of
from lookalike.web.state import AppState, StateDep

router = APIRouter(tags=["search"])


@router.post("/search", response_model=SearchResponse)
async def search(request: Request, state: StateDep, collection: str | None = None) -> Response:
    """Return the stored images most similar to each query, best first."""
    document = SearchRequest.model_validate_json(await request.body())
    queries = _queries(document, state)
    run = state.work.embed if any(map(needs_model, queries)) else state.work.run
    found = await run(_search, state, collection, queries, document)
    results = [
        {
            "matches": [match_document(match, collection) for match in matches],
            "is_chance": is_chance(matches),
        }
        for matches in found
    ]
    return json_response({"results": results})


def _queries(document: SearchRequest, state: AppState) -> list[QueryDocument]:
    given = ([document.query] if document.query else []) + (document.queries or [])
    if not given or (document.query and document.queries):
        raise Problem(422, "give a query, or a list of queries")
    if len(given) > state.settings.limits.queries:
        most = state.settings.limits.queries
        raise Problem(422, f"{len(given)} queries are too many: send at most {most} at once")
    return given


def _search(
    state: AppState,
    collection: str | None,
    queries: Sequence[QueryDocument],
    document: SearchRequest,
) -> list[Matches]:
    images = state.collections.get(collection)
    asked = [query_of(each) for each in queries]
    return images.search_many(asked, **options_of(document, state))


def options_of(document: SearchRequest, state: AppState) -> dict[str, Any]:
    """Return the options of a request for `Collection.search`."""
    options = {
        name: getattr(document, name)
        for name in document.model_fields_set - {"query", "queries", "where"}
    }
    options["where"] = where_of(document.where)
    options["allow_private_urls"] = state.settings.allow_private_urls
    return options
