"""The images of one search: uploaded or at URLs, decoded in processes of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lookalike import ImageDecoder
from lookalike.web.decoding import Pixels, decoded
from lookalike.web.problems import Problem
from lookalike.web.uploads import Upload

if TYPE_CHECKING:
    from PIL.Image import Image as Picture


class QueryPictures:
    """Decodes each image of a search once.

    Args:
        decoder: Decodes in processes of their own.
        uploads: Images that came with the search.
        pixels: Counts those of all its images together.
        allow_private_urls: Allow URLs of this machine and private networks.
    """

    def __init__(
        self,
        decoder: ImageDecoder,
        uploads: Sequence[Upload] = (),
        *,
        pixels: Pixels,
        allow_private_urls: bool,
    ) -> None:
        self._decoder = decoder
        self._uploads = uploads
        self._allow_private_urls = allow_private_urls
        self._pixels = pixels
        self._decoded: dict[int | str, Picture] = {}

    def uploaded(self, place: int) -> Picture:
        """Return an uploaded image. Raises Problem 422 if there are fewer, and ImageError."""
        if place >= len(self._uploads):
            sent = len(self._uploads)
            raise Problem(422, f"there is no image {place}: {sent} came with the request, from 0")
        return self._once(place, self._uploads[place].content)

    def at(self, url: str) -> Picture:
        """Return the image at a URL. Raises ImageError."""
        return self._once(url, url)

    def _once(self, key: int | str, source: bytes | str) -> Picture:
        if key not in self._decoded:
            image = decoded(self._decoder, source, allow_private_urls=self._allow_private_urls)
            self._pixels.count(image)
            self._decoded[key] = image
        return self._decoded[key]
