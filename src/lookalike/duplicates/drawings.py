"""Whether two drawings are one picture: laid over one another, pixel by pixel.

Drawings of one family, such as the cards of a deck or the icons of a theme, share all but a small
sign, and have sharp edges and hardly any noise. So the largest local difference decides, relative
to the contrast there, and the difference of all that is drawn, relative to its contrast; the empty
ground, which has none, weighs nothing. Both pictures are first brought to the fewer pixels that
either file has: what only one of them can show tells nothing.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.vectors import FloatArray

Flags = npt.NDArray[np.bool_]
Sizes = npt.NDArray[np.int64]
"""Width and height in pixels of the files of n pairs, shape (n, 2 files, 2)."""


class Tolerance(NamedTuple):
    """Up to which difference two drawings are one picture (see benchmarks/duplicates.py).

    local: of the largest in a window, relative to its contrast. overall: of all windows together.
    """

    local: float
    overall: float


MOST = Tolerance(local=2.2, overall=0.6)
"""Of thumbnails, from which on the files are compared: at so few pixels JPEG's noise is as much as
a small sign."""

NEARLY_NONE = Tolerance(local=0.5, overall=0.15)
"""Of thumbnails whose files can no longer be read."""

_COLOURS = 16
"""A drawing is mostly of so few colours, of 32 levels each of red, green and blue,"""

_SHARE = 0.55
"""to at least this share of its pixels,"""

_GROUND = 0.1
"""of them at least this share of one colour,"""

_DIFFERENT = 0.2
"""and has at most so many colours a pixel: a photograph on an empty ground has more."""

_FLAT = 0.18
"""The least share of its pixels that have exactly the colour of the next, across and down."""

_EVERY = 2
_LEAST_GAIN = 0.5
_WINDOW = 2
_NOISE = 8.0
"""Levels that differ anywhere."""

_OF_CONTRAST = 0.5
_STEPS = 3
_FARTHEST = 0.03
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def is_drawing(pictures: npt.NDArray[np.uint8]) -> Flags:
    """Tell which pictures, shape (n, side, side, 3), are drawings: flat, and of a few colours."""
    levels = (pictures[:, ::_EVERY, ::_EVERY] >> 3).astype(np.int32)
    colours = levels[..., 0] << 10 | levels[..., 1] << 5 | levels[..., 2]
    across = (pictures[:, :, 1:] == pictures[:, :, :-1]).all(axis=3).mean(axis=(1, 2))
    down = (pictures[:, 1:] == pictures[:, :-1]).all(axis=3).mean(axis=(1, 2))
    drawn = np.minimum(across, down) >= _FLAT
    for row in np.flatnonzero(drawn):
        pixels = np.sort(colours[row], axis=None)
        counts = np.sort(np.diff(np.flatnonzero(np.diff(pixels, prepend=-1, append=-1))))
        is_plain = counts[-_COLOURS:].sum() >= _SHARE * pixels.size
        is_plain &= counts[-1] >= _GROUND * pixels.size
        drawn[row] = is_plain and counts.size <= _DIFFERENT * pixels.size
    return np.asarray(drawn)


def agree(first: FloatArray, second: FloatArray, most: Tolerance) -> Flags:
    """Tell which pairs of pictures (n, side, side, 3) differ by no more than is tolerated.

    Those that show nothing agree with none.
    """
    second = second * gain(first, second)
    off = windows(_mean_colour(np.square(first - second)))
    contrast = np.maximum(_variance(first), _variance(second))
    local = (np.sqrt(off) / (_NOISE + _OF_CONTRAST * np.sqrt(contrast))).max(axis=(1, 2))
    overall = np.sqrt(off.sum(axis=(1, 2)) / (contrast.sum(axis=(1, 2)) + 1))
    shows = contrast.max(axis=(1, 2)) > _NOISE**2
    return np.asarray((local <= most.local) & (overall <= most.overall) & shows)


def gain(first: FloatArray, second: FloatArray) -> FloatArray:
    """How much brighter the first of each pair is, the ground and all."""
    products = np.einsum("nijc,nijc->n", first, second)
    squares = np.einsum("nijc,nijc->n", second, second)
    ratio = np.clip(products / np.maximum(squares, 1), _LEAST_GAIN, 1 / _LEAST_GAIN)
    return np.asarray(ratio[:, np.newaxis, np.newaxis, np.newaxis], np.float32)


def at_common_size(pictures: FloatArray, sizes: Sizes) -> FloatArray:
    """Pictures (n, side, side, 3) as if their files had the fewer pixels of either file's."""
    side = pictures.shape[1]
    common = np.minimum(sizes[:, 0], sizes[:, 1])
    scaled = pictures.copy()
    for row in np.flatnonzero((common < side).any(axis=1)):
        across, down = (_fewer_pixels(side, int(length)) for length in common[row])
        planes = np.moveaxis(scaled[row], 2, 0)
        scaled[row] = np.moveaxis(down @ planes @ across.T, 0, 2)
    return scaled


@lru_cache(maxsize=256)
def _fewer_pixels(side: int, length: int) -> FloatArray:
    """The matrix that scales a line of pixels to fewer, and back."""
    if length >= side:
        return np.eye(side, dtype=np.float32)
    image = Image.fromarray(np.eye(side, dtype=np.float32))
    for height in (length, side):
        image = image.resize((side, height), Image.Resampling.LANCZOS)
    return np.asarray(image, np.float32)


# Crops: (2, 2) numbers from 0 to 1, where the rows and where the columns begin and end.


def aligned(wholes: FloatArray, others: FloatArray, crops: FloatArray) -> FloatArray:
    """Move the edges of crops of others to within a part of a pixel, by Gauss and Newton's method.

    wholes, others: shape (n, side, side, 3); crops: (n, 2, 2).
    """
    target, views = smooth(wholes @ _GREY), smooth(others @ _GREY)
    n, side = target.shape[:2]
    step = 1 / side
    crops = crops.copy()
    moves = step * np.eye(4, dtype=np.float32).reshape(4, 1, 2, 2)
    for _ in range(_STEPS):
        base = cropped(views, crops)
        slopes = np.stack([(cropped(views, crops + move) - base) / step for move in moves], axis=1)
        slopes = slopes.reshape(n, 4, -1)
        rest = (target - base).reshape(n, -1, 1)
        matrix = slopes @ slopes.swapaxes(1, 2)
        matrix += (
            np.eye(4, dtype=np.float32)
            * (1e-3 * np.trace(matrix, axis1=1, axis2=2) + 1)[:, np.newaxis, np.newaxis]
        )
        change = np.linalg.solve(matrix, slopes @ rest).reshape(n, 2, 2)
        crops = np.clip(crops + np.clip(change, -_FARTHEST, _FARTHEST), 0, 1)
    return np.asarray(crops, np.float32)


def cropped(pictures: FloatArray, crops: FloatArray) -> FloatArray:
    """Crops of grey pictures (n, side, side), scaled to the whole's pixels."""
    side = pictures.shape[1]
    begin, end = crops[..., :1], crops[..., 1:]
    places = side * (begin + (end - begin) * (np.arange(side, dtype=np.float32) + 0.5) / side) - 0.5
    places = np.clip(places, 0, side - 1)[..., np.newaxis]
    weights = np.clip(1 - np.abs(places - np.arange(side, dtype=np.float32)), 0, None)
    return np.asarray(weights[:, 0] @ pictures @ weights[:, 1].swapaxes(1, 2), np.float32)


def agree_cropped(
    wholes: FloatArray, others: FloatArray, crops: FloatArray, most: Tolerance
) -> Flags:
    """Tell which pictures (n, side, side, 3) agree with these crops of others."""
    moved = aligned(wholes, others, crops)
    planes = [cropped(others[..., channel], moved) for channel in range(3)]
    # Scaling blurs; so is what it is compared with.
    one, other = (
        np.stack([smooth(plane) for plane in side], axis=3)
        for side in ([wholes[..., channel] for channel in range(3)], planes)
    )
    inner = slice(_WINDOW, -_WINDOW)  # at its edges a crop is scaled without what was beyond them
    return agree(one[:, inner, inner], other[:, inner, inner], most)


# Windows.


def _variance(pictures: FloatArray) -> FloatArray:
    """The variance in the window around each pixel, the mean of the three colours': (n, s, s)."""
    squared_means = sum(np.square(windows(pictures[..., channel])) for channel in range(3)) / 3
    squares = windows(_mean_colour(np.square(pictures)))
    return np.asarray(np.clip(squares - squared_means, 0, None), np.float32)


def _mean_colour(pictures: FloatArray) -> FloatArray:
    # Not numpy's mean, which is slow along so short an axis.
    return np.asarray((pictures[..., 0] + pictures[..., 1] + pictures[..., 2]) / 3, np.float32)


def windows(planes: FloatArray) -> FloatArray:
    """The mean of the window around each pixel, shape (n, side, side)."""
    side, width = planes.shape[1], 2 * _WINDOW + 1
    padded = np.pad(planes, ((0, 0), (_WINDOW, _WINDOW), (_WINDOW, _WINDOW)), mode="edge")
    rows = np.zeros((len(planes), side, side + width - 1), np.float32)
    for k in range(width):
        rows += padded[:, k : k + side]
    sums = np.zeros(planes.shape, np.float32)
    for k in range(width):
        sums += rows[:, :, k : k + side]
    return np.asarray(sums / width**2, np.float32)


def smooth(planes: FloatArray) -> FloatArray:
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return np.asarray((rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16, np.float32)
