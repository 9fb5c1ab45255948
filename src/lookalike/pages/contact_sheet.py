"""Contact sheets: a query and its matches as one self-contained HTML page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.core.output_files import CONTACT_SHEET
from lookalike.core.paths import shortened
from lookalike.core.types import Match
from lookalike.images.decode import open_image
from lookalike.pages.page import PREVIEW_PIXELS, preview_of, reason, write_page

_FOLDER_WIDTH = 44


@dataclass(frozen=True)
class QueryPart:
    """A term of a query.

    path: of its file, if any. image: None for text, or if `missing` explains why there is none.
    """

    name: str
    weight: float
    path: Path | None = None
    image: Image.Image | None = None
    missing: str = ""
    is_words: bool = False


@dataclass(frozen=True, slots=True)
class Tile:
    """One image of a sheet; without a preview, `missing` explains why.

    label: the role of a part of the query; "" for a match. path: of the file; `folder` is the text
    shown for its folder.
    """

    name: str
    label: str = ""
    similarity: float | None = None
    level: str = ""
    path: Path | None = None
    folder: str = ""
    preview: str | None = None
    missing: str = ""
    is_words: bool = False

    @property
    def link(self) -> str:
        """Return the URL of the file; "" if there is none."""
        return self.path.as_uri() if self.path and self.path.is_absolute() else ""


def query_tile(part: QueryPart) -> Tile:
    """Return the tile of a part of the query."""
    label, weight = "not" if part.weight < 0 else "query", abs(part.weight)
    (folder,) = _folders([part.path])
    return Tile(
        part.path.name if part.path else part.name,
        label=label if weight == 1 else f"{label}, weight {weight:g}",
        path=part.path,
        folder=folder,
        preview=preview_of(part.image) if part.image else None,
        missing=part.missing,
        is_words=part.is_words,
    )


def match_tiles(
    matches: Sequence[Match], paths: Sequence[Path | None], *, pixels: int = PREVIEW_PIXELS
) -> list[Tile]:
    """Return the tiles of matches, in order, with previews of their files that still exist."""
    return [
        _match_tile(match, path, folder, pixels)
        for match, path, folder in zip(matches, paths, _folders(paths), strict=True)
    ]


def _match_tile(match: Match, path: Path | None, folder: str, pixels: int) -> Tile:
    preview, missing = None, ""
    if path is None:
        missing = "only its embedding is stored"
    else:
        try:
            preview = preview_of(open_image(path), pixels)
        except ImageError as error:
            missing = reason(error, path)
    return Tile(
        path.name if path else match.image_name,
        similarity=match.similarity,
        level=level_of(match),
        path=path,
        folder=folder,
        preview=preview,
        missing=missing,
    )


def level_of(match: Match) -> str:
    """Return the sheet's text for a match's level; "" if unknown."""
    return match.level or ""


def _folders(paths: Sequence[Path | None]) -> list[str]:
    """Return the text shown for each path's folder; "" for None."""
    short = iter(shortened([str(path.parent) for path in paths if path], _FOLDER_WIDTH))
    return [next(short) if path else "" for path in paths]


def write_contact_sheet(
    file: Path, title: str, tiles: Iterable[Tile], *, force: bool = False
) -> None:
    """Write the page. Raises InputError if the file cannot be written."""
    template = "contact_sheet.html"
    write_page(file, template, CONTACT_SHEET, force=force, title=title, tiles=list(tiles))
