"""The OpenAPI document: /openapi.json and docs/openapi.json."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.responses import Response

from lookalike import __version__
from lookalike.web.api.contents import MODELS, REFERENCE
from lookalike.web.api.schemas import ProblemDocument
from lookalike.web.problems import MEDIA_TYPE

router = APIRouter(include_in_schema=False)

_ABOUT = """\
Search images by similarity, add and remove them, find duplicates and screen uploads: what the page
of `lookalike serve` does, for programs. The names are those of the Python API.

Send the token that `lookalike serve` prints as `Authorization: Bearer TOKEN`. Errors are problem
details (RFC 9457), of type application/problem+json.
"""
_TAGS = {
    "search": "Find stored images similar to images, words, vectors and mixes of these.",
    "images": "Browse, read, add, change and remove stored images.",
    "duplicates": "Find and remove duplicates.",
    "screen": "Compare images with a blocklist.",
    "collections": "Collections, their state, and files that failed.",
    "jobs": "Work that takes longer than a request, and its progress.",
    "server": "The state of the server.",
}
_PROBLEMS = {
    400: "The library refuses an argument.",
    401: "The token is missing or wrong.",
    403: "The token may only read, or the request comes from another site.",
    404: "There is no such collection, image, job or undo token.",
    408: "The request did not arrive in time.",
    409: "Another job of the collection is running.",
    413: "The request, an image or the number of images is too large.",
    415: "The request or a file in it is of another type.",
    421: "The Host header names another server.",
    422: "A member is missing, unknown or has a wrong value; or an image cannot be read.",
    503: "Too much is waiting, or the database does not answer: see Retry-After.",
}
_WITH_BODY = (408, 413, 415)
_OF_ALL = (400, 404, 422, 503)
_OPEN = "/health"


def document() -> dict[str, Any]:
    """Return the OpenAPI document; it is the same for every server of this version."""
    from lookalike.web import api

    app = FastAPI(generate_unique_id_function=lambda route: route.name)
    api.install(app)
    made = get_openapi(
        title="lookalike",
        version=__version__,
        openapi_version="3.1.0",
        summary="Image similarity search inside MySQL.",
        description=_ABOUT,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _describe(made["components"])
    for path, methods in made["paths"].items():
        for operation in methods.values():
            _complete(path, operation)
    return {**made, "security": [{"bearer": []}, {"cookie": []}]}


def _describe(components: dict[str, Any]) -> None:
    """Add what FastAPI does not know: requests, problems, and how clients show who they are."""
    schemas = components["schemas"]
    models: list[type[BaseModel]] = [*MODELS.values(), ProblemDocument]
    _, described = models_json_schema(
        [(model, "validation") for model in models], ref_template=REFERENCE
    )
    schemas |= described["$defs"]
    components["responses"] = {
        f"Problem{status}": _problem(text) for status, text in _PROBLEMS.items()
    }
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    components["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "lookalike_8000",
            "description": "Set by the page; 8000 is the port.",
        },
    }


def _complete(path: str, operation: dict[str, Any]) -> None:
    """Add the problems that an operation can answer."""
    responses = operation["responses"]
    if path == _OPEN:
        operation["security"] = []
        statuses: set[int] = {421}
    else:
        statuses = {401, 403, 421, *_OF_ALL, *(_WITH_BODY if "requestBody" in operation else ())}
    known = {int(status) for status in responses if status.isdigit()} & set(_PROBLEMS)
    for status in sorted(statuses | known):
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}


def _problem(text: str) -> dict[str, Any]:
    schema = {"$ref": REFERENCE.format(model="ProblemDocument")}
    return {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}


@router.get("/openapi.json")
async def read_document(request: Request) -> Response:
    """Send the OpenAPI document."""
    from lookalike.web.api.documents import json_response

    cached = getattr(request.app.state, "openapi", None)
    if cached is None:
        cached = request.app.state.openapi = json_response(document())
    return Response(cached.body, media_type="application/json")
