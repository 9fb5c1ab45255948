"""Write self-contained HTML pages: templates, image previews."""

import base64
from io import BytesIO
from pathlib import Path

import jinja2
from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.core.output_files import Kind, written_file

PREVIEW_PIXELS = 400
_QUALITY = 80


def preview_of(image: Image.Image, pixels: int = PREVIEW_PIXELS) -> str:
    """Return a JPEG, at most this many pixels per side, as a data URL."""
    small = image.copy()
    small.thumbnail((pixels, pixels))
    buffer = BytesIO()
    small.save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def reason(error: ImageError, path: Path) -> str:
    """Return why a file cannot be shown, without its path."""
    return str(error).removeprefix(f"{path}: ")


def render(template: str, **context: object) -> str:
    """Return the HTML that a template makes."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("lookalike.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(context)


def write_page(
    file: Path, template: str, kind: Kind, *, force: bool = False, **context: object
) -> None:
    """Write an HTML page from a template. Raises InputError if the file cannot be written."""
    page = render(template, **context)
    with written_file(file, kind, force=force, make_folders=True, errors="replace") as out:
        out.write(page)
