"""Image files: opened as upright RGB, hashed."""

import hashlib
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from lookalike.errors import ImageError

pillow_heif.register_heif_opener()

MAX_PIXELS = 200_000_000
"""Larger images are refused before they are decoded: at 4 bytes a pixel this is 800 MB."""


def content_hash(path: Path) -> bytes:
    """Return the SHA-256 of the file's bytes: 32 bytes. Raises ImageError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error


_DRAFT_FACTOR = 2
"""A JPEG decoded to a smaller size keeps as many times the pixels that are asked for."""


def open_image(
    source: Path | bytes, *, name: str | None = None, short_side: int | None = None
) -> Image.Image:
    """Decode an image file, or the bytes of one, into an upright RGB image.

    short_side: the pixels that its short side will be scaled to; a large JPEG is then decoded to
    1/2, 1/4 or 1/8 of its size, as long as it keeps twice as many, which is quicker.

    EXIF orientation is applied, transparency is laid over white, 16 bits become 8, and of an
    animation the first frame is taken. Raises ImageError, naming the file, for anything that is
    no image, is damaged, or has more than MAX_PIXELS pixels.
    """
    label = name or (str(source) if isinstance(source, Path) else "the image")
    if isinstance(source, Path) and source.is_file() and source.stat().st_size == 0:
        raise ImageError(f"{label}: the file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's about odd metadata and large images
            with Image.open(BytesIO(source) if isinstance(source, bytes) else source) as image:
                _refuse_too_large(image, label)
                if short_side is not None:
                    side = _DRAFT_FACTOR * short_side
                    image.draft(None, (side, side))
                return to_rgb(image, name=label)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{label}: {_too_large(None)}") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{label}: not an image that can be read") from error
    except MemoryError as error:
        raise ImageError(f"{label}: not enough memory to decode it") from error
    # Decoders raise almost anything on damaged files; none of it may end a run over a folder.
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ImageError(f"{label}: {str(reason) or type(error).__name__}") from error


def to_rgb(image: Image.Image, *, name: str = "the image") -> Image.Image:
    """Return a PIL image of any mode as an upright RGB image; the argument stays as it is.

    Raises ImageError for more than MAX_PIXELS pixels.
    """
    _refuse_too_large(image, name)
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB" and "transparency" not in upright.info:
        return upright.copy() if upright is image else upright
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _eight_bits(upright).convert("RGB")
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        opaque = Image.new("RGB", layer.size, "white")
        opaque.paste(layer, mask=layer)
        return opaque
    return upright.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Return a greyscale image of 16 or 32 bits, or of floats, with 8 bits a pixel."""
    floats = image.convert("F")
    high = float(np.asarray(floats).max())
    if image.mode.startswith("I;16") or high > 255:
        scale = 255 / max(65535.0, high)
    else:
        scale = 255.0 if image.mode == "F" and high <= 1 else 1.0
    return floats.point(lambda value: value * scale + 0.0).convert("L")


def _refuse_too_large(image: Image.Image, name: str) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: {_too_large(image.size)}")


def _too_large(size: tuple[int, int] | None) -> str:
    what = f"{size[0]} x {size[1]} pixels" if size else "it"
    return f"{what} is more than the {MAX_PIXELS:,} pixels that are decoded; scale it down first"
