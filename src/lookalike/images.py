"""Image files: found, opened as upright RGB, hashed."""

import glob
import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pillow_heif
from PIL import Image, ImageOps, UnidentifiedImageError

from lookalike.errors import ImageError, InputError

pillow_heif.register_heif_opener()

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib"}
    | {".tif", ".tiff", ".avif", ".heic", ".heif", ".hif"}
)
"""Which files of a folder are images; a file that is named itself is always tried."""

MAX_PIXELS = 200_000_000
"""Larger images are refused before they are decoded: at 4 bytes a pixel this is 800 MB."""


class FoundImage(NamedTuple):
    """An image file: its absolute path, and its name within the folder that was asked for."""

    path: Path
    name: str


def find_images(paths: Iterable[str | os.PathLike[str]]) -> Iterator[FoundImage]:
    """Yield the image files of files, folders (recursively, sorted) and globs, each once.

    Raises InputError for a path that does not exist, before the first file is yielded.
    """
    roots = [root for path in paths for root in _expand(os.fspath(path))]
    return _walk(roots)


def _expand(path: str) -> list[Path]:
    root = Path(path).expanduser()
    if root.exists():
        # The file itself may be a link: the name that people see is kept.
        return [root.resolve() if root.is_dir() else root.parent.resolve() / root.name]
    pattern = str(root)
    matches = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []  # noqa: PTH207
    if not matches:
        raise InputError(f"no such file or folder: {path}")
    return [expanded for match in matches for expanded in _expand(glob.escape(match))]


def _walk(roots: list[Path]) -> Iterator[FoundImage]:
    seen: set[Path] = set()
    for root in roots:
        files = _files_below(root) if root.is_dir() else [root]
        base = root if root.is_dir() else root.parent
        for file in files:
            if file not in seen:
                seen.add(file)
                yield FoundImage(file, file.relative_to(base).as_posix())


def _files_below(folder: Path) -> Iterator[Path]:
    for directory, subfolders, names in os.walk(folder):
        subfolders.sort()
        for name in sorted(names):
            file = Path(directory, name)
            if file.suffix.lower() in SUFFIXES and file.is_file():
                yield file


def content_hash(path: Path) -> bytes:
    """Return the SHA-256 of the file's bytes: 32 bytes. Raises ImageError."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror or error}") from error


def open_image(source: Path | bytes, *, name: str | None = None) -> Image.Image:
    """Decode an image file, or the bytes of one, into an upright RGB image.

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
    if image.width * image.height > MAX_PIXELS:
        raise ImageError(f"{name}: {_too_large(image.size)}")
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "RGB" and "transparency" not in upright.info:
        return upright.copy() if upright is image else upright
    if upright.mode in ("I", "F") or upright.mode.startswith("I;16"):
        return _eight_bits(upright).convert("RGB")
    if upright.has_transparency_data:
        layer = upright.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
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


def _too_large(size: tuple[int, int] | None) -> str:
    what = f"{size[0]} x {size[1]} pixels" if size else "it"
    return f"{what} is more than the {MAX_PIXELS:,} pixels that are decoded; scale it down first"
