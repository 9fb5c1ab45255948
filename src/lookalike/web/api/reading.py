"""Read the requests of the API: JSON documents, forms with images, and parameters of URLs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel

from lookalike.web.api.schemas import SearchRequest
from lookalike.web.problems import Problem
from lookalike.web.settings import Limits
from lookalike.web.uploads import Form, Upload, read_form

D = TypeVar("D", bound=BaseModel)

_TERMS = ("id", "name", "text", "url")
_SEVERAL = ("where", "include")
_NOT_OPTIONS = ("collection", "token")
FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


def media_type_of(request: Request) -> str:
    """Return the type of a request's body, in lower case; "" if it is not told."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def read_document(request: Request, model: type[D]) -> D:
    """Return a JSON document.

    Raises Problem 415 for another type, and what pydantic raises for an invalid one.
    """
    kind = media_type_of(request)
    if kind not in ("", "application/json") and not kind.endswith("+json"):
        raise Problem(415, f"the request is {kind[:80]}; send application/json")
    return model.model_validate_json(await request.body(), strict=True)


async def read_search(request: Request, limits: Limits) -> tuple[SearchRequest, list[Upload]]:
    """Return a search of a JSON document or of a form, and the images that came with it."""
    if media_type_of(request) not in FORMS:
        return await read_document(request, SearchRequest), []
    form = await read_form(request, limits)
    document = form.all("request")
    if not document:
        return search_of(form.fields, len(form.uploads)), form.uploads
    if len(form.fields) > 1:
        raise Problem(422, "a form has either the field request, or a field for each option")
    return SearchRequest.model_validate_json(document[0], strict=True), form.uploads


def search_of(fields: Sequence[tuple[str, str]], n_images: int = 0) -> SearchRequest:
    """Return the search of the fields of a form, or of a URL.

    All its terms and images together are one query: their mean.
    """
    terms: list[dict[str, Any]] = [{"image": place} for place in range(n_images)]
    options: dict[str, Any] = {}
    for name, text in fields:
        if name in _NOT_OPTIONS:
            continue
        if name in _TERMS:
            terms.append({name: text})
        elif name == "vector":
            terms.append({name: value_of(name, text)})
        elif name in _SEVERAL:
            found = options.setdefault(name, [])
            value = value_of(name, text) if text[:1] in ("[", "{") else text
            found.extend(value) if isinstance(value, list) else found.append(value)
        elif name in options:
            raise Problem(422, f"{name} comes twice")
        else:
            options[name] = text
    if "where" in options and len(options["where"]) == 1:
        options["where"] = options["where"][0]
    return SearchRequest.model_validate({**options, "query": _mean(terms)})


def _mean(terms: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if len(terms) < 2:
        return terms[0] if terms else None
    return {"mix": [{**term, "weight": 1 / len(terms)} for term in terms]}


def value_of(name: str, text: str) -> Any:
    """Return the value of a field that holds JSON. Raises Problem 422."""
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise Problem(422, f"{name} is not JSON: {error}") from error


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not a JSON value")


async def read_images(request: Request, limits: Limits) -> Form:
    """Return a form with at least one image. Raises Problem 422 if there is none."""
    form = await read_form(request, limits)
    if not form.uploads:
        raise Problem(422, "send the images as multipart/form-data, in fields named image")
    return form
