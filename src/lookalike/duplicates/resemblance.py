"""Pictures that look alike whichever way they are turned: by hash found, by thumbnail confirmed."""

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.duplicates.compare import SIDE, Thumbnails, same_picture
from lookalike.duplicates.neighbours import Progress
from lookalike.duplicates.pictures import Images, Numbers
from lookalike.duplicates.workers import Workers
from lookalike.index_store import IndexStore
from lookalike.types import Orientations

MOST_BITS = 8
"""Of 64 bits, in which the hashes of two images differ that are worth a closer look."""

_TURNS, _BANDS = 8, 4
_COMMONPLACE = 200
_ROWS = 10_000
_PAIRS = 128

Hashes = npt.NDArray[np.uint64]


def similar_hashes(index: IndexStore, images: Images) -> tuple[Numbers, Numbers]:
    """Return pairs of pictures whose hashes are nearly equal, one of them turned or mirrored."""
    number = {content: place for place, content in enumerate(images.contents)}
    pictures: list[int] = []
    packed: list[bytes] = []
    statement = index.dialect.phashes(index.table)
    for rows in index.connection.stream(statement, batch=_ROWS):
        known = [row for row in rows if row[0] in number]
        pictures += [number[row[0]] for row in known]
        packed += [row[1] for row in known]
    hashes = np.frombuffer(b"".join(packed), "<u8").reshape(-1, _TURNS)
    one, other = pairs_of_hashes(hashes)
    numbers = np.array(pictures, np.int64)
    return numbers[one], numbers[other]


def pairs_of_hashes(hashes: Hashes) -> tuple[Numbers, Numbers]:
    """Return pairs of rows, hashes of shape (n, 8), of which a turned one is near an unturned.

    Each of the 64 bits is in one of four bands. Only hashes that are equal in a band are compared:
    all that differ in three bits or less, and most that differ in up to MOST_BITS. Hashes whose
    band is commonplace are left out of it.
    """
    found = [np.empty((2, 0), np.int64)]
    plain = np.ascontiguousarray(hashes[:, 0])
    for band in range(_BANDS):
        # Every fourth bit: those that are alike in most photographs are then in all bands.
        mask = np.uint64(int("0001" * 16, 2) << band)
        keys, turned = plain & mask, hashes & mask
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        for turn in range(_TURNS):
            low = np.searchsorted(keys, turned[:, turn], "left")
            counts = np.searchsorted(keys, turned[:, turn], "right") - low
            counts[counts > _COMMONPLACE] = 0
            other = np.repeat(np.arange(len(hashes)), counts)
            within = np.arange(len(other)) - np.repeat(np.cumsum(counts) - counts, counts)
            one = order[np.repeat(low, counts) + within]
            bits = np.bitwise_count(plain[one] ^ hashes[other, turn])
            near = (bits <= MOST_BITS) & (one != other)
            found.append(np.sort(np.stack([one[near], other[near]]), axis=0))
    one, other = np.unique(np.concatenate(found, axis=1), axis=1)
    return one, other


def confirmed(
    images: Images,
    first: Numbers,
    second: Numbers,
    workers: Workers,
    *,
    orientations: Orientations,
    progress: Progress,
) -> npt.NDArray[np.bool_]:
    """Tell which pairs of pictures are one picture; those without a thumbnail are none."""
    sides = np.stack([images.widths, images.heights], axis=1)[images.first]

    def confirm(store: IndexStore, start: int) -> npt.NDArray[np.bool_]:
        one, other = first[start : start + _PAIRS], second[start : start + _PAIRS]
        pixels = thumbnails(store, images, np.union1d(one, other))
        known = np.isin(one, list(pixels)) & np.isin(other, list(pixels))
        same = np.zeros(len(one), bool)
        if known.any():
            same[known] = same_picture(
                np.stack([pixels[picture] for picture in one[known].tolist()]),
                np.stack([pixels[picture] for picture in other[known].tolist()]),
                sizes=np.stack([sides[one[known]], sides[other[known]]], axis=1),
                orientations=orientations,
            )
        return same

    same = np.zeros(len(first), bool)
    starts = range(0, len(first), _PAIRS)
    for start, part in zip(starts, workers.map(confirm, starts), strict=True):
        same[start : start + len(part)] = part
        progress(start + len(part), len(first))
    return same


def thumbnails(store: IndexStore, images: Images, pictures: Numbers) -> dict[int, Thumbnails]:
    """Return the thumbnails of pictures, those that have one, each of shape (SIDE, SIDE, 3)."""
    contents = {images.contents[picture]: picture for picture in pictures.tolist()}
    rows = store.connection.query(store.dialect.thumbnails(store.table, list(contents)))
    return {contents[content]: _pixels(thumbnail) for content, thumbnail in rows}


def _pixels(thumbnail: bytes) -> Thumbnails:
    with Image.open(BytesIO(thumbnail), formats=["JPEG"]) as image:
        pixels: Thumbnails = np.asarray(image)
    assert pixels.shape == (SIDE, SIDE, 3)
    return pixels
