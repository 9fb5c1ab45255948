"""What routes that read their requests themselves say of them in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

BUSY: dict[int | str, dict[str, Any]] = {409: {"description": "See ProblemDocument."}}
"""Of routes that begin jobs."""
REFERENCE = "#/components/schemas/{model}"
MODELS: dict[str, type[BaseModel]] = {}
"""Models of requests, by name; the document describes each once."""


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a route says of a JSON request."""
    return {"requestBody": {"required": True, "content": {"application/json": _content(model)}}}


def either(*bodies: dict[str, Any]) -> dict[str, Any]:
    """Return what a route says that takes several types of requests."""
    content: dict[str, Any] = {}
    for body in bodies:
        content |= body["requestBody"]["content"]
    return {"requestBody": {"required": True, "content": content}}


def form(model: type[BaseModel]) -> dict[str, Any]:
    """Return what a route says of a form with images."""
    return {"requestBody": {"required": True, "content": {"multipart/form-data": _content(model)}}}


def parameters(model: type[BaseModel], *left_out: str) -> dict[str, Any]:
    """Return what a route says of parameters in the URL."""
    schema = model.model_json_schema(ref_template=REFERENCE)
    return {
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "schema": {key: value for key, value in each.items() if key != "description"},
                "description": each.get("description", ""),
            }
            for name, each in schema["properties"].items()
            if name not in left_out
        ]
    }


def _content(model: type[BaseModel]) -> dict[str, Any]:
    MODELS[model.__name__] = model
    return {"schema": {"$ref": REFERENCE.format(model=model.__name__)}}
