"""Decode images for programs that show them: in sandboxed processes, a few at a time."""

import os
from pathlib import Path
from queue import LifoQueue
from typing import TYPE_CHECKING, Self

from lookalike.core.arguments import check_int, wrong
from lookalike.core.errors import ImageError, InputError, LookalikeError
from lookalike.core.paths import expand_user
from lookalike.images.addresses import is_url
from lookalike.images.decode import MAX_PIXELS
from lookalike.pipeline.decoder import Decoded, Decoder
from lookalike.pipeline.decoder_process import View

if TYPE_CHECKING:
    from PIL import Image as Pillow

VIEW_SECONDS = 20.0
"""For decoding one image that is to be shown."""

_LONGEST_SIDE = 2**31 - 1


class ImageDecoder:
    """Decodes image files in processes of their own: for thumbnails, uploads and whatever is shown.

    A malicious or damaged file costs an ImageError, not the program: the process is limited in
    memory and time, and is replaced if it crashes or hangs. Threads can share a decoder; each
    process is started when it is first needed. End it by `with` or `close`.

    Args:
        processes: Most processes, and so most images that are decoded at once; further calls wait.
        time_limit: For decoding one image, in seconds.
        max_pixels: Larger images are refused before they are decoded; at most 200,000,000.

    Raises:
        InputError: A limit cannot be used.
    """

    def __init__(
        self,
        *,
        processes: int = 2,
        time_limit: float = VIEW_SECONDS,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        check_int("processes", processes)
        check_int("max_pixels", max_pixels)
        if processes < 1:
            raise InputError(f"processes is {processes}; give 1 or more")
        if not 1 <= max_pixels <= MAX_PIXELS:
            raise InputError(f"max_pixels is {max_pixels}; give 1 to {MAX_PIXELS:,}")
        self._max_pixels = max_pixels
        self._decoders = [Decoder(lambda: None, time_limit=time_limit) for _ in range(processes)]
        # The one that was used last goes first, so that no more are started than are needed.
        self._free: LifoQueue[Decoder] = LifoQueue()
        for decoder in self._decoders:
            self._free.put(decoder)
        self._is_closed = False

    def decode(
        self,
        source: str | os.PathLike[str] | bytes,
        *,
        short_side: int | None = None,
        fit: tuple[int, int] | None = None,
        allow_private_urls: bool = False,
    ) -> "Pillow.Image":
        """Return an image, upright and in RGB; of an animation the first frame.

        Args:
            source: A path, an http(s) URL, or a file's content.
            short_side: Pixels that its short side will be scaled to: a large JPEG is decoded,
                faster, at 1/2, 1/4 or 1/8 of its size if that keeps three times as many.
            fit: Width and height in which it must fit: a larger image is scaled down.
            allow_private_urls: Allow URLs of this machine and private networks.

        Raises:
            ImageError: It cannot be read or decoded, has too many pixels, or takes too long.
            InputError: An option cannot be used.
            LookalikeError: No process can be started, or the decoder is closed.
        """
        if isinstance(source, str) and is_url(source):
            from lookalike.images.download import download

            source = download(source, allow_private=allow_private_urls)
        if isinstance(source, bytes):
            what: Path | bytes = source
        elif isinstance(source, str | os.PathLike):
            what = expand_user(source)
        else:
            raise wrong("an image", source, "a path, a URL or a file's content")
        width, height = (0, 0) if fit is None else _checked_fit(fit)
        if short_side is not None:
            _check_side("short_side", short_side)
        view = View(isinstance(what, bytes), short_side or 0, width, height, self._max_pixels)
        from PIL import Image

        return Image.fromarray(self._decoded(what, view).pixels)

    def _decoded(self, source: Path | bytes, view: View) -> Decoded:
        decoder = self._free.get()
        try:
            if self._is_closed:
                raise _closed()
            return decoder.view(source, view)
        except LookalikeError as error:
            if self._is_closed:  # its process was ended, whatever the file is
                raise _closed() from error
            if not isinstance(error, ImageError):
                raise
            name = "the image" if isinstance(source, bytes) else source
            raise ImageError(f"{name}: {error}") from error
        finally:
            self._free.put(decoder)

    def close(self) -> None:
        """End all processes; images that are being decoded are given up."""
        self._is_closed = True
        for decoder in self._decoders:
            decoder.kill()
        ended = [self._free.get() for _ in self._decoders]
        for decoder in ended:
            decoder.close()
            self._free.put(decoder)  # for threads that wait for one: they see that it is closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _checked_fit(fit: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(fit, tuple | list) or len(fit) != 2:
        raise wrong("fit", fit, "(width, height)")
    for side in fit:
        _check_side("fit", side)
    return fit[0], fit[1]


def _check_side(name: str, side: int) -> None:
    check_int(name, side)
    if not 1 <= side <= _LONGEST_SIDE:
        raise InputError(f"{name} is {side}; give 1 pixel or more")


def _closed() -> LookalikeError:
    return LookalikeError("the image decoder is closed: make another")
