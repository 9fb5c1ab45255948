"""Images as the grid shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike import Collection, Item, Match, StoredFile
from lookalike.web.state import AppState


@dataclass(frozen=True, slots=True)
class Tile:
    """An image of the grid.

    Attributes:
        id: Row id.
        name: Name of the row or its file.
        version: Changes with the file, for the URL of the thumbnail; "" without a file.
        width: Of the thumbnail or the image, in any unit; None if unknown.
        height: In the same unit.
        similarity: To the query, if there is one.
        level: "strong", "weak", "chance" or None.
    """

    id: int
    name: str
    version: str
    width: int | None = None
    height: int | None = None
    similarity: float | None = None
    level: str | None = None

    @property
    def thumbnail(self) -> str:
        """The URL of the thumbnail, "" without a file."""
        return f"/images/{self.id}/thumbnail?v={self.version}" if self.version else ""

    @property
    def meaning(self) -> str:
        """What its similarity means, for people who do not see the colour."""
        words = {"strong": "strong match", "weak": "weak match", "chance": "no more than chance"}
        return words.get(self.level or "", "")


def tiles_of(
    state: AppState, collection: Collection, found: Sequence[Match | Item]
) -> list[Tile]:
    """Return the tiles of results or stored images, in order."""
    files = collection.files([each.id for each in found])
    return [_tile(state, each, files.get(each.id)) for each in found]


def tile_of(state: AppState, collection: Collection, row_id: int) -> Tile | None:
    """Return the tile of a stored image; None if there is none."""
    found = collection.get([row_id], include=["attributes"])
    return tiles_of(state, collection, found)[0] if found else None


def _tile(state: AppState, found: Match | Item, file: StoredFile | None) -> Tile:
    width, height = _size(state, found.attributes, file)
    return Tile(
        found.id,
        file.path.name if file else found.image_name,
        version_of(file) if file else "",
        width,
        height,
        getattr(found, "similarity", None),
        getattr(found, "level", None),
    )


def version_of(file: StoredFile) -> str:
    """Return what changes when a file does."""
    return f"{int(file.modified.timestamp() * 1000):x}-{file.size:x}"


def _size(
    state: AppState, attributes: Mapping[str, Any] | None, file: StoredFile | None
) -> tuple[int | None, int | None]:
    known = attributes or {}
    width, height = known.get("width"), known.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None, None
