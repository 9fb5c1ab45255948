"""Images as the grid shows them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from lookalike import Item, Match
from lookalike.core.remote import RemotePath
from lookalike.web.state import AppState


@dataclass(frozen=True, slots=True)
class Tile:
    """An image of the grid.

    Attributes:
        id: Row id.
        name: Name of its file or its row.
        path: Its file, if any.
        parameters: Of the URLs of its pictures: the collection and a version of the file.
        collection: The parameter that names the collection; "" for the default.
        width: In any unit; None if unknown.
        height: In the same unit.
        similarity: To the query, if there is one.
        level: "strong", "weak", "chance" or None.
    """

    id: int
    name: str
    path: Path | None
    parameters: str
    collection: str = ""
    width: int | None = None
    height: int | None = None
    similarity: float | None = None
    level: str | None = None

    @property
    def thumbnail(self) -> str:
        """The URL of a small picture, "" without a file."""
        return self._url("thumbnail")

    @property
    def preview(self) -> str:
        """The URL of a large picture, "" without a file."""
        return self._url("preview")

    @property
    def file(self) -> str:
        """The URL of the file, "" without one."""
        return self._url("file", named=self.collection)

    @property
    def download(self) -> str:
        """The URL that saves the file, "" without one."""
        named = "&".join(filter(None, [self.collection, "download=true"]))
        return self._url("file", named=named)

    def _url(self, what: str, *, named: str | None = None) -> str:
        parameters = self.parameters if named is None else named
        if not self.path:
            return ""
        return f"/api/v1/images/{self.id}/{what}" + (f"?{parameters}" if parameters else "")

    @property
    def meaning(self) -> str:
        """What its similarity means, for people who do not see the colour."""
        words = {"strong": "strong match", "weak": "weak match", "chance": "no more than chance"}
        return words.get(self.level or "", "")


def tiles_of(state: AppState, found: Sequence[Match | Item], *, collection: str = "") -> list[Tile]:
    """Return the tiles of results or stored images, in order.

    Args:
        state: Knows the sizes of thumbnails.
        found: With attributes, among which may be the sizes of images.
        collection: What URLs name; "" for the default.
    """
    return [_tile(state, each, collection) for each in found]


def _tile(state: AppState, found: Match | Item, collection: str) -> Tile:
    named = {"collection": collection} if collection else {}
    size = _size_in(found.attributes)
    status = _status(found.path)
    if status is not None and found.path is not None:
        named["v"] = f"{status.st_mtime_ns:x}-{status.st_size:x}"
        made = state.thumbnails.size_of(found.path, status.st_mtime_ns, status.st_size)
        size = made or size
    width, height = size or (None, None)
    return Tile(
        found.id,
        found.path.name if found.path else found.image_name,
        found.path,
        urlencode(named),
        urlencode({"collection": collection} if collection else {}),
        width,
        height,
        getattr(found, "similarity", None),
        getattr(found, "level", None),
    )


def _status(path: Path | None) -> os.stat_result | None:
    """Return what tells whether a thumbnail is current; storage elsewhere is not asked for each."""
    if isinstance(path, RemotePath):
        return None
    try:
        return path.stat() if path else None
    except (OSError, ValueError):  # it is gone, or cannot be a path here
        return None


def _size_in(attributes: Mapping[str, Any] | None) -> tuple[int, int] | None:
    """Return the size that facts tell."""
    known = attributes or {}
    width, height = known.get("width"), known.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None
