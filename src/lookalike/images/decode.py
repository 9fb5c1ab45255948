"""Decode image files into upright RGB, and hash them."""

import errno
import hashlib
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import ExifTags, Image, UnidentifiedImageError

from lookalike.core.errors import ImageError
from lookalike.core.remote import RemotePath
from lookalike.core.shared import SharedState
from lookalike.images.raw import is_raw, opened_raw

MAX_PIXELS = 200_000_000
"""Larger images are refused before decoding: at 4 bytes per pixel this is 800 MB."""

FORMATS = (
    *("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF", "HEIF"),
    *("ICO", "JPEG2000", "PPM", "PSD", "QOI"),
)
"""Supported formats, whatever the file is named.

EPS is excluded because Pillow runs Ghostscript for it; so are formats that their first bytes do not
identify.
"""

pillow_heif.register_heif_opener()

_DRAFT_FACTOR = 3
"""A JPEG draft keeps at least this many times the requested pixels per side.

With 3, embeddings have a cosine above 0.999 to those of a full decode; with 2 they do not.
"""

BAND_PIXELS = 4_000_000
"""Pixels are converted in bands, so that a large image is not in memory several times."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The transposition that makes an image upright, by EXIF orientation."""


def open_file(path: Path) -> BufferedReader:
    """Open a regular file, or a copy of a remote one; pipes and devices may never end: refused.

    Raises OSError.
    """
    if isinstance(path, RemotePath):
        return path.open_fetched()
    # Without O_NONBLOCK, opening a pipe would block until something writes to it.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return file


def content_hash(path: Path) -> bytes:
    """Return the SHA-256 of the file's bytes (32 bytes). Raises ImageError."""
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error


def open_image(
    source: Path | bytes | BinaryIO,
    *,
    name: str | None = None,
    short_side: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Decode an image file, or its bytes, into an upright RGB image.

    short_side: the pixels that its short side will be scaled to. A large JPEG is then decoded,
    faster, at 1/2, 1/4 or 1/8 of its size, if that keeps three times as many pixels per side.

    A RAW file gives its preview, or its mosaic at half size: whichever has enough pixels.

    EXIF orientation is applied, transparency is put on white, 16 bits become 8, and an animation
    gives its first frame. Raises ImageError, naming the file, if it is not an image in one of the
    FORMATS or a RAW file, is damaged, or has more than `max_pixels` pixels: these are not decoded.
    """
    label = name or (str(source) if isinstance(source, Path) else "the image")
    with explaining(label, max_pixels):
        if isinstance(source, Path):
            with open_file(source) as file:
                return _decode(file, label, short_side, max_pixels)
        opened = BytesIO(source) if isinstance(source, bytes) else source
        return _decode(opened, label, short_side, max_pixels)


def image_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels of an image that can be decoded. Raises ImageError."""
    with explaining(str(path)), open_file(path) as file:
        if is_raw(file):
            with opened_raw(file, str(path)) as raw:
                return raw.size
        with pillow_settings(), Image.open(file, formats=FORMATS) as image:
            return image.size


@contextmanager
def explaining(label: str, max_pixels: int = MAX_PIXELS) -> Iterator[None]:
    """Turn any decoding error into an ImageError that names the image."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{label}: {_too_large(None, max_pixels)}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{label}: not an image that can be read") from error
    except MemoryError as error:
        raise ImageError(f"{label}: not enough memory to decode it") from error
    # Decoders raise almost any exception on damaged files; none may end a run over a folder.
    except Exception as error:
        raise ImageError(f"{label}: {_reason(error)}") from error


def pillow_settings() -> AbstractContextManager[None]:
    """Set Pillow's pixel limit to ours and suppress its warnings while images are opened.

    Both settings are process-wide; outside the block they are the host program's.
    """
    return _PILLOW_SETTINGS.held()


def _change_pillow() -> Callable[[], object]:
    # catch_warnings blocks must not overlap, but those of several threads would.
    stack = ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    stack.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    if Image.MAX_IMAGE_PIXELS is not None:
        # Pillow refuses images above twice its limit, which by default is slightly below ours.
        Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS, MAX_PIXELS // 2)
    return stack.close


_PILLOW_SETTINGS = SharedState(_change_pillow)


def _reason(error: Exception) -> str:
    """Return an error's message in one line, or its type if that is clearer."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    line = " ".join(str(reason).split())
    if line and isinstance(error, OSError | ValueError | RuntimeError | SyntaxError | EOFError):
        return line
    return f"cannot be decoded ({error!r})"


def _decode(file: BinaryIO, label: str, short_side: int | None, max_pixels: int) -> Image.Image:
    if not file.read(1):
        raise ImageError(f"{label}: the file is empty")
    if is_raw(file):
        return _decode_raw(file, label, short_side, max_pixels)
    file.seek(0)
    return _decode_picture(file, label, short_side, max_pixels)


def _decode_raw(file: BinaryIO, label: str, short_side: int | None, max_pixels: int) -> Image.Image:
    """Decode the preview of a RAW file if it has enough pixels, or else its mosaic at half size."""
    with opened_raw(file, label) as raw:
        width, height = raw.size
        if width * height > max_pixels:
            raise ImageError(f"{label}: {_too_large(raw.size, max_pixels)}")
        enough = min(width, height) // 2
        if short_side is not None:
            enough = min(enough, _DRAFT_FACTOR * short_side)
        preview = raw.preview()
        if preview is not None:
            with suppress(Exception):  # a damaged one; the picture itself may be sound
                image = _decode_picture(BytesIO(preview), label, short_side, max_pixels)
                is_upright = (image.width > image.height) == (width > height)
                if min(image.size) >= enough and is_upright:
                    return image
        return Image.fromarray(raw.pixels())


def _decode_picture(
    file: BinaryIO, label: str, short_side: int | None, max_pixels: int
) -> Image.Image:
    with pillow_settings(), Image.open(file, formats=FORMATS) as image:
        _refuse_too_large(image, label, max_pixels)
        # Drafts of other formats are thumbnails, which may show another picture.
        if short_side is not None and image.format in ("JPEG", "MPO"):
            side = _DRAFT_FACTOR * short_side
            image.draft(None, (side, side))
        return _bare(_flat(_upright(image)))


def to_rgb(image: Image.Image, *, name: str = "the image") -> Image.Image:
    """Return a PIL image of any mode as an upright RGB image; the argument is not changed.

    Raises ImageError for more than MAX_PIXELS pixels, and for a lazily read image that is damaged.
    """
    with explaining(name):
        _refuse_too_large(image, name, MAX_PIXELS)
        result = _flat(_upright(image))
        return _bare(result.copy() if result is image else result)


def _bare(image: Image.Image) -> Image.Image:
    """Keep only the pixels: otherwise a saved copy would contain the file's comments."""
    image.info = {}
    return image


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    # Only the metadata is invalid.
    except Exception:  # noqa: BLE001
        return image
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _flat(image: Image.Image) -> Image.Image:
    """Return an image of any mode as RGB; an RGB image is returned as is."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _eight_bits(image).convert("RGB")
    if image.has_transparency_data:
        return _over_white(image)
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    flat = Image.new("RGB", image.size)
    for top, band in _bands(image):
        layer = band.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        flat.paste(Image.alpha_composite(white, layer).convert("RGB"), (0, top))
    return flat


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a greyscale image of 16 or 32 bits, or of floats, with 8 bits per pixel."""
    high = max(_highest(band) for _, band in _bands(image))
    if image.mode.startswith("I;16") or high > 255:
        scale = 255 / max(65535.0, high)
    else:
        scale = 255.0 if image.mode == "F" and high <= 1 else 1.0
    grey = Image.new("L", image.size)
    for top, band in _bands(image):
        floats = band.convert("F").point(lambda value: value * scale + 0.0)
        grey.paste(floats.convert("L"), (0, top))
    return grey


def _highest(band: Image.Image) -> float:
    """Return the largest finite value; scientific images use NaN for missing data."""
    values = np.asarray(band.convert("F"))
    return float(values.max(initial=0.0, where=np.isfinite(values)))


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield (first row, counted from 0, and band) for each band of an image."""
    height = max(1, BAND_PIXELS // image.width)
    for top in range(0, image.height, height):
        bottom = min(top + height, image.height)
        yield top, image.crop((0, top, image.width, bottom))


def _refuse_too_large(image: Image.Image, name: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ImageError(f"{name}: {_too_large(image.size, max_pixels)}")


def _too_large(size: tuple[int, int] | None, max_pixels: int) -> str:
    what = f"{size[0]} x {size[1]} pixels" if size else "the image"
    return f"{what} is too large; the limit is {max_pixels:,} pixels: scale it down first"
