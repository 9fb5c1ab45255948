"""Uploaded query images, kept by their hash: the URL of a search works after a restart, too."""

from __future__ import annotations

import re
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from lookalike import ImageDecoder
from lookalike.web.decoding import decoded
from lookalike.web.disk_cache import DiskCache
from lookalike.web.problems import Problem

if TYPE_CHECKING:
    from PIL import Image

_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_DECODED = 16
_MOST_PIXELS = 4_000_000
"""Of a decoded image that is kept in memory."""


class QueryImages:
    """Images of queries; threads may share it.

    The bytes of the files are kept as they came. The least recently used go first.

    Args:
        cache: Where they are kept.
        decoder: Decodes images in processes of their own.
    """

    def __init__(self, cache: DiskCache, decoder: ImageDecoder) -> None:
        self._cache = cache
        self._decoder = decoder
        self._decoded: OrderedDict[str, Image.Image] = OrderedDict()
        self._lock = Lock()

    def keep(self, content_hash: str, content: bytes) -> None:
        """Keep the bytes of an image that can be decoded; content_hash: SHA-256, hexadecimal.

        Raises:
            ImageError: It cannot be decoded.
        """
        if self._cache.mark(content_hash) is None:
            self._decode(content_hash, content)
            self._cache.put(content_hash, content)

    def content(self, content_hash: str) -> bytes:
        """Return the bytes of an image.

        Raises:
            Problem: 404: it is not kept any more.
        """
        found = self._cache.get(content_hash) if _HASH.fullmatch(content_hash) else None
        if found is None:
            raise Problem(404, "the image of this query is no longer kept; upload it again")
        return found.content

    def image(self, content_hash: str) -> Image.Image:
        """Return a decoded image, upright and RGB, large enough to be embedded.

        Raises:
            Problem: 404: it is not kept any more.
            ImageError: It cannot be decoded.
        """
        with self._lock:
            found = self._decoded.get(content_hash)
            if found is not None:
                self._decoded.move_to_end(content_hash)
                return found
        return self._decode(content_hash, self.content(content_hash))

    def _decode(self, content_hash: str, content: bytes) -> Image.Image:
        image = decoded(self._decoder, content)
        if image.width * image.height > _MOST_PIXELS:
            return image
        with self._lock:
            self._decoded[content_hash] = image
            while len(self._decoded) > _MOST_DECODED:
                self._decoded.popitem(last=False)
        return image
