"""Drawings whose thumbnails are all but equal: pairs that neither embeddings nor hashes bring.

An embedding of fine lines changes more with their scale than from one pattern to another, and so
the nearest of such a drawing may all be others. The means of 16 x 16 cells of its thumbnail do not
change so: a copy that is not cropped differs by less than MOST levels.
"""

from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from lookalike.core.progress import Progress
from lookalike.core.vectors import FloatArray
from lookalike.database.table import VectorTable
from lookalike.duplicates.compare import SIDE, Thumbnails
from lookalike.duplicates.drawings import is_drawing
from lookalike.duplicates.hashes import thumbnails
from lookalike.duplicates.pictures import Images, Numbers

Cells = npt.NDArray[np.uint8]

MOST = 3.0
"""Grey levels, root mean square, by which the cells of two may differ (copies by up to 1)."""

NEAREST = 16
"""Of those nearer, so many are compared: a thousand empty pictures are all alike."""

_CELLS = 16
_BATCH, _BLOCK = 256, 128
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def alike_drawings(
    table: VectorTable, images: Images, pictures: Numbers, workers: Executor, progress: Progress
) -> tuple[Numbers, Numbers]:
    """Return pairs of these pictures with nearly equal thumbnails, at least one a drawing."""

    def look(batch: Numbers) -> tuple[Numbers, Cells, npt.NDArray[np.bool_]]:
        found = thumbnails(table, images, batch)
        pixels = np.stack([np.zeros((SIDE, SIDE, 3), np.uint8), *found.values()])[1:]
        return np.array(list(found), np.int64), cells_of(pixels), is_drawing(pixels)

    batches = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    parts = [(np.empty(0, np.int64), np.empty((0, _CELLS**2), np.uint8), np.empty(0, np.bool_))]
    for part in workers.map(look, batches):
        parts.append(part)
        progress(min((len(parts) - 1) * _BATCH, len(pictures)), len(pictures))
    numbers, cells, drawn = (np.concatenate(column) for column in zip(*parts, strict=True))
    one, other = pairs_of_cells(cells, drawn)
    return numbers[one], numbers[other]


def cells_of(pictures: Thumbnails) -> Cells:
    """The brightness of cells of thumbnails (n, SIDE, SIDE, 3), in levels: (n, cells)."""
    n, step = len(pictures), SIDE // _CELLS
    luma = np.asarray(pictures @ _GREY, np.float32)
    means = luma.reshape(n, _CELLS, step, _CELLS, step).mean(axis=(2, 4))
    return np.asarray(np.rint(means).reshape(n, _CELLS**2), np.uint8)


def pairs_of_cells(cells: Cells, drawn: npt.NDArray[np.bool_]) -> tuple[Numbers, Numbers]:
    """Return pairs of rows, one of them drawn, that differ by MOST: of each drawn the NEAREST."""
    # Pictures differ by no less than their means do, so that few have to be compared.
    brightness = cells.mean(axis=1)
    order = np.argsort(brightness, kind="stable")
    order_of_drawn = order[drawn[order]]
    ones, others = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start in range(0, len(order_of_drawn), _BLOCK):
        rows = order_of_drawn[start : start + _BLOCK]
        ends = brightness[rows[[0, -1]]] + (-MOST, MOST)
        low, high = np.searchsorted(brightness[order], ends)
        columns = order[low:high]
        distances = _distances(cells[rows], cells[columns])
        distances[rows[:, np.newaxis] == columns] = np.inf
        k = min(NEAREST, len(columns))
        nearest = np.argpartition(distances, k - 1, axis=1)[:, :k]
        row, place = np.nonzero(np.take_along_axis(distances, nearest, axis=1) <= MOST)
        ones.append(rows[row])
        others.append(columns[nearest[row, place]])
    return np.concatenate(ones), np.concatenate(others)


def _distances(first: Cells, second: Cells) -> FloatArray:
    """Root mean squares of the differences of each two rows."""
    one, other = (side.astype(np.float32) for side in (first, second))
    squares = [np.einsum("ij,ij->i", side, side) for side in (one, other)]
    product = one @ other.T
    sums = squares[0][:, np.newaxis] + squares[1] - 2 * product
    return np.asarray(np.sqrt(np.maximum(sums, 0) / first.shape[1]), np.float32)
