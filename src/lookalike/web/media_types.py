"""What an image file is, by its first bytes: names do not count."""

from __future__ import annotations

from typing import NamedTuple

HEAD_BYTES = 64
"""How many bytes tell what a file is."""


class MediaType(NamedTuple):
    """The type of an image file.

    Attributes:
        name: As in the header Content-Type.
        suffixes: What names of such files end in, the usual one first.
        is_shown: Whether browsers show it.
    """

    name: str
    suffixes: tuple[str, ...]
    is_shown: bool = False


_JPEG = MediaType("image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), True)
_PNG = MediaType("image/png", (".png", ".apng"), True)
_GIF = MediaType("image/gif", (".gif",), True)
_WEBP = MediaType("image/webp", (".webp",), True)
_AVIF = MediaType("image/avif", (".avif",), True)
_BMP = MediaType("image/bmp", (".bmp", ".dib"), True)
_ICON = MediaType("image/vnd.microsoft.icon", (".ico",), True)
_HEIF = MediaType("image/heif", (".heic", ".heif", ".hif"))
_TIFF_SUFFIXES = (
    *(".tif", ".tiff", ".dng", ".nef", ".arw", ".cr2", ".pef", ".srw", ".3fr", ".iiq", ".erf"),
    *(".nrw", ".sr2", ".srf", ".rwl", ".kdc", ".dcr", ".mef", ".mos", ".fff"),
)
"""RAW files of many cameras are TIFF."""
_TIFF = MediaType("image/tiff", _TIFF_SUFFIXES)
_JPEG_2000 = MediaType("image/jp2", (".jp2", ".j2k", ".jpf", ".jpx"))
_PHOTOSHOP = MediaType("image/vnd.adobe.photoshop", (".psd", ".psb"))
_QOI = MediaType("image/qoi", (".qoi",))
_PORTABLE = MediaType("image/x-portable-anymap", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"))
_RAW = MediaType(
    "image/x-raw", (".raw", ".raf", ".rw2", ".rwl", ".orf", ".cr3", ".crw", ".x3f", ".mrw", ".iiq")
)

_SIGNATURES: tuple[tuple[int, bytes, MediaType], ...] = (
    (0, b"\xff\xd8\xff", _JPEG),
    (0, b"\x89PNG\r\n\x1a\n", _PNG),
    (0, b"GIF87a", _GIF),
    (0, b"GIF89a", _GIF),
    (0, b"BM", _BMP),
    (0, b"\0\0\1\0", _ICON),
    (0, b"II*\0", _TIFF),
    (0, b"MM\0*", _TIFF),
    (0, b"II+\0", _TIFF),
    (0, b"MM\0+", _TIFF),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", _JPEG_2000),
    (0, b"\xff\x4f\xff\x51", _JPEG_2000),
    (0, b"8BPS", _PHOTOSHOP),
    (0, b"qoif", _QOI),
    (0, b"FUJIFILMCCD-RAW", _RAW),
    (0, b"FOVb", _RAW),
    (0, b"\0MRM", _RAW),
    (0, b"IIRO", _RAW),
    (0, b"IIRS", _RAW),
    (0, b"MMOR", _RAW),
    (0, b"IIU\0", _RAW),
    (4, b"ftypcrx ", _RAW),
    (6, b"HEAPCCDR", _RAW),
    (8, b"IIII", _RAW),
    (8, b"MMMM", _RAW),
)
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2")


def media_type(head: bytes) -> MediaType | None:
    """Return the type of a file by its first HEAD_BYTES; None if it is no image."""
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return _WEBP
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3].isspace():
        return _PORTABLE
    found = (kind for start, mark, kind in _SIGNATURES if head.startswith(mark, start))
    return next(found, None)


def _of_brands(head: bytes) -> MediaType | None:
    """Return the type of a file of ISO boxes by its brands: those of AVIF name HEIF's, too."""
    brands = {head[8:12], *(head[start : start + 4] for start in range(16, len(head) - 3, 4))}
    if head[8:12] == b"crx ":
        return _RAW
    if brands & {b"avif", b"avis"}:
        return _AVIF
    return _HEIF if brands.intersection(_HEIF_BRANDS) else None
