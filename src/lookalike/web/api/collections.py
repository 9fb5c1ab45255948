"""Collections: which there are, their state, and what could not be added."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from lookalike.web.api.documents import json_response, plain
from lookalike.web.api.parameters import NameInPath
from lookalike.web.api.report_schemas import CollectionList, FailureList, StatusDocument
from lookalike.web.state import StateDep

router = APIRouter(tags=["collections"])


@router.get("/collections", response_model=CollectionList)
async def read_collections(state: StateDep) -> Response:
    """Return all collections of the database, by name."""

    def read() -> Response:
        held = state.collections.held()
        documents = []
        for status in state.db.status():
            document = plain(status)
            document["held"] = plain(held.get(status.name))
            documents.append(document)
        return json_response({"collections": documents})

    return await state.work.run(read)


@router.get("/collections/{name}", response_model=StatusDocument)
async def read_collection(state: StateDep, name: NameInPath) -> Response:
    """Return the state of a collection, and the result of its last `add`."""

    def read() -> Response:
        return json_response(plain(state.collections.get(name).status()))

    return await state.work.run(read)


@router.get("/collections/{name}/failures", response_model=FailureList)
async def read_failures(state: StateDep, name: NameInPath) -> Response:
    """Return the files that could not be added, and have not been since, by path."""

    def read() -> Response:
        failures = state.collections.get(name).failures()
        return json_response({"failures": plain(failures)})

    return await state.work.run(read)
