"""Thumbnails and previews of image files: WebP, made once by a sandboxed process, then cached."""

from __future__ import annotations

import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal

from lookalike import ImageDecoder, ImageError
from lookalike.web.disk_cache import DiskCache

if TYPE_CHECKING:
    from PIL import Image

Size = Literal["thumbnail", "preview"]

_FIT: dict[Size, tuple[int, int]] = {"thumbnail": (640, 400), "preview": (2560, 1600)}
_THUMBNAIL_QUALITIES = (45, 25)
"""The second where the first gives more than _LARGE bytes: foliage and gravel hide artefacts."""
_LARGE = 10_000
_PREVIEW_QUALITY = 78
_RECIPE = b"1"
"""Change it with what is above: thumbnails are then made anew."""
_MOST_FAILURES = 10_000
_RETRY_SECONDS = 600.0
"""After this, a file that could not be decoded is tried again: the machine may have been busy."""


@dataclass(frozen=True, slots=True)
class Rendition:
    """An image, scaled down, as a WebP file.

    Attributes:
        content: The file.
        width: In pixels.
        height: In pixels.
        etag: Differs when the content does.
    """

    content: bytes
    width: int
    height: int
    etag: str


class Thumbnails:
    """Makes and keeps scaled copies of image files; threads may share it.

    Args:
        cache: Where they are kept.
        decoder: Decodes images in processes of their own.
    """

    def __init__(self, cache: DiskCache, decoder: ImageDecoder) -> None:
        self._cache = cache
        self._decoder = decoder
        self._making: dict[str, Future[Rendition]] = {}
        self._failed: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._lock = Lock()

    def cached(self, path: Path, size: Size = "thumbnail") -> Rendition | None:
        """Return a copy that was made before; None if there is none.

        Raises:
            ImageError: The file is gone, or could not be decoded a while ago and has not changed.
        """
        return self._found(_key_of(path, size))

    def get(self, path: Path, size: Size = "thumbnail") -> Rendition:
        """Return a copy, made if there is none; requests for the same one wait for it.

        Raises:
            ImageError: The file is gone or cannot be decoded.
        """
        return self._get(_key_of(path, size), path, size)

    def cached_bytes(self, content_hash: str, size: Size = "thumbnail") -> Rendition | None:
        """As `cached`, for bytes with this hash that are no stored file, such as an upload."""
        return self._found(_digest(size, content_hash.encode()))

    def get_bytes(self, content_hash: str, content: bytes, size: Size = "thumbnail") -> Rendition:
        """As `get`, for bytes that are no stored file; content_hash: what identifies them."""
        return self._get(_digest(size, content_hash.encode()), content, size)

    def size_of(self, path: Path, mtime_ns: int, size: int) -> tuple[int, int] | None:
        """Return width and height of a file's thumbnail without reading it; None if there is none.

        Args:
            path: The file.
            mtime_ns: When it was modified, in nanoseconds.
            size: In bytes.
        """
        mark = self._cache.mark(_file_key(path, mtime_ns, size, "thumbnail"))
        return None if mark is None else _size_in(mark)

    def _found(self, key: str) -> Rendition | None:
        with self._lock:
            reason, since = self._failed.get(key, ("", 0.0))
        if reason and time.monotonic() - since < _RETRY_SECONDS:
            raise ImageError(reason)
        found = self._cache.get(key)
        if found is None:
            return None
        width, height = _size_in(found.mark)
        return Rendition(found.content, width, height, f'"{key}"')

    def _get(self, key: str, source: Path | bytes, size: Size) -> Rendition:
        found = self._found(key)
        if found is not None:
            return found
        with self._lock:
            waiting = self._making.get(key)
            if waiting is None:
                self._making[key] = ours = Future[Rendition]()
        if waiting is not None:
            return waiting.result()
        try:
            made = self._make(key, source, size)
        except BaseException as error:
            if isinstance(error, ImageError):
                self._note_failure(key, str(error))
            ours.set_exception(error)
            raise
        else:
            ours.set_result(made)
            return made
        finally:
            with self._lock:
                del self._making[key]

    def _make(self, key: str, source: Path | bytes, size: Size) -> Rendition:
        image = self._decoder.decode(source, fit=_FIT[size])
        content = _ENCODERS[size](image)
        self._cache.put(key, content, mark=f"{image.width}x{image.height}")
        return Rendition(content, image.width, image.height, f'"{key}"')

    def _note_failure(self, key: str, reason: str) -> None:
        with self._lock:
            self._failed[key] = (reason, time.monotonic())
            while len(self._failed) > _MOST_FAILURES:
                self._failed.popitem(last=False)


def _key_of(path: Path, size: Size) -> str:
    """Return the key of a file as it is now. Raises ImageError if it is gone."""
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return _file_key(path, status.st_mtime_ns, status.st_size, size)


def _file_key(path: Path, mtime_ns: int, length: int, size: Size) -> str:
    return _digest(size, os.fsencode(path), str(mtime_ns).encode(), str(length).encode())


def _digest(size: Size, *parts: bytes) -> str:
    return hashlib.sha256(b"\0".join((_RECIPE, size.encode(), *parts))).hexdigest()[:32]


def _size_in(mark: str) -> tuple[int, int]:
    width, _, height = mark.partition("x")
    return int(width), int(height)


def _thumbnail(image: Image.Image) -> bytes:
    for quality in _THUMBNAIL_QUALITIES:
        content = _webp(image, quality, method=4)
        if len(content) <= _LARGE:
            break
    return content


def _preview(image: Image.Image) -> bytes:
    return _webp(image, _PREVIEW_QUALITY, method=2)


_ENCODERS: dict[Size, Callable[[Image.Image], bytes]] = {
    "thumbnail": _thumbnail,
    "preview": _preview,
}


def _webp(image: Image.Image, quality: int, *, method: int) -> bytes:
    """method: effort, from 0 to 6."""
    out = BytesIO()
    image.save(out, "WEBP", quality=quality, method=method)
    return out.getvalue()
