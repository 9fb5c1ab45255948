"""Whether one drawing's file can be a copy of another's: the copy is made again and compared.

What scaling and JPEG do to lines of a pixel's width is as much as what tells two stars apart, and
so no tolerance serves both. But it can be repeated: the larger of two files is scaled to the size
of the smaller, by each of the usual filters, and written with the other's own JPEG tables. Of a
copy next to no difference is left.
"""

from collections import defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, JpegImagePlugin

from lookalike.core.errors import ImageError
from lookalike.core.vectors import FloatArray
from lookalike.duplicates.closer import SIDE, Closeness, agree_closely, loss_of, most_of
from lookalike.duplicates.compare import orientations_of
from lookalike.images.decode import FORMATS, open_file, open_image, pillow_settings

REMADE = Closeness(local=1.8, overall=0.15, colour=45.0)
UNCHANGED = Closeness(local=1.8, overall=0.08, colour=45.0)
"""Where nothing was scaled, and no colours were lost."""

DIFFERENT, CLOSE, SAME, EXACT = range(4)
"""How surely two are one picture."""

LARGEST = 1500 * 1500
"""Pixels of copies that are made again: larger ones are taken for what they were."""

_EQUAL = 1
"""Levels by which no pixel of a copy made in the same way differs."""

_EMPTY = 1.0
"""Levels of contrast: with less a picture shows nothing, and is a copy of none."""

_FILTERS = (
    Image.Resampling.LANCZOS,
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.HAMMING,
)
_SUBSAMPLING = 2  # what PIL and most cameras use, where a file does not tell


def how_surely(first: Path, second: Path, turns: int, *, agree: bool) -> int:
    """Tell how surely one of two pictures, in one of so many orientations, is a copy of the other.

    EXACT where the copy that is made again is equal. Of those that were found to agree else CLOSE,
    where it is nearly equal, or DIFFERENT, or SAME, for what is too large or can no longer be read;
    of others DIFFERENT.
    """
    unknown = SAME if agree else DIFFERENT
    try:
        one, other = _Drawing(first), _Drawing(second)
    except (ImageError, OSError):
        return unknown
    if (one.pixels, -one.loss) < (other.pixels, -other.loss):
        one, other = other, one
    if other.pixels > LARGEST:
        return unknown
    views = orientations_of(np.asarray(one.image)[np.newaxis])[:turns]
    upright = [Image.fromarray(np.ascontiguousarray(view[0])) for view in views]
    copies = [copy for view in upright for copy in _copies(view, other)]
    pixels = np.asarray(other.image, np.int16)
    if any(np.abs(np.asarray(copy, np.int16) - pixels).max() <= _EQUAL for copy in copies):
        return EXACT if pixels.std() > _EMPTY else unknown
    return CLOSE if agree and _are_close(one, other, copies) else DIFFERENT


def _are_close(one: "_Drawing", other: "_Drawing", copies: list[Image.Image]) -> bool:
    target = _squeezed(other.image)
    is_unchanged = one.image.size == other.image.size and not (one.lost or other.lost)
    lost = np.array([max(one.loss - other.loss, 0)], np.float32)
    most = most_of(lost, UNCHANGED if is_unchanged else REMADE)
    return any(agree_closely(_squeezed(copy), target, most)[0] for copy in copies)


def without_contradictions(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], how: npt.NDArray[np.int8]
) -> npt.NDArray[np.bool_]:
    """Tell which pairs of pictures are one, by how surely each is.

    Two that are only CLOSE are not, if one is an EXACT copy of a third and the other is not one
    with that.
    """
    ends = list(zip(first.tolist(), second.tolist(), strict=True))
    one_picture = {pair for pair, sure in zip(ends, how.tolist(), strict=True) if sure}
    copies: dict[int, set[int]] = defaultdict(set)
    for (one, other), sure in zip(ends, how.tolist(), strict=True):
        if sure == EXACT:
            copies[one].add(other)
            copies[other].add(one)

    def contradicted(one: int, other: int) -> bool:
        return any(
            third != other and not {(third, other), (other, third)} & one_picture
            for third in copies.get(one, ())
        )

    same = how != DIFFERENT
    for place in np.flatnonzero(how == CLOSE):
        one, other = ends[place]
        same[place] = not contradicted(one, other) and not contradicted(other, one)
    return np.asarray(same)


class _Drawing:
    """A file's image, and how its format has lost what."""

    def __init__(self, path: Path) -> None:
        self.image = open_image(path)
        with pillow_settings(), open_file(path) as file:
            header = Image.open(file, formats=FORMATS)
            self.loss = loss_of(header)
            self.lost = self.loss > 0 or header.mode == "P"  # a palette is often of fewer colours
            self.tables = getattr(header, "quantization", None)
            known = -1
            if isinstance(header, JpegImagePlugin.JpegImageFile):
                known = JpegImagePlugin.get_sampling(header)
            self.subsampling = known if known >= 0 else _SUBSAMPLING
        self.pixels = self.image.width * self.image.height


def _copies(image: Image.Image, like: _Drawing) -> Iterator[Image.Image]:
    """Copies of an image of the size and with the tables of another, by each filter."""
    size = like.image.size
    for way in _FILTERS if image.size != size else _FILTERS[:1]:
        copy = image if image.size == size else image.resize(size, way)
        yield _as_jpeg(copy, like) if like.tables else copy


def _as_jpeg(image: Image.Image, like: _Drawing) -> Image.Image:
    file = BytesIO()
    try:
        image.save(file, "JPEG", qtables=like.tables, subsampling=like.subsampling)
    except (ValueError, OSError):  # tables that PIL reads, but does not write
        return image
    with Image.open(file, formats=["JPEG"]) as copy:
        return copy.convert("RGB")


def _squeezed(image: Image.Image) -> FloatArray:
    square = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    pixels: npt.NDArray[np.float32] = np.asarray(square, np.float32)
    return pixels[np.newaxis]
