"""What the library returns, as documents of the API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from lookalike import Match

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


def json_response(document: Any, status: int = 200) -> Response:
    """Return a document; what is not UTF-8 in a name is escaped as in `search --json`."""
    text = json.dumps(document, default=_plain, separators=(",", ":"))
    return Response(text, status, media_type="application/json")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return value.tolist() if hasattr(value, "tolist") else str(value)
