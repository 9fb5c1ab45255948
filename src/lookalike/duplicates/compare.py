"""Whether two images are one picture: their thumbnails, laid over one another and compared.

A thumbnail is the whole picture squeezed into SIDE x SIDE pixels. Of two, one is turned or mirrored
as fits best, and then taken whole or, where that is not it, as the crop of it, or of the
other, that fits best. Two numbers tell:

    colour  the correlation of 12 x 12 cells, red, green and blue: brightness and contrast may
            differ, what is where may not, and no single cell by much: a shirt of another colour or
            with a print on it is another picture
    detail  the correlation of what differs from its surroundings, block by block: this tells two
            pages of text apart

Both are at most 1, and near 0 for a picture that shows nothing.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Orientations
from lookalike.core.vectors import FloatArray
from lookalike.duplicates.drawings import (
    MOST,
    Sizes,
    Tolerance,
    agree,
    agree_cropped,
    at_common_size,
    is_drawing,
)

Thumbnails = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

SIDE = 96
"""Pixels of a thumbnail's sides."""

_COARSE, _CELLS = 24, 12
_CROPS = [(0.0, 1.0)] + [
    (place * (1 - share), place * (1 - share) + share)
    for share in (0.93, 0.86, 0.79)
    for place in (0.0, 0.5, 1.0)
]
"""Where a crop may begin and end, of the width and of the height."""

_UPRIGHT = 0.25
"""How much better a turned picture must fit to be taken for a crop: unlaid, a crop fits badly."""

_PROMISING = 0.6
_PROMISING_WHOLE, _PROMISING_CROP = 0.85, 0.8  # of drawings' cells

TURNS = 8
_SWAPPING = (1, 3, 4, 6)
"""The turns that swap width and height."""

_REFINEMENTS = (0.03, 0.015)
_SHIFT = 3
_BLOCKS = 5
_GREY = np.array([0.299, 0.587, 0.114], np.float32)
_UNSEEN = 5.0  # grey levels by which the means of cells may differ whatever they correlate

_STRIKING = 50.0
"""Grey levels by which no cell may differ beyond brightness and contrast."""

# Less contrast, in grey levels, is noise.
_COLOUR_FLOOR, _DETAIL_FLOOR = 0.5, 1.0


class Agreement(NamedTuple):
    """From which colour and detail on two images are one picture (see benchmarks/duplicates.py)."""

    colour: float
    detail: float


LEAST = Agreement(colour=0.95, detail=0.5)


def same_picture(
    first: Thumbnails,
    second: Thumbnails,
    least: Agreement = LEAST,
    *,
    sizes: Sizes | None = None,
    orientations: Orientations = "auto",
    most: Tolerance = MOST,
) -> Flags:
    """Tell which of n pairs of thumbnails, both of shape (n, SIDE, SIDE, 3), are one picture.

    sizes: width and height of the two files of each pair, shape (n, 2, 2); without them no file
    has less than SIDE pixels. orientations: "upright" turns and mirrors none, "all" every picture,
    "auto" photographs alone. least, most: of photographs and of drawings.
    """
    drawn = is_drawing(first) | is_drawing(second)
    same = np.zeros(len(first), bool)
    chosen = np.flatnonzero(~drawn)
    if chosen.size:
        turns = 1 if orientations == "upright" else TURNS
        same[chosen] = _same_photograph(first[chosen], second[chosen], least, turns)
    chosen = np.flatnonzero(drawn)
    if chosen.size:
        turns = TURNS if orientations == "all" else 1
        known = np.full((len(chosen), 2, 2), SIDE) if sizes is None else sizes[chosen]
        same[chosen] = _same_drawing(first[chosen], second[chosen], known, most, turns)
    return same


def _same_photograph(first: Thumbnails, second: Thumbnails, least: Agreement, turns: int) -> Flags:
    views = _correlations_of_views(first, second)[:turns]
    view = turned(second, views.argmax(axis=0))
    same = _agree(first, view, _whole(len(first)), least, shift=0)
    rest = np.flatnonzero(~same)
    if rest.size:
        views[0] += _UPRIGHT
        view = turned(second[rest], views[:, rest].argmax(axis=0))
        same[rest] = _agree_cropped(first[rest], view, least)
    return same


def _same_drawing(
    first: Thumbnails, second: Thumbnails, sizes: Sizes, most: Tolerance, turns: int
) -> Flags:
    views = _correlations_of_views(first, second)[:turns]
    same = np.zeros(len(first), bool)
    for turn in range(turns):
        chosen = np.flatnonzero(~same & (views[turn] >= _PROMISING_WHOLE))
        if chosen.size:
            view = turned(second[chosen], np.full(len(chosen), turn))
            common = upright_sizes(sizes[chosen], turn)
            one, other = (at_common_size(_floats(side), common) for side in (first[chosen], view))
            same[chosen] = agree(one, other, most)
    rest = np.flatnonzero(~same)
    if rest.size:
        views[0] += _UPRIGHT
        best = views[:, rest].argmax(axis=0)
        common = np.stack(
            [upright_sizes(each, turn) for each, turn in zip(sizes[rest], best, strict=True)]
        )
        view = turned(second[rest], best)
        same[rest] = _drawings_agree_cropped(first[rest], view, common, most)
    return same


def _drawings_agree_cropped(
    first: Thumbnails, second: Thumbnails, sizes: Sizes, most: Tolerance
) -> Flags:
    fit, wholes, others, crops, _ = laid(first, second)
    same = fit >= _PROMISING_CROP
    chosen = np.flatnonzero(same)
    if chosen.size:
        refined = refined_crops(grey(wholes[chosen]), grey(others[chosen]), crops[chosen])
        cells = _cropped(_pooled(others[chosen], _COARSE), refined, _CELLS)
        near = _correlation(_pooled(wholes[chosen], _CELLS), cells) >= _PROMISING_WHOLE
        same[chosen], chosen, refined = near, chosen[near], refined[near]
    if chosen.size:
        one, other = (
            at_common_size(_floats(side[chosen]), sizes[chosen]) for side in (wholes, others)
        )
        same[chosen] = agree_cropped(one, other, refined, most)
    return same


def upright_sizes(sizes: Sizes, turn: int) -> Sizes:
    """Sizes of pairs, shape (..., 2, 2), whose second picture is turned."""
    sizes = sizes.copy()
    if turn in _SWAPPING:
        sizes[..., 1, :] = sizes[..., 1, ::-1]
    return sizes


def _floats(pictures: Thumbnails) -> FloatArray:
    return pictures.astype(np.float32)


def laid(
    first: Thumbnails, second: Thumbnails
) -> tuple[FloatArray, Thumbnails, Thumbnails, FloatArray, Flags]:
    """Which of two is the crop of the other: how well it fits, the whole, the other, its crop.

    And whether the second is the whole.
    """
    of_second, crops = _best_crops(grey(first), grey(second))
    of_first, crops_of_first = _best_crops(grey(second), grey(first))
    swap = np.asarray(of_first > of_second)
    crops[swap] = crops_of_first[swap]
    turn = swap[:, np.newaxis, np.newaxis, np.newaxis]
    wholes, others = np.where(turn, second, first), np.where(turn, first, second)
    return np.maximum(of_first, of_second), wholes, others, crops, swap


def _agree_cropped(first: Thumbnails, second: Thumbnails, least: Agreement) -> Flags:
    fit, wholes, others, crops, _ = laid(first, second)
    same = fit >= _PROMISING
    chosen = np.flatnonzero(same)
    if chosen.size:
        wholes, others = wholes[chosen], others[chosen]
        refined = refined_crops(grey(wholes), grey(others), crops[chosen])
        # A crop is laid out to within a pixel or two.
        same[chosen] = _agree(wholes, others, refined, least, shift=_SHIFT)
    return same


def _agree(
    wholes: Thumbnails, others: Thumbnails, crops: FloatArray, least: Agreement, *, shift: int
) -> Flags:
    """Tell which pictures agree with crops of others, whose blocks may be shifted by pixels."""
    cells = _cropped(_pooled(others, _COARSE), crops, _CELLS)
    same = _colours_agree(_pooled(wholes, _CELLS), cells, least.colour)
    chosen = np.flatnonzero(same)
    if chosen.size:
        fine = _cropped((others[chosen] @ _GREY)[..., np.newaxis], crops[chosen], SIDE)[..., 0]
        same[chosen] = _detail(wholes[chosen] @ _GREY, fine, shift) >= least.detail
    return same


# Orientation.


def orientations_of(pictures: npt.NDArray[np.generic]) -> list[npt.NDArray[np.generic]]:
    """The eight ways to turn and mirror square pictures, shape (n, side, side, 3)."""
    turns = [np.rot90(pictures, quarters, (1, 2)) for quarters in range(4)]
    return turns + [turned.swapaxes(1, 2) for turned in turns]


def _correlations_of_views(first: Thumbnails, second: Thumbnails) -> FloatArray:
    """How well the first of each pair correlates with each view of the second, shape (8, n)."""
    cells = _pooled(first, _CELLS)
    views = orientations_of(_pooled(second, _CELLS))
    return np.stack([_correlation(cells, np.asarray(view, np.float32)) for view in views])


def turned(pictures: Thumbnails, numbers: npt.NDArray[np.intp]) -> Thumbnails:
    """Each picture in the orientation of this number."""
    turned = np.empty_like(pictures)
    for number, view in enumerate(orientations_of(pictures)):
        turned[numbers == number] = view[numbers == number]
    return turned


# Crops: (2, 2) numbers from 0 to 1, where the rows and where the columns begin and end.


def _whole(n: int) -> FloatArray:
    return np.tile(np.array([0, 1], np.float32), (n, 2, 1))


def _samplers(edges: FloatArray, side: int, cells: int) -> FloatArray:
    """Matrices (..., cells, side) that average pixels into cells between edges, shape (..., 2)."""
    begin, end = edges[..., :1], edges[..., 1:]
    bounds = side * (begin + (end - begin) * np.arange(cells + 1, dtype=np.float32) / cells)
    pixels = np.arange(side, dtype=np.float32)
    upper = np.minimum(bounds[..., 1:, np.newaxis], pixels + 1)
    lower = np.maximum(bounds[..., :-1, np.newaxis], pixels)
    weights = np.clip(upper - lower, 0, None)
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), np.float32)


def _best_crops(wholes: FloatArray, others: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the correlation and edges of the crop of each other that is most like the whole.

    Both are grey, of shape (n, _COARSE, _COARSE).
    """
    n, k = len(wholes), len(_CROPS)
    edges = np.array(_CROPS, np.float32)
    samplers = _samplers(edges, _COARSE, _CELLS).reshape(k * _CELLS, _COARSE)
    cells = (samplers @ others @ samplers.T).reshape(n, k, _CELLS, k, _CELLS)
    crops = np.asarray(cells.swapaxes(2, 3).reshape(n, k * k, -1), np.float32)
    scores = (_centred(crops) @ _target(wholes))[..., 0]
    best = scores.argmax(axis=1)
    found = np.stack([edges[best // k], edges[best % k]], axis=1)
    return np.take_along_axis(scores, best[:, np.newaxis], axis=1)[:, 0], found


def refined_crops(wholes: FloatArray, others: FloatArray, crops: FloatArray) -> FloatArray:
    """Move the edges of crops a little, rows and columns in turn, to where they fit best."""
    target = _target(wholes)
    moves = np.array([(a, b) for a in (0, -1, 1) for b in (0, -1, 1)], np.float32)
    crops = crops.copy()
    for step in _REFINEMENTS:
        for axis in (0, 1):
            edges = np.clip(crops[:, np.newaxis, axis] + step * moves, 0, 1)
            views = others if axis == 0 else others.swapaxes(1, 2)
            fixed = _samplers(crops[:, 1 - axis], _COARSE, _CELLS)
            moved = _samplers(edges, _COARSE, _CELLS)
            cells = moved @ (views @ fixed.swapaxes(1, 2))[:, np.newaxis]
            cells = cells if axis == 0 else cells.swapaxes(2, 3)
            flat = np.asarray(cells.reshape(len(cells), len(moves), -1), np.float32)
            best = (_centred(flat) @ target)[..., 0].argmax(axis=1)
            crops[:, axis] = edges[np.arange(len(edges)), best]
    return crops


def _target(wholes: FloatArray) -> FloatArray:
    """Whole pictures (n, _COARSE, _COARSE) as centred columns, shape (n, cells, 1)."""
    sampler = _samplers(np.array([0, 1], np.float32), _COARSE, _CELLS)
    cells = np.asarray(sampler @ wholes @ sampler.T, np.float32)
    return _centred(cells.reshape(len(cells), _CELLS**2))[..., np.newaxis]


def _cropped(pictures: FloatArray, crops: FloatArray, cells: int) -> FloatArray:
    """Crops of pictures (n, side, side, channels), shape (n, cells, cells, channels)."""
    samplers = _samplers(crops, pictures.shape[1], cells)
    planes = np.moveaxis(pictures, 3, 1)
    sampled = samplers[:, np.newaxis, 0] @ planes @ samplers[:, np.newaxis, 1].swapaxes(2, 3)
    return np.asarray(np.moveaxis(sampled, 1, 3), np.float32)


def grey(pictures: Thumbnails) -> FloatArray:
    return np.asarray(_pooled(pictures, _COARSE) @ _GREY, np.float32)


def _pooled(pictures: Thumbnails, side: int) -> FloatArray:
    """Thumbnails as means of cells: (n, side, side, 3)."""
    n, step = len(pictures), SIDE // side
    # One axis after the other, and the long one first: this is several times as quick.
    rows = pictures.reshape(n, side, step, SIDE * 3).sum(axis=2, dtype=np.float32)
    cells = rows.reshape(n, side, side, step, 3).sum(axis=3)
    return np.asarray(cells / step**2, np.float32)


# Agreement.


def _centred(values: FloatArray) -> FloatArray:
    """Vectors (..., d) less their means, of length 1; those with next to no contrast, shorter."""
    centred = values - values.mean(axis=-1, keepdims=True)
    least = _COLOUR_FLOOR * values.shape[-1] ** 0.5
    lengths = np.linalg.norm(centred, axis=-1, keepdims=True)
    return np.asarray(centred / np.maximum(lengths, least), np.float32)


def _correlation(first: FloatArray, second: FloatArray) -> FloatArray:
    shape = len(first), int(np.prod(first.shape[1:]))
    left, right = _centred(first.reshape(shape)), _centred(second.reshape(shape))
    return np.asarray(np.einsum("ni,ni->n", left, right), np.float32)


def _colours_agree(first: FloatArray, second: FloatArray, least: float) -> Flags:
    """Whether cells' colours correlate, or differ by next to nothing: a lawn's hardly correlate."""
    correlation = _correlation(first, second)
    contrast = np.maximum(first.std(axis=(1, 2, 3)), second.std(axis=(1, 2, 3)))
    unexplained = contrast * np.sqrt(np.clip(1 - correlation**2, 0, None))
    agree = (correlation >= least) | (unexplained <= _UNSEEN)
    return np.asarray(agree & (_greatest_difference(first, second) <= _STRIKING))


def _greatest_difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """By how many grey levels a cell differs at most, beyond brightness and contrast."""
    shape = len(first), int(np.prod(first.shape[1:]))
    one, other = first.reshape(shape), second.reshape(shape)
    one, other = (cells - cells.mean(axis=1, keepdims=True) for cells in (one, other))
    products = np.einsum("ni,ni->n", one, other)

    def beyond(explaining: FloatArray, cells: FloatArray) -> FloatArray:
        squares = np.einsum("ni,ni->n", explaining, explaining)
        contrast = products / np.maximum(squares, np.finfo(np.float32).tiny)
        difference = cells - contrast[:, np.newaxis] * explaining
        return np.asarray(np.abs(difference).max(axis=1), np.float32)

    return np.minimum(beyond(one, other), beyond(other, one))


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
