"""RAW files of cameras, read by rawpy: the extra `raw`."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import ImageError

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef"}
    | {".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf"}
    | {".srw", ".x3f"}
)
"""Suffixes of RAW files in folders."""

_SIGNATURES = (
    *((0, start) for start in (b"FUJIFILMCCD-RAW", b"FOVb", b"\0MRM")),
    *((0, start) for start in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")),  # Olympus, Panasonic
    (4, b"ftypcrx "),  # Canon CR3
    (6, b"HEAPCCDR"),  # Canon CRW
    (8, b"CR"),  # Canon CR2
    *((8, mark) for mark in (b"IIII", b"MMMM")),  # Phase One
)
_HEAD = 32
_MOSAICS = (32803, 34892)  # a colour filter array, and the same made linear
_PHOTOMETRIC, _SUB_IFDS, _DNG_VERSION = 262, 330, 50706
_MOST_ENTRIES, _MOST_IFDS = 1000, 16


class NeedsExtra(ImageError):
    """A RAW file, without the extra that reads it; the file itself is not at fault."""


def has_raw() -> bool:
    """Whether the extra is installed."""
    return find_spec("rawpy") is not None


def is_raw(file: BinaryIO) -> bool:
    """Whether a file is a camera's RAW file, by its content; its place is kept."""
    place = file.tell()
    try:
        file.seek(0)
        head = file.read(_HEAD)
        if any(head.startswith(mark, start) for start, mark in _SIGNATURES):
            return True
        order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
        return order is not None and _has_mosaic(file, order)
    finally:
        file.seek(place)


def _has_mosaic(file: BinaryIO, order: str) -> bool:
    """Whether a TIFF's first directory, or one below it, is of a sensor's mosaic."""
    file.seek(4)
    waiting, seen = [_number(file.read(4), order)], 0
    while waiting and seen < _MOST_IFDS:
        seen += 1
        file.seek(waiting.pop())
        count = min(_number(file.read(2), order), _MOST_ENTRIES)
        entries = file.read(12 * count)
        for start in range(0, len(entries) - 11, 12):
            tag, kind, length = struct.unpack_from(f"{order}HHI", entries, start)
            value = entries[start + 8 : start + 12]
            if tag == _DNG_VERSION:
                return True
            if tag == _PHOTOMETRIC and kind == 3 and _number(value[:2], order) in _MOSAICS:
                return True
            if tag == _SUB_IFDS and seen == 1:
                waiting += _places(file, value, min(length, _MOST_IFDS), order)
    return False


def _places(file: BinaryIO, value: bytes, length: int, order: str) -> list[int]:
    if length > 1:
        file.seek(_number(value, order))
        value = file.read(4 * length)
    return [_number(value[i : i + 4], order) for i in range(0, len(value) - 3, 4)]


def _number(packed: bytes, order: str) -> int:
    """Return an unsigned number of 2 or 4 bytes, 0 for a file that ends before it."""
    return int.from_bytes(packed, "little" if order == "<" else "big")


class RawImage:
    """An opened RAW file."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels of the upright picture."""
        sizes = self._raw.sizes
        upright = (int(sizes.width), int(sizes.height))
        return upright[::-1] if sizes.flip in (5, 6) else upright

    def preview(self) -> bytes | None:
        """Return the JPEG that the camera has put into the file, if there is one."""
        import rawpy

        with suppress(rawpy.LibRawError):
            found = self._raw.extract_thumb()
            if found.format == rawpy.ThumbFormat.JPEG:
                return bytes(found.data)
        return None

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Return the upright picture at half its size, shape (height, width, 3)."""
        found: npt.NDArray[np.uint8] = self._raw.postprocess(half_size=True, use_camera_wb=True)
        return found


@contextmanager
def opened_raw(file: BinaryIO, label: str) -> Iterator[RawImage]:
    """Open a RAW file. Raises NeedsExtra, and ImageError for one that is damaged or unknown."""
    if not has_raw():
        from lookalike.core.installed import install_command  # slow to import

        raise NeedsExtra(f"{label}: a RAW file needs an extra: {install_command('raw')}")
    import rawpy

    file.seek(0)
    try:
        with rawpy.imread(file) as raw:
            yield RawImage(raw)
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else type(error).__name__
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise ImageError(f"{label}: not a RAW file that can be read: {reason}") from error
