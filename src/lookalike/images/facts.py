"""Facts that an image file tells of itself, read from its header; no pixel is decoded."""

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from typing import Any, BinaryIO

from PIL import ExifTags, Image, PngImagePlugin

from lookalike.core.facts import MAX_FACT, TAKEN_AT, FactValue
from lookalike.images.decode import FORMATS, explaining, pillow_settings
from lookalike.images.raw import RawImage, is_raw, opened_raw

_NAMES = {"MPO": "jpeg", "DIB": "bmp", "HEIF": "heic"}
_TIME = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)
_OFFSET = re.compile(r"[+-]\d\d:\d\d|Z", re.ASCII)
_TURNED = (5, 6, 7, 8)
_SIX = 6  # digits of a degree: a tenth of a metre


def read_facts(file: BinaryIO, *, name: str) -> dict[str, FactValue]:
    """Return what an image's header tells; what it does not tell is left out.

    taken_at: EXIF's DateTimeOriginal as ISO 8601, by the clock of the camera, with the fraction of
    a second and the offset from UTC if they are given. camera: make and model. format: such as
    jpeg. width, height: of the upright picture, in pixels. latitude, longitude: in degrees.

    Raises ImageError, with the name, if it is not an image.
    """
    with explaining(name):
        if is_raw(file):
            with opened_raw(file, name) as raw:
                return _facts(_raw_exif(file, raw), "raw", raw.size)
        file.seek(0)
        with pillow_settings(), Image.open(file, formats=FORMATS) as image:
            exif, size = _exif(image), image.size
            if exif.get(ExifTags.Base.Orientation) in _TURNED:
                size = size[::-1]
            kind = image.format or ""
            return _facts(exif, _NAMES.get(kind, kind.lower()), size)


def _facts(exif: Image.Exif, kind: str, size: tuple[int, int]) -> dict[str, FactValue]:
    found: dict[str, FactValue | None] = {
        TAKEN_AT: _taken_at(_ifd(exif, ExifTags.IFD.Exif)),
        "camera": _camera(exif),
        "format": kind,
        "width": size[0],
        "height": size[1],
        **_location(_ifd(exif, ExifTags.IFD.GPSInfo)),
    }
    return {name: value for name, value in found.items() if value is not None}


def _raw_exif(file: BinaryIO, raw: RawImage) -> Image.Exif:
    """Return the EXIF data of a RAW file: most are like TIFF; of the others, the preview's."""
    exif = Image.Exif()
    with suppress(Exception):
        file.seek(0)
        exif.load_from_fp(file)
    if ExifTags.Base.Model in exif:
        return exif
    with suppress(Exception), pillow_settings(), Image.open(BytesIO(raw.preview() or b"")) as image:
        return _exif(image)
    return Image.Exif()


def _exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF data; empty if they are damaged."""
    with suppress(Exception):  # Pillow raises almost anything on damaged metadata
        if isinstance(image, PngImagePlugin.PngImageFile):
            return Image.Image.getexif(image)  # PNG's own would decode the pixels first
        return image.getexif()
    return Image.Exif()


def _ifd(exif: Image.Exif, which: ExifTags.IFD) -> Mapping[int, Any]:
    with suppress(Exception):
        return exif.get_ifd(which)
    return {}


def _taken_at(ifd: Mapping[int, Any]) -> str | None:
    found = _TIME.match(_text(ifd.get(ExifTags.Base.DateTimeOriginal)))
    if not found:
        return None
    try:
        time = datetime(*map(int, found.groups()))  # type: ignore[arg-type]
    except ValueError:  # such as 0000:00:00 00:00:00
        return None
    fraction = _text(ifd.get(ExifTags.Base.SubsecTimeOriginal))
    fraction = fraction.rstrip("0") if fraction.isascii() and fraction.isdecimal() else ""
    offset = _text(ifd.get(ExifTags.Base.OffsetTimeOriginal))
    zone = offset.replace("Z", "+00:00") if _OFFSET.fullmatch(offset) else ""
    return time.isoformat() + (f".{fraction[:6]}" if fraction else "") + zone


def _camera(exif: Image.Exif) -> str | None:
    make, model = _text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))
    first = make.split()[0].casefold() if make else ""
    if model and model.casefold().split()[0] == first:  # as "Canon", "Canon EOS 5D"
        make = ""
    return f"{make} {model}".strip()[:MAX_FACT] or None


def _text(value: object) -> str:
    """Return a tag's text in one line without characters that cannot be shown."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if not isinstance(value, str):
        return ""
    text = "".join(c if c.isprintable() else " " for c in value.split("\0")[0])
    return " ".join(text.split())


def _location(ifd: Mapping[int, Any]) -> dict[str, float]:
    gps = ExifTags.GPS
    latitude = _degrees(ifd.get(gps.GPSLatitude), ifd.get(gps.GPSLatitudeRef), "NS", 90)
    longitude = _degrees(ifd.get(gps.GPSLongitude), ifd.get(gps.GPSLongitudeRef), "EW", 180)
    if latitude is None or longitude is None:
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _degrees(parts: Any, reference: object, sides: str, limit: int) -> float | None:
    """Return degrees, minutes and seconds as a number; negative on the second side."""
    side = _text(reference).upper()[:1]
    if not side or side not in sides:
        return None
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not (math.isfinite(value) and 0 <= value <= limit):
        return None
    return round(value if side == sides[0] else -value, _SIX)
