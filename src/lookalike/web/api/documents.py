"""What the library returns, as documents of the API."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response

from lookalike import Item, Match

if TYPE_CHECKING:
    from lookalike import StoredFile

PREFIX = "/api/v1"


def links_of(row_id: int, collection: str | None) -> dict[str, str]:
    """Return the URLs of a stored image's file and thumbnail."""
    query = f"?{urlencode({'collection': collection})}" if collection else ""
    return {kind: f"{PREFIX}/images/{row_id}/{kind}{query}" for kind in ("file", "thumbnail")}


def match_document(match: Match, collection: str | None) -> dict[str, Any]:
    """Return a match; collection: its name unless it is the default."""
    document = {
        "id": match.id,
        "image_name": match.image_name,
        "similarity": match.similarity,
        "percentile": match.percentile,
        "level": match.level,
        "path": None if match.path is None else str(match.path),
        "attributes": match.attributes,
        "links": {} if match.path is None else links_of(match.id, collection),
    }
    if match.key is not None:
        document["key"] = match.key
    return document


def is_chance(matches: Sequence[Match]) -> bool | None:
    """Whether all results are chance; None if unknown."""
    known = [match.level == "chance" for match in matches if match.level]
    return all(known) if known else None


def answer_document(matches: Sequence[Match], collection: str | None) -> dict[str, Any]:
    """Return the matches of one query; collection: its name unless it is the default."""
    found = [match_document(match, collection) for match in matches]
    return {"matches": found, "is_chance": is_chance(matches)}


def item_document(
    item: Item, collection: str | None, include: Sequence[str], file: StoredFile | None = None
) -> dict[str, Any]:
    """Return a stored image; include: which of `embedding` and `attributes` to tell."""
    embedding = None if item.embedding is None else item.embedding.tolist()
    return {
        "id": item.id,
        "image_name": item.image_name,
        "path": None if item.path is None else str(item.path),
        "attributes": item.attributes if "attributes" in include else None,
        "embedding": embedding,
        "file": None if file is None else plain(file),
        "links": {} if item.path is None else links_of(item.id, collection),
    }


def plain(value: Any) -> Any:
    """Return a value of the library, such as a report, as a value of JSON."""
    if is_dataclass(value):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value) if isinstance(value, PurePath) else value


def json_response(document: Any, status: int = 200) -> Response:
    """Return a document as an answer."""
    return Response(text_of(document), status, media_type="application/json")


def text_of(document: Any) -> str:
    """Return a document as JSON; what is not UTF-8 in a name is escaped as in `search --json`."""
    return json.dumps(document, default=_plain, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.tolist() if hasattr(value, "tolist") else str(value)
