"""Drawings looked at again from their files, at SIDE x SIDE pixels: thumbnails do not show enough.

At a thumbnail's size the noise of a JPEG is as much as what tells two cards or two stars apart. So
pairs whose thumbnails agree are laid over one another once more, with four times the pixels and
slightly blurred, and the greyness and the colour are compared apart: a JPEG keeps colour lossesly.
What a JPEG has lost its own tables tell, and so much more is forgiven; scaling also loses some.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.core.remote import located, on_disk
from lookalike.core.vectors import FloatArray
from lookalike.database.connection import Row
from lookalike.duplicates.compare import SIDE as THUMBNAIL
from lookalike.duplicates.compare import (
    Flags,
    Thumbnails,
    grey,
    laid,
    refined_crops,
    turned,
    upright_sizes,
)
from lookalike.duplicates.drawings import (
    Sizes,
    aligned,
    at_common_size,
    cropped,
    gain,
    smooth,
    windows,
)
from lookalike.images.decode import FORMATS, open_file, open_image, pillow_settings

SIDE = 2 * THUMBNAIL
"""Pixels of the sides of what is compared."""

DIFFERENT, WHOLE, CROPPED = 0, 1, 2


class Closeness(NamedTuple):
    """Up to which differences two drawings are one picture (see benchmarks/duplicates.py).

    local: the largest in a window, relative to its contrast. overall: of all windows together.
    colour: the largest in a window, in levels.
    """

    local: float
    overall: float
    colour: float


LOSSLESS = Closeness(local=1.8, overall=0.25, colour=45.0)
BY_LOSS = Closeness(local=0.01, overall=0.004, colour=0.3)
"""What is added for each level of loss: the mean step in which a JPEG rounds brightness, some 12 at
quality 90, 58 at 50 and 96 at 30."""

_LOSSY_FORMATS = ("WEBP", "AVIF", "HEIF", "JPEG2000")
_UNKNOWN_LOSS = 50.0
_LOSS_OF_SCALING = 50.0
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_NOISE, _OF_CONTRAST = 8.0, 0.5
_COLOUR_BLURS = 3
_SCALED = 1.5  # in area: crops have less
_EDGE = 2  # pixels that a window beyond the edge would see
_CROP_EDGE = 4


class Picture(NamedTuple):
    """A file's picture, shape (SIDE, SIDE, 3), and what its format may have lost, in levels.

    stamp: the size and time of change of the file with the stored bytes.
    """

    pixels: Thumbnails
    loss: float
    path: Path
    stamp: tuple[int, int]

    def is_unchanged(self) -> bool:
        """Whether the file is still the one that was read."""
        try:
            return _stamp(self.path) == self.stamp
        except OSError:
            return False


def read_picture(files: Sequence[Row]) -> Picture | None:
    """Read the first that can be read of files (id, path, content_hash, size, mtime_ns)."""
    for _, name, _, size, mtime_ns in files:
        path = located(name)
        try:
            # Bytes that `add` has not seen may be another image, or a hostile one.
            if _stamp(path) == (size, mtime_ns):
                return _read(path, (size, mtime_ns))
        except (ImageError, OSError):
            continue
    return None


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _read(path: Path, stamp: tuple[int, int]) -> Picture:
    with on_disk(path) as here, pillow_settings(), open_file(here) as file:
        image = open_image(here, short_side=SIDE).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        with Image.open(file, formats=FORMATS) as header:
            return Picture(np.asarray(image), loss_of(header), path, stamp)


def loss_of(header: Image.Image) -> float:
    """What a file's format may have lost, in levels, by its header."""
    tables = getattr(header, "quantization", None)  # of JPEGs alone
    if tables:
        return float(np.mean(tables[min(tables)]))
    return _UNKNOWN_LOSS if header.format in _LOSSY_FORMATS else 0.0


def same_drawing(
    first: Thumbnails, second: Thumbnails, sizes: Sizes, losses: FloatArray, turns: int
) -> Flags:
    """Tell which pairs of pictures (n, SIDE, SIDE, 3) are one, whole or one a crop of the other.

    sizes: shape (n, 2, 2). losses: of the lossier file of each pair. turns: of the eight
    orientations, how many are tried.
    """
    return np.asarray(how_same(first, second, sizes, losses, turns) != DIFFERENT)


def how_same(
    first: Thumbnails, second: Thumbnails, sizes: Sizes, losses: FloatArray, turns: int
) -> npt.NDArray[np.int8]:
    """Classify pairs, given as to `same_drawing`, as DIFFERENT, WHOLE or CROPPED."""
    how = np.full(len(first), DIFFERENT, np.int8)
    scaled = np.maximum(losses, np.where(_is_scaled(sizes), _LOSS_OF_SCALING, 0))
    for turn in range(turns):
        rest = np.flatnonzero(how == DIFFERENT)
        if not rest.size:
            break
        view = turned(second[rest], np.full(len(rest), turn))
        common = upright_sizes(sizes[rest], turn)
        whole = _agree_whole(first[rest], view, common, scaled[rest])
        how[rest[whole]] = WHOLE
        # A file of the same size is no crop. What scaling loses, a crop is not forgiven.
        among = ~whole & (common[:, 0] != common[:, 1]).any(axis=1)
        left = rest[among]
        if left.size:
            crop = _agree_cropped(first[left], view[among], common[among], losses[left])
            how[left[crop]] = CROPPED
    return how


def _is_scaled(sizes: Sizes) -> Flags:
    areas = sizes.prod(axis=2)
    return np.asarray(areas.max(axis=1) > _SCALED * areas.min(axis=1))


def _agree_whole(first: Thumbnails, second: Thumbnails, sizes: Sizes, losses: FloatArray) -> Flags:
    one, other = (at_common_size(side.astype(np.float32), sizes) for side in (first, second))
    return agree_closely(_blurred(one), _blurred(other), most_of(losses), _EDGE)


def _agree_cropped(
    first: Thumbnails, second: Thumbnails, sizes: Sizes, losses: FloatArray
) -> Flags:
    small = [_halved(side) for side in (first, second)]
    _, wholes, others, crops, swap = laid(*small)
    crops = refined_crops(grey(wholes), grey(others), crops)
    crops = aligned(wholes.astype(np.float32), others.astype(np.float32), crops)
    one, other = (at_common_size(side.astype(np.float32), sizes) for side in (first, second))
    turn = swap[:, np.newaxis, np.newaxis, np.newaxis]
    whole, of_other = np.where(turn, other, one), np.where(turn, one, other)
    part = np.stack([cropped(of_other[..., channel], crops) for channel in range(3)], axis=3)
    return agree_closely(_blurred(whole), _blurred(part), most_of(losses), _CROP_EDGE)


def _halved(pictures: Thumbnails) -> Thumbnails:
    n = len(pictures)
    cells = pictures.reshape(n, THUMBNAIL, 2, THUMBNAIL, 2, 3)
    means: FloatArray = cells.mean(axis=(2, 4), dtype=np.float32)
    return np.asarray(np.rint(means), np.uint8)


def _blurred(pictures: FloatArray, times: int = 1) -> FloatArray:
    planes = [pictures[..., channel] for channel in range(pictures.shape[3])]
    for _ in range(times):
        planes = [smooth(plane) for plane in planes]
    return np.stack(planes, axis=3)


def most_of(losses: FloatArray, lossless: Closeness = LOSSLESS) -> FloatArray:
    """The local, overall and colour differences that are forgiven, shape (3, n)."""
    return np.asarray(np.array([lossless]).T + np.array([BY_LOSS]).T * losses, np.float32)


def agree_closely(
    first: FloatArray, second: FloatArray, most: FloatArray, edge: int = _EDGE
) -> Flags:
    """Tell which pictures (n, side, side, 3) differ by no more than most, shape (3, n).

    edge: pixels that are left out on each side.
    """
    second = second * gain(first, second)
    one, other = first @ _LUMA, second @ _LUMA
    inner = (slice(None), slice(edge, -edge), slice(edge, -edge))
    off = windows(np.square(one - other))[inner]
    contrast = np.maximum(_variance(one), _variance(other))[inner]
    colours = (_colour(first, one), _colour(second, other))
    off_colour = windows(np.square(colours[0] - colours[1]).mean(axis=3))[inner]
    local = (np.sqrt(off) / (_NOISE + _OF_CONTRAST * np.sqrt(contrast))).max(axis=(1, 2))
    overall = np.sqrt(off.sum(axis=(1, 2)) / (contrast.sum(axis=(1, 2)) + 1))
    colour = np.sqrt(off_colour.max(axis=(1, 2)))
    return np.asarray((local <= most[0]) & (overall <= most[1]) & (colour <= most[2]))


def _variance(planes: FloatArray) -> FloatArray:
    return np.clip(windows(np.square(planes)) - np.square(windows(planes)), 0, None)


def _colour(pictures: FloatArray, luma: FloatArray) -> FloatArray:
    """What is redder and what is bluer than grey, lossesly: shape (n, side, side, 2)."""
    return _blurred(np.stack([pictures[..., c] - luma for c in (0, 2)], axis=3), _COLOUR_BLURS)
