"""Whether two pictures are one: their thumbnails, laid over one another and compared.

A thumbnail is the whole picture squeezed into SIDE x SIDE pixels. Of two, one is turned as fits
best, and taken whole or as one of a few hundred crops, of it or of the other. Then two numbers
tell:

    colour  correlation of 12 x 12 cells' colours less their mean: brightness and contrast may
            differ, the picture's layout may not
    detail  correlation of what lies between neighbouring pixels, block by block, each block
            shifted by up to 3 pixels: what tells two pages of text apart

Both are at most 1, and 0 for a picture that shows nothing.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.vectors import FloatArray

Thumbnails = npt.NDArray[np.uint8]

SIDE = 96
"""Pixels of a thumbnail's sides."""

SHARES = (0.95, 0.9, 0.85, 0.8)
"""A crop keeps as much of width and height."""

_COARSE, _CELLS = 24, 12
_OFFSETS = 5
_PER_SHARE = _OFFSETS**2
_SHIFT = 3
_BLOCKS = 5
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
# Less contrast than so many grey levels, of a picture or of a block's detail, is noise.
_COLOUR_FLOOR, _DETAIL_FLOOR = 2.0, 1.0


class Agreement(NamedTuple):
    """How well pairs of pictures agree, shapes (n,), from -1 to 1."""

    colour: FloatArray
    detail: FloatArray


def compare(first: Thumbnails, second: Thumbnails, *, min_colour: float) -> Agreement:
    """Compare n pairs of thumbnails, each of shape (n, SIDE, SIDE, 3).

    min_colour: detail is computed of pairs whose colour is no less, and 0 for others.
    """
    second = _turned(first, second)
    small, other = _pooled(first), _pooled(second)
    of_second, crop_of_second = _best_crop(small, other)
    of_first, crop_of_first = _best_crop(other, small)
    swapped = of_first > of_second
    crops = np.where(swapped, crop_of_first, crop_of_second)
    small[swapped], other[swapped] = other[swapped], small[swapped]
    colour = _correlation(_resampled(small, _whole(small), _CELLS), _resampled(other, crops, _CELLS))
    detail = np.zeros_like(colour)
    chosen = np.flatnonzero(colour >= min_colour)
    if chosen.size:
        left, right = first[chosen] @ _GREY, second[chosen] @ _GREY
        turn = swapped[chosen]
        left[turn], right[turn] = right[turn], left[turn]
        detail[chosen] = _detail(left, _resampled(right[..., np.newaxis], crops[chosen], SIDE)[..., 0])
    return Agreement(colour, detail)


# Orientation.


def _orientations(pictures: FloatArray) -> list[FloatArray]:
    """The eight ways to turn and mirror square pictures, shape (n, side, side, 3)."""
    turns = [np.rot90(pictures, quarter, (1, 2)) for quarter in range(4)]
    return turns + [turned.swapaxes(1, 2) for turned in turns]


def _turned(first: Thumbnails, second: Thumbnails) -> Thumbnails:
    """The second of each pair in the orientation that agrees best with the first."""
    cells = _pooled(first, _CELLS)
    views = _orientations(_pooled(second, _CELLS))
    best = np.argmax([_correlation(cells, view) for view in views], axis=0)
    turned = np.empty_like(second)
    for number, view in enumerate(_orientations(second)):
        turned[best == number] = view[best == number]
    return turned


# Crops.


@cache
def _samplers(share: float, side: int, cells: int) -> FloatArray:
    """Matrices that average cells of a crop from a row of `side` pixels: (n, cells, side)."""
    starts = np.linspace(0, 1 - share, _OFFSETS) if share < 1 else np.zeros(1)
    edges = side * (starts[:, np.newaxis] + share * np.arange(cells + 1) / cells)
    pixels = np.arange(side)
    upper = np.minimum(edges[:, 1:, np.newaxis], pixels + 1)
    lower = np.maximum(edges[:, :-1, np.newaxis], pixels)
    weights = np.clip(upper - lower, 0, None)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def _best_crop(whole: FloatArray, cropped: FloatArray) -> tuple[FloatArray, npt.NDArray[np.intp]]:
    """The crop of the second that is most like the whole first: its correlation and number.

    Both of shape (n, _COARSE, _COARSE, 3). Number 0 is all of it.
    """
    n = len(whole)
    target = _centred((_resampled(whole, _whole(whole), _CELLS) @ _GREY).reshape(n, 1, -1))
    grey = cropped @ _GREY
    scores = []
    for share in (1.0, *SHARES):
        samplers = _samplers(share, _COARSE, _CELLS)
        k = len(samplers)
        stacked = samplers.reshape(-1, _COARSE)
        cells = (stacked @ grey @ stacked.T).reshape(n, k, _CELLS, k, _CELLS)
        candidates = _centred(cells.swapaxes(2, 3).reshape(n, k * k, -1))
        scores.append(np.einsum("nki,nki->nk", candidates, np.broadcast_to(target, candidates.shape)))
    all_scores = np.concatenate(scores, axis=1)
    best = all_scores.argmax(axis=1)
    return np.take_along_axis(all_scores, best[:, np.newaxis], axis=1)[:, 0], best


def _resampled(pictures: FloatArray, crops: npt.NDArray[np.intp], cells: int) -> FloatArray:
    """Crops of pictures (n, side, side, channels), by number: (n, cells, cells, channels)."""
    side = pictures.shape[1]
    out = np.empty((len(pictures), cells, cells, pictures.shape[3]), np.float32)
    for crop in np.unique(crops):
        of_crop = crops == crop
        share, row, column = (1.0, 0, 0)
        if crop:
            number, place = divmod(int(crop) - 1, _PER_SHARE)
            share, (row, column) = SHARES[number], divmod(place, _OFFSETS)
        samplers = _samplers(share, side, cells)
        rows, columns = samplers[row], samplers[column]
        part = np.tensordot(pictures[of_crop], columns, (2, 1))  # (n, side, channels, cells)
        out[of_crop] = np.tensordot(part, rows, (1, 1)).transpose(0, 3, 2, 1)
    return out


def _whole(pictures: FloatArray) -> npt.NDArray[np.intp]:
    return np.zeros(len(pictures), np.intp)


def _pooled(pictures: Thumbnails, side: int = _COARSE) -> FloatArray:
    """Thumbnails as the means of their cells, shape (n, side, side, 3)."""
    n, step = len(pictures), SIDE // side
    cells = pictures.reshape(n, side, step, side, step, 3)
    return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32), np.float32)


# Agreement.


def _centred(values: FloatArray) -> FloatArray:
    """Vectors, shape (..., d), less their means, of length 1; of next to no contrast, shorter."""
    centred = values - values.mean(axis=-1, keepdims=True)
    least = _COLOUR_FLOOR * values.shape[-1] ** 0.5
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, least), np.float32)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    n = len(first)
    left, right = _centred(first.reshape(n, -1)), _centred(second.reshape(n, -1))
    return np.asarray(np.einsum("ni,ni->n", left, right), np.float32)


def _detail(first: FloatArray, second: FloatArray) -> FloatArray:
    """Correlation of fine detail of pictures (n, SIDE, SIDE), each block at its best shift."""
    fine, other = _fine(first), _fine(second)
    inner = SIDE - 2 * _SHIFT
    fine = fine[:, _SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
    energy = _block_sums(fine * fine)
    floor = _DETAIL_FLOOR**2 * (inner // _BLOCKS) ** 2
    best = np.full(energy.shape, -1, np.float32)
    weights = np.zeros_like(energy)
    for down in range(2 * _SHIFT + 1):
        for right in range(2 * _SHIFT + 1):
            moved = other[:, down : down + inner, right : right + inner]
            others = _block_sums(moved * moved)
            scale = np.maximum(np.sqrt(energy * others), floor)
            best = np.maximum(best, _block_sums(fine * moved) / scale)
            if down == right == _SHIFT:
                weights = np.sqrt(energy) + np.sqrt(others)
    total = np.maximum(weights.sum(axis=(1, 2)), 1e-6)
    return np.asarray((best * weights).sum(axis=(1, 2)) / total, np.float32)


def _fine(pictures: FloatArray) -> FloatArray:
    """Pictures less their blur."""
    blurred = pictures
    for _ in range(2):
        blurred = _box(_box(blurred).swapaxes(1, 2)).swapaxes(1, 2)
    return pictures - blurred


def _box(pictures: FloatArray) -> FloatArray:
    padded = np.pad(pictures, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3, np.float32)


def _block_sums(pictures: FloatArray) -> FloatArray:
    n, inner = len(pictures), pictures.shape[1]
    step = inner // _BLOCKS
    blocks = pictures.reshape(n, _BLOCKS, step, _BLOCKS, step)
    return np.asarray(blocks.sum(axis=(2, 4)), np.float32)
