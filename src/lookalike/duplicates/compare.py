"""Whether two images are one picture: their thumbnails, laid over one another and compared.

A thumbnail is the whole picture squeezed into SIDE x SIDE pixels. Of two, one is turned or mirrored
as fits best, and then taken whole or, where that is not it, as the best of a hundred crops, of it
or of the other. Two numbers tell:

    colour  the correlation of 12 x 12 cells, red, green and blue: brightness and contrast may
            differ, what is where may not
    detail  the correlation of what differs from its surroundings, block by block: this tells two
            pages of text apart

Both are at most 1, and near 0 for a picture that shows nothing.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.vectors import FloatArray

Thumbnails = npt.NDArray[np.uint8]
Crops = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

SIDE = 96
"""Pixels of a thumbnail's sides."""

SHARES = (0.95, 0.9, 0.85, 0.8)
"""What a crop may keep, of the width and of the height."""

_COARSE, _CELLS = 24, 12
_OFFSETS = 5
_PER_SHARE = _OFFSETS**2
_WHOLE = 0
_SHIFT = 3
_BLOCKS = 5
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
# Less contrast, in grey levels, is noise.
_COLOUR_FLOOR, _DETAIL_FLOOR = 2.0, 1.0


class Agreement(NamedTuple):
    """From which colour and detail on two images are one picture (see benchmarks/duplicates.py)."""

    colour: float
    detail: float


LEAST = Agreement(colour=0.95, detail=0.5)


def same_picture(first: Thumbnails, second: Thumbnails, least: Agreement = LEAST) -> Flags:
    """Tell which of n pairs of thumbnails, both of shape (n, SIDE, SIDE, 3), are one picture."""
    second = _turned(first, second)
    whole = np.full(len(first), _WHOLE)
    same = _agree(first, second, whole, least)
    rest = np.flatnonzero(~same)
    if rest.size:
        same[rest] = _agree_cropped(first[rest], second[rest], least)
    return same


def _agree_cropped(first: Thumbnails, second: Thumbnails, least: Agreement) -> Flags:
    grey, other = _pooled(first, _COARSE) @ _GREY, _pooled(second, _COARSE) @ _GREY
    of_second, crops = _best_crop(grey, other)
    of_first, crops_of_first = _best_crop(other, grey)
    swap = of_first > of_second
    crops[swap] = crops_of_first[swap]
    swap = swap[:, np.newaxis, np.newaxis, np.newaxis]
    return _agree(np.where(swap, second, first), np.where(swap, first, second), crops, least)


def _agree(wholes: Thumbnails, others: Thumbnails, crops: Crops, least: Agreement) -> Flags:
    """Compare pictures with crops of others, these by number."""
    cells = _cropped(_pooled(others, _COARSE), crops, _CELLS)
    same = _correlation(_pooled(wholes, _CELLS), cells) >= least.colour
    chosen = np.flatnonzero(same)
    for some in (chosen[crops[chosen] == _WHOLE], chosen[crops[chosen] != _WHOLE]):
        if some.size:
            # The best of a hundred crops is laid out to within a pixel or two.
            shift = 0 if crops[some[0]] == _WHOLE else _SHIFT
            fine = _cropped((others[some] @ _GREY)[..., np.newaxis], crops[some], SIDE)[..., 0]
            same[some] = _detail(wholes[some] @ _GREY, fine, shift) >= least.detail
    return same


# Orientation.


def _orientations(pictures: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
    """The eight ways to turn and mirror square pictures, shape (n, side, side, 3)."""
    turns = [np.rot90(pictures, quarters, (1, 2)) for quarters in range(4)]
    return turns + [turned.swapaxes(1, 2) for turned in turns]


def _turned(first: Thumbnails, second: Thumbnails) -> Thumbnails:
    """The second of each pair, in the orientation that correlates best with the first."""
    cells = _pooled(first, _CELLS)
    views = _orientations(_pooled(second, _CELLS))
    best = np.argmax([_correlation(cells, np.asarray(view, np.float32)) for view in views], axis=0)
    turned = np.empty_like(second)
    for number, view in enumerate(_orientations(second)):
        turned[best == number] = view[best == number]
    return turned


# Crops.


@cache
def _samplers(share: float, side: int, cells: int) -> FloatArray:
    """Matrices that average `side` pixels into the cells of each crop: (n, cells, side)."""
    starts = np.linspace(0, 1 - share, _OFFSETS if share < 1 else 1)
    edges = side * (starts[:, np.newaxis] + share * np.arange(cells + 1) / cells)
    pixels = np.arange(side)
    upper = np.minimum(edges[:, 1:, np.newaxis], pixels + 1)
    lower = np.maximum(edges[:, :-1, np.newaxis], pixels)
    weights = np.clip(upper - lower, 0, None)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def _best_crop(wholes: FloatArray, others: FloatArray) -> tuple[FloatArray, Crops]:
    """Return the correlation and number of the crop of the second that is most like the first.

    Both are grey, of shape (n, _COARSE, _COARSE).
    """
    n = len(wholes)
    whole = _samplers(1.0, _COARSE, _CELLS)[0]
    target = _centred((whole @ wholes @ whole.T).reshape(n, -1, 1))
    found = []
    for share in SHARES:
        samplers = _samplers(share, _COARSE, _CELLS).reshape(-1, _COARSE)
        cells = (samplers @ others @ samplers.T).reshape(n, _OFFSETS, _CELLS, _OFFSETS, _CELLS)
        cells = cells.swapaxes(2, 3).reshape(n, _PER_SHARE, -1, 1)
        crops = _centred(np.asarray(cells, np.float32), axis=2)
        found.append((crops[..., 0] @ target)[..., 0])
    scores = np.concatenate(found, axis=1)
    best = scores.argmax(axis=1)
    return np.take_along_axis(scores, best[:, np.newaxis], axis=1)[:, 0], best + 1


def _cropped(pictures: FloatArray, crops: Crops, cells: int) -> FloatArray:
    """Crops of pictures (n, side, side, channels), by number: (n, cells, cells, channels)."""
    side = pictures.shape[1]
    out = np.empty((len(pictures), cells, cells, pictures.shape[3]), np.float32)
    for crop in np.unique(crops):
        share, place = (1.0, 0) if crop == _WHOLE else (SHARES[0], 0)
        if crop != _WHOLE:
            number, place = divmod(int(crop) - 1, _PER_SHARE)
            share = SHARES[number]
        row, column = divmod(place, _OFFSETS)
        samplers = _samplers(share, side, cells)
        chosen = crops == crop
        across = np.tensordot(pictures[chosen], samplers[column], (2, 1))
        out[chosen] = np.tensordot(across, samplers[row], (1, 1)).transpose(0, 3, 2, 1)
    return out


def _pooled(pictures: Thumbnails, side: int) -> FloatArray:
    """Thumbnails as means of cells: (n, side, side, 3)."""
    n, step = len(pictures), SIDE // side
    cells = pictures.reshape(n, side, step, side, step, 3)
    return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32), np.float32)


# Agreement.


def _centred(values: FloatArray, axis: int = 1) -> FloatArray:
    """Less its mean and of length 1, along an axis; with next to no contrast, shorter."""
    centred = values - values.mean(axis=axis, keepdims=True)
    least = _COLOUR_FLOOR * values.shape[axis] ** 0.5
    lengths = np.linalg.norm(centred, axis=axis, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, least), np.float32)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    n = len(first)
    left, right = _centred(first.reshape(n, -1)), _centred(second.reshape(n, -1))
    return np.asarray(np.einsum("ni,ni->n", left, right), np.float32)


def _detail(first: FloatArray, second: FloatArray, shift: int) -> FloatArray:
    """Correlate the detail of pictures (n, SIDE, SIDE), each block at its best shift of pixels."""
    fine, other = _fine(first), _fine(second)
    inner = SIDE - 2 * _SHIFT
    fine = fine[:, _SHIFT : _SHIFT + inner, _SHIFT : _SHIFT + inner]
    energy = _block_sums(fine * fine)
    best, weights = np.full_like(energy, -1), np.zeros_like(energy)
    for down in range(_SHIFT - shift, _SHIFT + shift + 1):
        for right in range(_SHIFT - shift, _SHIFT + shift + 1):
            moved = other[:, down : down + inner, right : right + inner]
            others = _block_sums(moved * moved)
            least = (_DETAIL_FLOOR * inner / _BLOCKS) ** 2
            scale = np.maximum(np.sqrt(energy * others), least)
            best = np.maximum(best, _block_sums(fine * moved) / scale)
            if down == right == _SHIFT:
                weights = np.sqrt(energy) + np.sqrt(others)
    total = np.maximum(weights.sum(axis=(1, 2)), np.finfo(np.float32).tiny)
    return np.asarray((best * weights).sum(axis=(1, 2)) / total, np.float32)


def _fine(pictures: FloatArray) -> FloatArray:
    """Pictures less their blur."""
    blurred = pictures
    for _ in range(2):
        blurred = _box(_box(blurred).swapaxes(1, 2)).swapaxes(1, 2)
    return np.asarray(pictures - blurred, np.float32)


def _box(pictures: FloatArray) -> FloatArray:
    padded = np.pad(pictures, ((0, 0), (1, 1), (0, 0)), mode="edge")
    return np.asarray((padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]) / 3, np.float32)


def _block_sums(pictures: FloatArray) -> FloatArray:
    n, step = len(pictures), pictures.shape[1] // _BLOCKS
    blocks = pictures.reshape(n, _BLOCKS, step, _BLOCKS, step)
    return np.asarray(blocks.sum(axis=(2, 4)), np.float32)
