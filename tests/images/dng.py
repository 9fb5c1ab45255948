"""Real RAW files: a mosaic of red, green and blue sensors as uncompressed DNG, with a preview."""

import struct
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

WHITE = 4000
_LONG, _SHORT, _BYTE, _ASCII, _RATIONAL, _SRATIONAL = 4, 3, 1, 2, 5, 10
_CODES = {_LONG: "I", _SHORT: "H", _BYTE: "B"}
# sRGB's primaries, so that the camera sees the colours that were painted
_FROM_XYZ = (3.2405, -1.5371, -0.4985, -0.9693, 1.876, 0.0416, 0.0556, -0.204, 1.0572)

Entry = tuple[int, int, object]


def write_dng(
    file: Path,
    colours: np.ndarray,
    *,
    orientation: int = 1,
    preview: Image.Image | None = None,
    preview_exif: bytes = b"",
    taken: str | None = None,
) -> Path:
    """Write an image as a sensor sees it. colours: linear (height, width, 3), from 0 to 1."""
    height, width, _ = colours.shape
    mosaic = np.empty((height, width), "<u2")
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = np.round(colours[row::2, column::2, channel] * WHITE)
    raw: list[Entry] = [
        (254, _LONG, [0]),
        (256, _LONG, [width]),
        (257, _LONG, [height]),
        (258, _SHORT, [16]),
        (259, _SHORT, [1]),
        (262, _SHORT, [32803]),
        (273, _LONG, mosaic.tobytes()),
        (277, _SHORT, [1]),
        (278, _LONG, [height]),
        (279, _LONG, [mosaic.nbytes]),
        (33421, _SHORT, [2, 2]),
        (33422, _BYTE, [0, 1, 1, 2]),
        (50717, _LONG, [WHITE]),
    ]
    about: list[Entry] = [
        (271, _ASCII, "Acme"),
        (272, _ASCII, "Acme Raw 1"),
        (274, _SHORT, [orientation]),
        (50706, _BYTE, [1, 4, 0, 0]),
        (50708, _ASCII, "Acme Raw 1"),
        (50721, _SRATIONAL, _FROM_XYZ),
        (50728, _RATIONAL, (1.0, 1.0, 1.0)),
        (50778, _SHORT, [21]),
    ]
    if taken:
        about.append((34665, _LONG, [(36867, _ASCII, taken)]))
    if preview is None:
        content = _tiff([*raw, *about])
    else:
        jpeg = BytesIO()
        preview.save(jpeg, "JPEG", quality=95, exif=preview_exif)
        first: list[Entry] = [
            (254, _LONG, [1]),
            (256, _LONG, [preview.width]),
            (257, _LONG, [preview.height]),
            (258, _SHORT, [8, 8, 8]),
            (259, _SHORT, [7]),
            (262, _SHORT, [6]),
            (273, _LONG, jpeg.getvalue()),
            (277, _SHORT, [3]),
            (278, _LONG, [preview.height]),
            (279, _LONG, [len(jpeg.getvalue())]),
            (330, _LONG, raw),
        ]
        content = _tiff([*first, *about])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def _tiff(entries: list[Entry]) -> bytes:
    content = bytearray(b"II*\0" + struct.pack("<I", 8))
    _directory(content, entries)
    return bytes(content)


def _directory(content: bytearray, entries: list[Entry]) -> int:
    """Append a directory with what its entries point to; return its place."""
    place = len(content)
    content += bytes(2 + 12 * len(entries) + 4)
    struct.pack_into("<H", content, place, len(entries))
    for number, (tag, kind, value) in enumerate(sorted(entries, key=lambda each: each[0])):
        count, packed = 1, b""
        if isinstance(value, list) and value and isinstance(value[0], tuple):
            packed = struct.pack("<I", _directory(content, value))
        elif isinstance(value, bytes):  # strips: the entry is where they are
            packed = struct.pack("<I", len(content))
            content += value
        elif isinstance(value, str):
            packed, count = value.encode() + b"\0", len(value) + 1
        elif kind in _CODES:
            packed, count = struct.pack(f"<{len(value)}{_CODES[kind]}", *value), len(value)
        else:
            whole = [number for part in value for number in (round(part * 10000), 10000)]
            code = "i" if kind == _SRATIONAL else "I"
            packed, count = struct.pack(f"<{len(whole)}{code}", *whole), len(value)
        if len(packed) > 4:
            outside = len(content)
            content += packed
            packed = struct.pack("<I", outside)
        entry = struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
        content[place + 2 + 12 * number : place + 14 + 12 * number] = entry
    return place
