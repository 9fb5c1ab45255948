"""Decode images of queries in processes of their own, into no more pixels than models need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lookalike import ImageDecoder
from lookalike.web.problems import Problem

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

_SHORT_SIDE = 480
"""Pixels of a short side: more than any model takes."""
_FACTOR = 3
"""As many times more are kept, as of a large JPEG: models scale them down themselves."""


def decoded(
    decoder: ImageDecoder, source: bytes | str, *, allow_private_urls: bool = False
) -> Picture:
    """Return an image, large enough to be embedded. Raises ImageError."""
    image = decoder.decode(source, short_side=_SHORT_SIDE, allow_private_urls=allow_private_urls)
    factor = min(image.size) // (_FACTOR * _SHORT_SIDE)
    return image.reduce(factor) if factor > 1 else image


class Pixels:
    """Counts the pixels of a request's images, which are in memory at the same time.

    Args:
        most: How many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._there = 0

    def count(self, image: Picture) -> None:
        """Count an image. Raises Problem 413 if all together have too many pixels."""
        self._there += image.width * image.height
        if self._there > self._most:
            raise Problem(
                413,
                f"the images of a request have at most {self._most:,} pixels together, scaled "
                "down: send fewer at once",
            )
