"""Pictures that look alike whichever way they are turned: by hash found, by thumbnail confirmed."""

from concurrent.futures import Executor
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.progress import Progress
from lookalike.core.threads import one_thread
from lookalike.core.types import Orientations
from lookalike.database.connection import Row
from lookalike.database.table import VectorTable
from lookalike.duplicates.closer import CROPPED, WHOLE, Picture, how_same, read_picture
from lookalike.duplicates.compare import SIDE, TURNS, Thumbnails, same_picture
from lookalike.duplicates.copies import (
    DIFFERENT,
    SAME,
    how_surely,
    without_contradictions,
)
from lookalike.duplicates.drawings import NEARLY_NONE, Sizes, is_drawing
from lookalike.duplicates.pictures import Images, Numbers
from lookalike.duplicates.verdicts import UNKNOWN, Verdicts

MOST_BITS = 8
"""Of 64 bits, in which the hashes of two images differ that are worth a closer look."""

_TURNS, _BANDS = 8, 4
_COMMONPLACE = 200
_ROWS = 10_000
PAIRS = 128
"""Pairs of pictures that a thread compares before what it found is kept."""

_FILES = 16
"""Pairs of drawings that are compared at once."""

_MOST_READ = 1000
"""Pictures of 110 kB that are kept."""

Hashes = npt.NDArray[np.uint64]


def similar_hashes(table: VectorTable, images: Images) -> tuple[Numbers, Numbers]:
    """Return pairs of pictures whose hashes are nearly equal, one of them turned or mirrored."""
    number = {content: place for place, content in enumerate(images.contents)}
    pictures: list[int] = []
    packed: list[bytes] = []
    statement = table.dialect.phashes(table)
    for rows in table.connection.stream(statement, batch=_ROWS):
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
    table: VectorTable,
    images: Images,
    first: Numbers,
    second: Numbers,
    workers: Executor,
    *,
    orientations: Orientations,
    progress: Progress,
    at_once: int = PAIRS,
) -> npt.NDArray[np.bool_]:
    """Tell which pairs of pictures are one picture; those without a thumbnail are none."""
    comparison = Comparison(images, orientations)
    verdicts = Verdicts(images.contents, orientations)
    is_seen = images.widths[images.first] >= 0  # by its thumbnail
    seen = np.flatnonzero(is_seen[first] & is_seen[second])
    how = np.full(len(first), DIFFERENT, np.int8)
    how[seen] = verdicts.known(first[seen], second[seen])
    new = np.flatnonzero(how == UNKNOWN)
    parts = [new[start : start + at_once] for start in range(0, len(new), at_once)]

    def confirm(part: Numbers) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
        return comparison.how(table, first[part], second[part])

    done = len(first) - len(new)
    try:
        with one_thread():
            for part, (found, is_settled) in zip(parts, workers.map(confirm, parts), strict=True):
                how[part] = found
                verdicts.learn(first[part[is_settled]], second[part[is_settled]], found[is_settled])
                done += len(part)
                progress(done, len(first))
    finally:
        verdicts.keep()
    return without_contradictions(first, second, how)


class Comparison:
    """Compares pairs of pictures: their thumbnails and, of drawings, then their files."""

    def __init__(self, images: Images, orientations: Orientations) -> None:
        self._images = images
        self._orientations = orientations
        self._sides = np.stack([images.widths, images.heights], axis=1)[images.first]
        self._read: dict[int, Picture | None] = {}

    def how(
        self, table: VectorTable, one: Numbers, other: Numbers
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
        """Tell how surely pairs of pictures are one, as in copies, and which of that is settled.

        Settled is what depends on the bytes of the files alone: all of them could be read.
        """
        pixels = thumbnails(table, self._images, np.union1d(one, other))
        how = np.full(len(one), DIFFERENT, np.int8)
        is_settled = np.isin(one, list(pixels)) & np.isin(other, list(pixels))
        known = np.flatnonzero(is_settled)
        if not known.size:
            return how, is_settled
        pair = [
            np.stack([pixels[picture] for picture in side[known].tolist()]) for side in (one, other)
        ]
        sizes = np.stack([self._sides[one[known]], self._sides[other[known]]], axis=1)
        agree = same_picture(pair[0], pair[1], sizes=sizes, orientations=self._orientations)
        how[known] = np.where(agree, SAME, DIFFERENT)
        drawn = np.flatnonzero(agree & (is_drawing(pair[0]) | is_drawing(pair[1])))
        if drawn.size:
            strictly = same_picture(
                pair[0][drawn],
                pair[1][drawn],
                sizes=sizes[drawn],
                orientations=self._orientations,
                most=NEARLY_NONE,
            )
            chosen = known[drawn]
            how[chosen], is_settled[chosen] = self._closer(
                table, one[chosen], other[chosen], sizes[drawn], strictly
            )
        return how, is_settled

    def _closer(
        self,
        table: VectorTable,
        one: Numbers,
        other: Numbers,
        sizes: Sizes,
        strictly: npt.NDArray[np.bool_],
    ) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.bool_]]:
        """Compare drawings by their files; pairs of which one cannot be read are as strictly.

        These are not settled, nor are those whose files have changed meanwhile.
        """
        sure = np.where(strictly, SAME, DIFFERENT).astype(np.int8)
        is_settled = np.zeros(len(one), np.bool_)
        turns = TURNS if self._orientations == "all" else 1
        for start in range(0, len(one), _FILES):
            part = np.arange(start, min(start + _FILES, len(one)))
            read = self._pictures(table, np.union1d(one[part], other[part]))
            known = np.array([p for p in part if one[p] in read and other[p] in read], np.int64)
            if known.size:
                pair = [[read[picture] for picture in side[known]] for side in (one, other)]
                how = how_same(
                    np.stack([picture.pixels for picture in pair[0]]),
                    np.stack([picture.pixels for picture in pair[1]]),
                    sizes[known],
                    np.array([max(a.loss, b.loss) for a, b in zip(*pair, strict=True)], np.float32),
                    turns,
                )
                sure[known] = np.where(how == CROPPED, SAME, DIFFERENT)
                for place in np.flatnonzero(how != CROPPED):
                    first, second = (side[place].path for side in pair)
                    is_whole = bool(how[place] == WHOLE)
                    sure[known[place]] = how_surely(first, second, turns, agree=is_whole)
                is_settled[known] = [
                    a.is_unchanged() and b.is_unchanged() for a, b in zip(*pair, strict=True)
                ]
        return sure, is_settled

    def _pictures(self, table: VectorTable, numbers: Numbers) -> dict[int, Picture]:
        """Read pictures, each once as long as not too many others come between."""
        kept = self._read
        found = {number: kept[number] for number in numbers.tolist() if number in kept}
        new = [number for number in numbers.tolist() if number not in found]
        if new:
            contents = {self._images.contents[number]: number for number in new}
            files: dict[int, list[Row]] = {number: [] for number in new}
            statement = table.dialect.files_of(table, list(contents))
            for row in table.connection.query(statement):
                files[contents[row[2]]].append(row)
            found |= {number: read_picture(files[number]) for number in new}
            # Replaced, not changed: other threads read it.
            self._read = found if len(kept) > _MOST_READ else kept | found
        return {number: picture for number, picture in found.items() if picture is not None}


def thumbnails(table: VectorTable, images: Images, pictures: Numbers) -> dict[int, Thumbnails]:
    """Return the thumbnails of pictures, those that have one, each of shape (SIDE, SIDE, 3)."""
    contents = {images.contents[picture]: picture for picture in pictures.tolist()}
    rows = table.connection.query(table.dialect.thumbnails(table, list(contents)))
    return {contents[content]: _pixels(thumbnail) for content, thumbnail in rows}


def _pixels(thumbnail: bytes) -> Thumbnails:
    with Image.open(BytesIO(thumbnail), formats=["JPEG"]) as image:
        pixels: Thumbnails = np.asarray(image)
    assert pixels.shape == (SIDE, SIDE, 3)
    return pixels
