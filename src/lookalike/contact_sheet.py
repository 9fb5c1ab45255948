"""Contact sheets: a query and its matches as one HTML page that needs nothing else."""

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import jinja2
from PIL import Image

from lookalike.errors import ImageError
from lookalike.images import open_image
from lookalike.types import ImageRecord, Match
from lookalike.written import CONTACT_SHEET, Kind, written_file

_PREVIEW_PIXELS = 400
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Tile:
    """One picture of a sheet; without a preview, `missing` says why there is none."""

    name: str
    similarity: float | None = None
    preview: str | None = None
    missing: str = ""

    @property
    def is_query(self) -> bool:
        return self.similarity is None


def query_tile(name: str, image: Image.Image | None) -> Tile:
    """The tile of the query; image is None for a query in words."""
    return Tile(name, preview=preview_of(image) if image else None, missing="" if image else name)


def match_tiles(matches: Iterable[Match], records: Iterable[ImageRecord]) -> list[Tile]:
    """The tiles of matches, in their order, with previews of the files that are still there."""
    paths = {record.id: record.path for record in records}
    return [_match_tile(match, paths.get(match.id)) for match in matches]


def _match_tile(match: Match, path: Path | None) -> Tile:
    if path is None:
        return Tile(match.image_name, match.similarity, missing="only its embedding is stored")
    try:
        return Tile(match.image_name, match.similarity, preview_of(open_image(path)))
    except ImageError as error:
        return Tile(match.image_name, match.similarity, missing=str(error))


def preview_of(image: Image.Image, pixels: int = _PREVIEW_PIXELS) -> str:
    """Return a JPEG of at most so many pixels a side as a data URL."""
    small = image.copy()
    small.thumbnail((pixels, pixels))
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def write_contact_sheet(
    file: Path, title: str, tiles: Iterable[Tile], *, force: bool = False
) -> None:
    """Write the page. Raises InputError where the file cannot be written."""
    template = "contact_sheet.html"
    write_page(file, template, CONTACT_SHEET, force=force, title=title, tiles=list(tiles))


def write_page(
    file: Path, template: str, kind: Kind, *, force: bool = False, **context: object
) -> None:
    """Write an HTML page from a template. Raises InputError where the file cannot be written."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lookalike"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    page = environment.get_template(template).render(context)
    with written_file(file, kind, force=force, make_folders=True, errors="replace") as out:
        out.write(page)
